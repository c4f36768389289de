"""Bytes of a large arrival on their way into storage; an original of ours that comes back in them is not kept again.

A complete receipt holds the whole message it is about, and a message to a thousand recipients comes back a thousand
times. While such a receipt arrives it is compared with the original that we keep: what is equal, byte for byte,
becomes a range of it and never touches the disk (D26). That says nothing of whether the receipt is good; what differs
is kept as it came.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway.flows.work import LARGE
from gateway.storage import certified, content
from gateway.storage.engine import Storage
from gateway.storage.sink import ContentSink
from receipts.octets import Octets
from receipts.scanner import scan, scan_header
from receipts.wire import X_RICEVUTA

__all__ = ["SharingSink"]

COMPARED_AT_ONCE: Final = 1_000_000
"""Bytes, in a thread."""


class _Inside(NamedTuple):
    """The message inside a receipt."""

    at: int  # where it begins
    pec_msgid: str


class SharingSink:
    """Takes bytes in any portions; ``finish`` gives the message, to which nothing refers yet.

    The first portion must hold whatever stands before the message inside, else nothing is shared.

    Raises:
        StorageUnavailable: the bytes cannot be kept.
    """

    def __init__(self, storage: Storage, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._own = ContentSink(storage, now)
        self._begun = False
        self._equal: _Equal | None = None  # while all that came is equal

    async def write(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            await self._begin(data)
        elif self._equal is None:
            await self._own.write(data)
        else:
            await self._compare(data)

    async def finish(self) -> Octets:
        if self._equal is not None:
            await self._compare(b"", last=True)
        if self._equal is not None:
            return self._equal.message()
        return Octets.whole(await self._own.finish())

    async def abort(self) -> None:
        """Forget the bytes."""
        self._equal = None
        await self._own.abort()

    async def _begin(self, data: bytes) -> None:
        inside = await asyncio.to_thread(_inside, data)
        sent = None
        if inside is not None:
            sent = await self._storage.read(partial(_original, pec_msgid=inside.pec_msgid))
        if inside is None or sent is None or sent.size <= LARGE:
            await self._own.write(data)
            return
        self._equal = _Equal(data[: inside.at], sent)
        await self._compare(data[inside.at :])

    async def _compare(self, data: bytes, *, last: bool = False) -> None:
        """Compare what came; keep all of it, from the beginning, as soon as something differs."""
        equal = self._equal
        assert equal is not None
        equal.take(data)
        if not last and equal.waiting < COMPARED_AT_ONCE:
            return
        if await asyncio.to_thread(equal.holds) and (not last or equal.whole):
            return
        self._equal = None
        pieces = equal.pieces()
        while piece := await asyncio.to_thread(next, pieces, b""):
            await self._own.write(piece)


class _Equal:
    """What came so far: a head, then an original of ours or the beginning of it, then what follows."""

    def __init__(self, head: bytes, sent: Octets) -> None:
        self._head = head
        self._sent = sent
        self._expected = sent.pieces()
        self._piece = b""  # of the original: what is compared next
        self._matched = 0
        self._rest = bytearray()  # what came and is not compared yet, or stands behind the original

    @property
    def waiting(self) -> int:
        return len(self._rest)

    @property
    def whole(self) -> bool:
        return self._matched == self._sent.size

    def take(self, data: bytes) -> None:
        self._rest += data

    def holds(self) -> bool:
        """Compare what waits. False: something differs, or what stands behind the original is large itself."""
        while not self.whole and self._rest:
            self._piece = self._piece or next(self._expected)
            length = min(len(self._piece), len(self._rest))
            if self._rest[:length] != self._piece[:length]:
                return False
            del self._rest[:length]
            self._piece = self._piece[length:]
            self._matched += length
        return len(self._rest) <= LARGE

    def message(self) -> Octets:
        return Octets.of(self._head, self._sent, bytes(self._rest))

    def pieces(self) -> Iterator[bytes]:
        """All that came, in order; none of them empty."""
        yield self._head
        yield from filter(None, self._sent.slice(0, self._matched).pieces())
        if self._rest:
            yield bytes(self._rest)


def _inside(data: bytes) -> _Inside | None:
    """The message inside a receipt that begins like this, if it is one."""
    message = Octets.of(data)
    if not scan_header(message).all(X_RICEVUTA):
        return None
    for part in scan(message).walk():
        if part.type == "message/rfc822":
            named = scan_header(message.slice(part.body_start)).first("Message-ID")
            return None if named is None else _Inside(part.body_start, named.text.strip().strip("<>"))
    return None


def _original(connection: Connection, pec_msgid: str) -> Octets | None:
    body_id = certified.original_of(connection, pec_msgid)
    return None if body_id is None else content.load(connection, body_id)
