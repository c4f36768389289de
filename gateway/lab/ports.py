"""Ports of this machine's loopback: which are free, and whether one answers."""

import asyncio
import contextlib
import secrets
import socket
from functools import cache

__all__ = ["FreePorts", "answers", "answers_everywhere", "loopback_hosts"]

LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000
"""Below the range from which the system takes ports for outgoing connections, so that a server that is started again
finds its port free."""
TRIES = 1_000


@cache
def loopback_hosts() -> tuple[str, ...]:
    """127.0.0.1 and, where there is one, ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ("127.0.0.1",)
    return ("127.0.0.1", "::1")


class FreePorts:
    """Ports that are free on every loopback address, held until all are drawn so that none is drawn twice.

    Args:
        taken: ports that are not to be given out.
        first: give out the ports from this one on, in order; at random if left out.
    """

    def __init__(self, taken: set[int], first: int | None = None) -> None:
        self._taken = set(taken)
        self._next = first
        self._held: list[socket.socket] = []

    def take(self) -> int:
        """Raises OSError if there is none left, or if the port that was asked for is not free."""
        for _ in range(TRIES):
            port = self._draw()
            if port in self._taken:
                continue
            if self._hold(port):
                self._taken.add(port)
                return port
            if self._next is not None:
                raise OSError(f"port {port} is taken by another program; ask for others with --first-port")
        raise OSError(f"no free port between {LOWEST_PORT} and {HIGHEST_PORT} on 127.0.0.1")

    def release(self) -> None:
        """Let go of all that were taken, for the servers they were drawn for."""
        for probe in self._held:
            probe.close()

    def _draw(self) -> int:
        if self._next is None:
            return LOWEST_PORT + secrets.randbelow(HIGHEST_PORT - LOWEST_PORT)
        port, self._next = self._next, self._next + 1
        return port

    def _hold(self, port: int) -> bool:
        for host in loopback_hosts():
            probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self._held.append(probe)
            try:
                probe.bind((host, port))
            except (OSError, OverflowError):
                return False
        return True


async def answers_everywhere(port: int) -> bool:
    """Whether something listens on this port of every loopback address."""
    return all([await answers(host, port) for host in loopback_hosts()])


async def answers(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
