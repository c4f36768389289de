"""The SMTP client of the relay: messages to destinations, over connections that are kept and shared (D10, D37)."""

import asyncio
import re
from dataclasses import replace

from gateway.drivers.dialer import Dialer
from gateway.drivers.smtp_peer import SHUT_DOWN, ClientLimits, Destination, Opener, Peer
from gateway.drivers.tls import ClientContexts
from gateway.drivers.transmission import Outcome, Outgoing, Permanent, Stage

__all__ = ["ClientLimits", "Destination", "SmtpClient"]

PATH = re.compile(
    r'(?:"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"|[^\x00-\x20\x7f-\U0010ffff<>",;:\\()\[\]]+)'
    r"@[A-Za-z0-9._-]+"
)
MAX_PATH = 512  # octets of a path that may go on a command line


class SmtpClient:
    """Sends messages; ``hello`` is the host name we give in EHLO."""

    def __init__(
        self, hello: str, dialer: Dialer, contexts: ClientContexts, limits: ClientLimits | None = None
    ) -> None:
        self._limits = limits or ClientLimits()
        self._opener = Opener(hello, dialer, contexts, self._limits)
        self._peers: dict[Destination, Peer] = {}
        self._ended = asyncio.Event()
        self._stopping = False

    async def send(self, destination: Destination, outgoing: Outgoing) -> tuple[Outcome, ...]:
        """What became of the message, one outcome for each forward path in their order. No fault of a peer raises."""
        faults = [_fault(outgoing.reverse_path, path) for path in outgoing.forward_paths]
        if any(faults):
            return await self._send_the_sound(destination, outgoing, faults)
        if self._stopping:
            return (SHUT_DOWN,) * len(outgoing.forward_paths)
        if (peer := self._peers.get(destination)) is None:
            peer = self._peers[destination] = Peer(
                destination, self._opener, self._limits, may_open=self._may_open, on_change=self._changed
            )
        return await peer.send(outgoing)

    async def close(self, grace_seconds: float = 10.0) -> None:
        """Let what is in flight end for ``grace_seconds``, then close every connection."""
        self._stopping = True
        peers = list(self._peers.values())
        for peer in peers:
            peer.stop()
        try:
            async with asyncio.timeout(grace_seconds):
                while any(peer.connections for peer in peers):
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            for peer in peers:
                peer.abort()

    @property
    def connections(self) -> int:
        """Open connections to all peers."""
        return sum(len(peer.connections) for peer in self._peers.values())

    async def _send_the_sound(
        self, destination: Destination, outgoing: Outgoing, faults: list[Permanent | None]
    ) -> tuple[Outcome, ...]:
        sound = tuple(path for path, fault in zip(outgoing.forward_paths, faults, strict=True) if fault is None)
        sent = iter(await self.send(destination, replace(outgoing, forward_paths=sound)) if sound else ())
        return tuple(next(sent) if fault is None else fault for fault in faults)

    def _may_open(self) -> bool:
        """Whether one more connection is within bounds; else an idle one is closed to make room for it."""
        if self.connections < self._limits.connections_total:
            return True
        idle = (link for peer in self._peers.values() for link in peer.connections if link.idle)
        if (oldest := next(idle, None)) is not None:
            oldest.quit()
        return False

    def _changed(self, peer: Peer) -> None:
        """A connection ended: peers that wait for leave to open theirs have it now."""
        self._ended.set()
        if peer.useless and self._peers.get(peer.destination) is peer:
            del self._peers[peer.destination]
        for other in [other for other in self._peers.values() if other.starved]:
            if other is not peer:
                other.pump()


def _fault(reverse_path: str, forward_path: str) -> Permanent | None:
    """Why these paths may not stand on a command line (no SMTPUTF8, D12), before any peer is asked."""
    if not (reverse_path.isascii() and forward_path.isascii()):
        return Permanent("5.6.7", "address outside ASCII", Stage.RECIPIENT)
    if reverse_path and not _is_path(reverse_path):
        return Permanent("5.1.7", "not an address", Stage.MAIL)
    if not _is_path(forward_path):
        return Permanent("5.1.3", "not an address", Stage.RECIPIENT)
    return None


def _is_path(text: str) -> bool:
    return len(text) <= MAX_PATH and PATH.fullmatch(text) is not None
