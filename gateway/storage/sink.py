"""Bytes of a large message on their way into a content, while they arrive (D20, D23)."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.storage.content import CHUNK, StoredContent
from gateway.storage.engine import Storage
from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import content_chunks, contents
from gateway.storage.values import micros

__all__ = ["ContentSink"]

BATCH: Final = 4 * CHUNK
"""Bytes in one short transaction."""

_START = insert_into(contents, returning="id")
_CHUNK = insert_into(content_chunks)
_TWIN = Statement(select(contents.c.id).where(contents.c.sha256 == bindparam("sha256")))
_TOUCH = Statement(update(contents).where(contents.c.id == bindparam("content")).values(touched_at=bindparam("at")))
_FINISH = Statement(
    update(contents)
    .where(contents.c.id == bindparam("content"), contents.c.sha256.is_(None))
    .values(sha256=bindparam("digest"), size=bindparam("total"), touched_at=bindparam("at"))
)
_DROP = Statement(delete(contents).where(contents.c.id == bindparam("content"), contents.c.sha256.is_(None)))


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
        self._content: int | None = None
        self._chunks = 0  # written so far, the head among them

    async def write(self, data: bytes) -> None:
        self._digest.update(data)
        self._size += len(data)
        self._buffer += data
        while len(self._buffer) >= BATCH:
            await self._flush(BATCH)

    async def finish(self) -> StoredContent:
        """The content with all these bytes: this one, or an older one with the same."""
        if self._buffer or self._content is None:
            await self._flush(len(self._buffer))
        own, digest, total, at = self._content, self._digest.digest(), self._size, micros(self._now())
        assert own is not None

        def name(connection: Connection) -> int:
            twin = _TWIN.one(connection, {"sha256": digest})
            if twin is not None and _TOUCH.run(connection, {"content": twin[0], "at": at}):
                _DROP.run(connection, {"content": own})
                return int(twin[0])
            _FINISH.run(connection, {"content": own, "digest": digest, "total": total, "at": at})
            return own

        return StoredContent(await self._storage.write(name), digest, total, self._storage)

    async def abort(self) -> None:
        """Forget the bytes."""
        own, self._content = self._content, None
        self._buffer.clear()
        if own is not None:
            await self._storage.write(lambda connection: _DROP.run(connection, {"content": own}))

    async def _flush(self, length: int) -> None:
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        at, first, content = micros(self._now()), self._chunks, self._content
        chunks = [data[low : low + CHUNK] for low in range(0, len(data), CHUNK)] or [b""]

        def append(connection: Connection) -> int:
            rest, number, target = chunks, first, content
            if target is None:
                row = _START.one(connection, {"sha256": None, "size": 0, "touched_at": at, "head": chunks[0]})
                assert row is not None
                target, rest, number = int(row[0]), chunks[1:], 1
            _CHUNK.many(
                connection,
                [{"content_id": target, "number": number + i, "data": chunk} for i, chunk in enumerate(rest)],
            )
            return target

        self._content = await self._storage.write(append, size=len(data))
        self._chunks += len(chunks)
