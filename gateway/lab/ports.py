"""Ports of this machine's loopback: which are free, and whether one answers."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["FreePorts", "answers", "answers_everywhere", "loopback_hosts"]

LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000
"""Below the range from which the system takes ports for outgoing connections, so that a server that is started again
finds its port free."""
TRIES = 1_000
RESERVED = 3_000
"""Ports that one process keeps from others at most: the oldest are let go."""


@cache
def loopback_hosts() -> tuple[str, ...]:
    """127.0.0.1 and, where there is one, ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ("127.0.0.1",)
    return ("127.0.0.1", "::1")


class Reservations:
    """Ports that programs of this user have drawn on this machine, kept from each other until the program ends.

    Between the drawing of a port and the start of its server, and while a server is started again, nobody listens on
    it: then another program that draws ports at random would take it. Each port is a byte of one file, locked.

    Args:
        file: made if it is not there; where it cannot be, nothing is kept from anybody.
    """

    def __init__(self, file: Path) -> None:
        self._own: dict[int, None] = {}
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            self._descriptor = -1

    def reserve(self, port: int) -> bool:
        """Whether it is ours now; not if we or another program had it before."""
        if port in self._own:
            return False
        try:
            if self._descriptor >= 0:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        self._own[port] = None
        if len(self._own) > RESERVED:
            self.release(next(iter(self._own)))
        return True

    def release(self, port: int) -> None:
        """Let others have it."""
        del self._own[port]
        if self._descriptor >= 0:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, port)


@cache
def reservations() -> Reservations:
    """Those of this process: one, for a lock of a file goes with the first descriptor of it that is closed."""
    return Reservations(Path(tempfile.gettempdir()) / f"ceralacca-ports-{os.getuid()}")


class FreePorts:
    """Ports that are free on every loopback address, held until all are drawn so that none is drawn twice.

    Those drawn at random are kept from other programs that draw, too, until this one ends.

    Args:
        taken: ports that are not to be given out.
        first: give out the ports from this one on, in order; at random if left out.
    """

    def __init__(self, taken: set[int], first: int | None = None) -> None:
        self._taken = set(taken)
        self._next = first
        self._held: list[socket.socket] = []
        for port in taken:
            reservations().reserve(port)

    def take(self) -> int:
        """Raises OSError if there is none left, or if the port that was asked for is not free."""
        for _ in range(TRIES):
            port = self._draw()
            if port in self._taken or (self._next is None and not reservations().reserve(port)):
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
