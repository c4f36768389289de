"""Bytes of a large message on their way into a content, while they arrive (D20, D23)."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, bindparam, update

from gateway.storage import chunks
from gateway.storage.chunks import CHUNK
from gateway.storage.content import ADD_CONTENT, StoredContent
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable
from gateway.storage.statements import Statement
from gateway.storage.tables import contents
from gateway.storage.values import micros

__all__ = ["ContentSink"]

BATCH: Final = 8 * CHUNK
"""Bytes in one short transaction. A message that is not larger costs one, which also names it."""

_TWIN = Statement(
    update(contents)
    .where(contents.c.sha256 == bindparam("key"), contents.c.chunk_set_id.isnot(None))
    .values(touched_at=bindparam("at"))
    .returning(contents.c.chunk_set_id)
)


class ContentSink:
    """Takes bytes in any portions; ``finish`` gives the content, to which no message refers yet.

    What is neither finished nor aborted is purged after a day.
    """

    def __init__(self, storage: Storage, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._now = now
        self._digest = hashlib.sha256()
        self._size = 0
        self._buffer = bytearray()
        self._chunks: int | None = None  # id of the chunk set
        self._written = 0  # chunks so far

    async def write(self, data: bytes) -> None:
        self._digest.update(data)
        self._size += len(data)
        self._buffer += data
        while len(self._buffer) >= BATCH:
            await self._flush(BATCH)

    async def finish(self) -> StoredContent:
        """The content with all these bytes: this one, or an older one with the same.

        Raises:
            StorageUnavailable: the bytes cannot be kept.
        """
        data, digest, total, at = bytes(self._buffer), self._digest.digest(), self._size, micros(self._now())
        first, known = self._written, self._chunks

        def name(connection: Connection) -> int:
            twin = _TWIN.one(connection, {"key": digest, "at": at})
            if twin is not None:
                return int(twin[0])
            if known is not None:
                chunks.check_whole(connection, known, first)
            own = chunks.append(connection, known, first, data, at)
            row = {"sha256": digest, "size": total, "touched_at": at, "chunk_set_id": own, "data": None}
            ADD_CONTENT.add(connection, [row])
            return own

        named = await self._storage.write(name, size=len(data))
        if named == known:
            self._chunks = None
        with suppress(StorageUnavailable):  # what is left is purged
            await self.abort()
        return StoredContent(digest, total, named, self._storage)

    async def abort(self) -> None:
        """Forget the bytes."""
        own, self._chunks = self._chunks, None
        self._buffer.clear()
        if own is None:
            return
        remove, gone = partial(chunks.remove_some, chunks=own), False
        while not gone:
            _, gone = await self._storage.write(remove)

    async def _flush(self, length: int) -> None:
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        at, first, known = micros(self._now()), self._written, self._chunks

        def append(connection: Connection) -> int:
            return chunks.append(connection, known, first, data, at)

        self._chunks = await self._storage.write(append, size=len(data))
        self._written += length // CHUNK
