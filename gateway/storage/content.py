"""Messages as segments: literal bytes, and ranges of contents that many messages share (D26).

A content is a run of bytes known by its SHA-256 and kept once: a small one in its row, a larger one in chunks. A body
is a message: its row holds its own literal bytes and says which range of which content comes in between.
``purge`` removes what nobody refers to.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Integer, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage.batch import Addition, Batch, batch_of
from gateway.storage.chunks import ADD_CHUNK, ADD_CHUNK_SET, CHUNK
from gateway.storage.errors import Conflict
from gateway.storage.statements import Statement, among, numbers
from gateway.storage.tables import bodies, body_contents, content_chunks, contents
from gateway.storage.values import micros
from receipts.octets import InMemory, Octets, Source, Span
from receipts.records import record

__all__ = ["LOADED_WHOLE", "StoredContent", "load", "load_many", "save", "save_many"]

LOADED_WHOLE: Final = 1_000_000
"""Contents up to this size come into memory with the message; larger ones are read as they are needed."""
FRESH: Final = timedelta(hours=1) // timedelta(microseconds=1)
"""How long a content that was referred to needs no new mark. Purging spares the marks of a day, so it never races."""

_LITERAL: Final = struct.Struct(">BI")
_RANGE: Final = struct.Struct(">B32sQQ")


class _Contents(Addition):
    """Contents, each once in a group, in one order for all, so that two nodes never wait for each other."""

    def flush(self, connection: Connection, rows: list[Any]) -> None:
        distinct = {row["sha256"]: row for row in rows}
        super().flush(connection, [distinct[sha256] for sha256 in sorted(distinct)])


def _greatest(insert: Any, larger: Any) -> Any:
    return insert.on_conflict_do_update(
        index_elements=["sha256"], set_={"touched_at": larger(contents.c.touched_at, insert.excluded.touched_at)}
    )


ADD_CONTENT: Final = _Contents(
    contents,
    element={
        "sqlite": _greatest(sqlite.insert(contents), func.max),
        "postgresql": _greatest(postgresql.insert(contents), func.greatest),
    },
)
_ADD_BODY = Addition(bodies)
_REFER = Addition(body_contents)
_WHOLE = Integer()
_TOUCH = Statement(update(contents).where(contents.c.sha256 == bindparam("key")).values(touched_at=bindparam("at")))
_MARK = Statement(select(contents.c.touched_at).where(contents.c.sha256 == bindparam("key")))
_BODY = Statement(select(bodies.c.parts).where(bodies.c.id == bindparam("id")))
_BODIES = Statement(among(bodies.c.id, lambda these: select(bodies.c.id, bodies.c.parts).where(these)))
_ROW = (contents.c.sha256, contents.c.size, contents.c.chunk_set_id, contents.c.data)
_CONTENT = Statement(select(*_ROW).where(contents.c.sha256 == bindparam("key")))
_CONTENTS = Statement(
    among(
        body_contents.c.body_id,
        lambda these: select(*_ROW).where(contents.c.sha256.in_(select(body_contents.c.sha256).where(these))),
    )
)
_CHUNKS = Statement(
    select(content_chunks.c.data)
    .where(content_chunks.c.chunk_set_id == bindparam("chunks"))
    .order_by(content_chunks.c.number)
)
_PIECE = Statement(
    select(func.substr(content_chunks.c.data, bindparam("low", type_=_WHOLE), bindparam("length", type_=_WHOLE))).where(
        content_chunks.c.chunk_set_id == bindparam("chunks"), content_chunks.c.number == bindparam("number")
    )
)


class Reader(Protocol):
    """The part of ``Storage`` that reads on where a message was found."""

    def read_now(self, question: Any) -> Any: ...


@record()
class StoredContent:
    """A content in the database. Its bytes are read a chunk at a time, each in a short read of its own."""

    sha256: bytes
    size: int
    chunks: int  # the id of its chunk set
    reader: Reader = field(repr=False, compare=False)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            number, low = divmod(start, CHUNK)
            length = min(CHUNK - low, stop - start)
            yield self._piece(number, low, length)
            start += length

    def _piece(self, number: int, low: int, length: int) -> bytes:
        values = {"chunks": self.chunks, "number": number, "low": low + 1, "length": length}
        row = self.reader.read_now(lambda connection: _PIECE.one(connection, values))
        if row is None or len(row[0]) != length:
            raise Conflict(f"content {self.sha256.hex()} has lost bytes")
        return bytes(row[0])


def save(connection: Connection, message: Octets, at: datetime) -> int:
    """Keep a message; its body id. See ``save_many``."""
    return save_many(connection, (message,), at)[0]


def save_many(connection: Connection, messages: Sequence[Octets], at: datetime) -> list[int]:
    """Keep messages that belong together, so that a content they share is looked up once; their body ids.

    Spans of bytes in memory make a content of the whole of these bytes, unless there is one already.

    Raises:
        Conflict: a stored content that a message refers to is gone.
    """
    now, batch = micros(at), batch_of(connection)
    kept: set[bytes] = set()
    ids: list[int] = []
    for message in messages:
        body = batch.new_id()
        ids.append(body)
        used: set[bytes] = set()
        packed: list[bytes] = []
        for part in message.parts:
            if isinstance(part, bytes):
                packed += (_LITERAL.pack(0, len(part)), part)
                continue
            sha256 = part.source.sha256
            if sha256 not in kept:
                _keep(connection, batch, part.source, now)
                kept.add(sha256)
            used.add(sha256)
            packed.append(_RANGE.pack(1, sha256, part.start, part.stop))
        batch.add(_ADD_BODY, [{"id": body, "size": message.size, "created_at": now, "parts": b"".join(packed)}])
        if used:
            batch.add(_REFER, [{"body_id": body, "sha256": sha256} for sha256 in used])
    return ids


def load(connection: Connection, body_id: int) -> Octets:
    """The message that ``save`` kept, byte for byte.

    Raises:
        LookupError: there is no such body.
    """
    row = _BODY.one(connection, {"id": body_id})
    if row is None:
        raise LookupError(f"no body {body_id}")
    return _message(connection, row[0], {})


def load_many(connection: Connection, body_ids: Sequence[int]) -> list[Octets]:
    """The same of many: their rows are read together, and contents that they share once."""
    if len(body_ids) == 1:
        return [load(connection, body_ids[0])]
    these = numbers(connection, body_ids)
    packed: dict[int, bytes] = dict(_BODIES.all(connection, these))
    missing = next((body_id for body_id in body_ids if body_id not in packed), None)
    if missing is not None:
        raise LookupError(f"no body {missing}")
    sources = {bytes(row[0]): _source(connection, *row) for row in _CONTENTS.all(connection, these)}
    return [_message(connection, packed[body_id], sources) for body_id in body_ids]


def _message(connection: Connection, packed: bytes, sources: dict[bytes, Source]) -> Octets:
    """A message from its packed parts; contents that are not among ``sources`` yet are read."""
    parts: list[bytes | Span] = []
    for part in _unpacked(bytes(packed)):
        if isinstance(part, bytes):
            parts.append(part)
            continue
        sha256, start, stop = part
        source = sources.get(sha256)
        if source is None:
            source = sources[sha256] = _found(connection, sha256)
        parts.append(Span(source, start, stop))
    return Octets.of(*parts)


def _unpacked(packed: bytes) -> Iterator[bytes | tuple[bytes, int, int]]:
    at = 0
    while at < len(packed):
        if packed[at]:
            _, sha256, start, stop = _RANGE.unpack_from(packed, at)
            at += _RANGE.size
            yield sha256, start, stop
        else:
            _, length = _LITERAL.unpack_from(packed, at)
            at += _LITERAL.size + length
            yield packed[at - length : at]


def _found(connection: Connection, sha256: bytes) -> Source:
    row = _CONTENT.one(connection, {"key": sha256})
    if row is None:
        raise LookupError(f"no content {sha256.hex()}")
    return _source(connection, *row)


def _source(connection: Connection, sha256: bytes, size: int, chunks: int | None, data: bytes | None) -> Source:
    """A content by its row."""
    sha256 = bytes(sha256)
    if chunks is None:
        return InMemory(bytes(data or b""), sha256)
    if size > LOADED_WHOLE:
        return StoredContent(sha256, size, chunks, connection.info["storage"])
    return InMemory(b"".join(bytes(chunk) for (chunk,) in _CHUNKS.all(connection, {"chunks": chunks})), sha256)


def _keep(connection: Connection, batch: Batch, source: Source, now: int) -> None:
    """Let there be a content with these bytes, marked so that nobody removes it before it is referred to."""
    if isinstance(source, StoredContent) or source.size > CHUNK:
        mark = _MARK.one(connection, {"key": source.sha256})
        if mark is not None:
            fresh = now - mark[0] < FRESH
            if fresh or _TOUCH.run(connection, {"key": source.sha256, "at": now}):
                return
        if isinstance(source, StoredContent):
            raise Conflict(f"content {source.sha256.hex()} is gone")
    row = {"sha256": source.sha256, "size": source.size, "touched_at": now, "chunk_set_id": None, "data": None}
    if source.size <= CHUNK:
        row["data"] = b"".join(source.pieces(0, source.size))
    else:
        chunks = row["chunk_set_id"] = batch.new_id()
        pieces = enumerate(source.pieces(0, source.size))
        batch.add(ADD_CHUNK_SET, [{"id": chunks, "created_at": now}])
        batch.add(ADD_CHUNK, [{"chunk_set_id": chunks, "number": n, "data": piece} for n, piece in pieces])
    batch.add(ADD_CONTENT, [row])
