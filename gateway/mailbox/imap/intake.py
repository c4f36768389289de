"""A message that a client puts into a folder, while it comes in: line ends, size and memory (D20)."""

import logging
import re
from collections.abc import Callable
from typing import Final

from gateway.mailbox.imap.store import Sink
from receipts.octets import InMemory, Octets

__all__ = ["Intake"]

log = logging.getLogger(__name__)

_LONE_LF: Final = re.compile(rb"(?<!\r)\n")


class Intake:
    """One message. Up to ``memory`` bytes it stays in memory, beyond that it goes into a sink.

    Its lines end with CRLF, as in every message that is kept: a LF alone becomes one.
    """

    def __init__(self, memory: int, open_sink: Callable[[], Sink]) -> None:
        self._memory = memory
        self._open_sink = open_sink
        self._held = bytearray()
        self._sink: Sink | None = None
        self._last = b""
        self.has_nul = False

    async def feed(self, piece: bytes) -> None:
        """Take some more. After a NUL nothing is kept, as the message will be refused (RFC 3501 section 9)."""
        if self.has_nul or b"\0" in piece:
            self.has_nul = True
            self._held.clear()
            return
        clean = _LONE_LF.sub(b"\r\n", self._last + piece)[len(self._last) :] if b"\n" in piece else piece
        self._last = b"\r" if piece.endswith(b"\r") else b""
        self._held += clean
        if self._sink is None and len(self._held) > self._memory:
            self._sink = self._open_sink()
        if self._sink is not None:
            await self._sink.write(bytes(self._held))
            self._held.clear()

    async def finish(self) -> Octets:
        if self._sink is None:
            return Octets.whole(InMemory.of(bytes(self._held)))
        sink, self._sink = self._sink, None
        return Octets.whole(await sink.finish())

    async def abort(self) -> None:
        """Nothing of it is wanted; what was written is forgotten, now or by the next purge."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            await sink.abort()
        except Exception as error:
            log.warning("sink not aborted", exc_info=error)
