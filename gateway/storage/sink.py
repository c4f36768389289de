"""Bytes of a large message on their way into a content, while they arrive (D20, D23)."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, update

from gateway.storage.batch import batch_of
from gateway.storage.content import ADD_CHUNK, ADD_CHUNK_SET, ADD_CONTENT, CHUNK, StoredContent
from gateway.storage.engine import Storage
from gateway.storage.statements import Statement
from gateway.storage.tables import chunk_sets, contents
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
_DROP = Statement(delete(chunk_sets).where(chunk_sets.c.id == bindparam("id")))


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
                if known is not None:
                    _DROP.run(connection, {"id": known})
                return int(twin[0])
            own = _append(connection, known, first, data, at)
            row = {"sha256": digest, "size": total, "touched_at": at, "chunk_set_id": own, "data": None}
            ADD_CONTENT.add(connection, [row])
            return own

        return StoredContent(digest, total, await self._storage.write(name, size=len(data)), self._storage)

    async def abort(self) -> None:
        """Forget the bytes."""
        own, self._chunks = self._chunks, None
        self._buffer.clear()
        if own is not None:
            await self._storage.write(lambda connection: _DROP.run(connection, {"id": own}))

    async def _flush(self, length: int) -> None:
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        at, first, known = micros(self._now()), self._written, self._chunks

        def append(connection: Connection) -> int:
            return _append(connection, known, first, data, at)

        self._chunks = await self._storage.write(append, size=len(data))
        self._written += length // CHUNK


def _append(connection: Connection, chunks: int | None, first: int, data: bytes, at: int) -> int:
    """Add ``data`` to a chunk set from chunk ``first`` on; the set's id. It is made if there is none yet."""
    own = chunks
    if own is None:
        own = batch_of(connection).new_id()
        ADD_CHUNK_SET.add(connection, [{"id": own, "created_at": at}])
    numbered = enumerate((data[low : low + CHUNK] for low in range(0, len(data), CHUNK)), start=first)
    ADD_CHUNK.add(connection, [{"chunk_set_id": own, "number": n, "data": piece} for n, piece in numbered])
    return own
