"""Messages as segments: literal bytes, and ranges of contents that many messages share (D26).

A content is a run of bytes known by its SHA-256 and kept once, in chunks. A body is a message: its row holds its own
literal bytes and says which range of which content comes in between. ``purge`` removes what nobody refers to.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage.errors import Conflict
from gateway.storage.statements import Statement, insert_ignoring, insert_into
from gateway.storage.tables import bodies, body_contents, content_chunks, contents
from gateway.storage.values import micros
from receipts.octets import WINDOW, InMemory, Octets, Source, Span

__all__ = ["CHUNK", "LOADED_WHOLE", "StoredContent", "load", "load_many", "save", "save_many"]

CHUNK: Final = WINDOW
"""Bytes in one row."""
LOADED_WHOLE: Final = 1_000_000
"""Contents up to this size come into memory with the message; larger ones are read as they are needed."""
FRESH: Final = timedelta(hours=1) // timedelta(microseconds=1)
"""How long a content that was referred to needs no new mark. Purging spares the marks of a day, so it never races."""

_LITERAL: Final = struct.Struct(">BI")
_RANGE: Final = struct.Struct(">BQQQ")

_FIND = Statement(select(contents.c.id, contents.c.touched_at).where(contents.c.sha256 == bindparam("sha256")))
_MARK_OF = Statement(select(contents.c.touched_at).where(contents.c.id == bindparam("id")))
_TOUCH = Statement(
    update(contents)
    .where(contents.c.id == bindparam("content"), contents.c.sha256.isnot(None))
    .values(touched_at=bindparam("at"))
)


def _adding(insert: Any) -> Any:
    """A content that another node adds at the same time is taken as it is, and marked."""
    marked = {"touched_at": insert.excluded.touched_at}
    return insert.on_conflict_do_update(index_elements=["sha256"], set_=marked).returning(contents.c.id)


_ADD = Statement(
    {"sqlite": _adding(sqlite.insert(contents)), "postgresql": _adding(postgresql.insert(contents))},
    ["sha256", "size", "touched_at", "head"],
)
_ADD_CHUNK = insert_ignoring(content_chunks)
_ADD_BODY = insert_into(bodies, returning="id")
_REFER = insert_into(body_contents)
_BODY = Statement(select(bodies.c.parts).where(bodies.c.id == bindparam("id")))
_CONTENT = Statement(
    select(contents.c.sha256, contents.c.size, contents.c.head).where(contents.c.id == bindparam("id"))
)
_HEAD = Statement(
    select(func.substr(contents.c.head, bindparam("low"), bindparam("length"))).where(contents.c.id == bindparam("id"))
)
_CHUNKS = Statement(
    select(content_chunks.c.data)
    .where(content_chunks.c.content_id == bindparam("id"))
    .order_by(content_chunks.c.number)
)
_CHUNK_DATA = Statement(
    select(func.substr(content_chunks.c.data, bindparam("low"), bindparam("length"))).where(
        content_chunks.c.content_id == bindparam("id"), content_chunks.c.number == bindparam("number")
    )
)


class Reader(Protocol):
    """The part of ``Storage`` that reads on where a message was found."""

    def read_now(self, question: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A content in the database. Its bytes are read a chunk at a time, each in a short read of its own."""

    id: int
    sha256: bytes
    size: int
    reader: Reader = field(repr=False, compare=False)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            number, low = divmod(start, CHUNK)
            length = min(CHUNK - low, stop - start)
            yield self._piece(number, low, length)
            start += length

    def _piece(self, number: int, low: int, length: int) -> bytes:
        values = {"id": self.id, "number": number, "low": low + 1, "length": length}
        statement = _CHUNK_DATA if number else _HEAD
        row = self.reader.read_now(lambda connection: statement.one(connection, values))
        if row is None or len(row[0]) != length:
            raise Conflict(f"content {self.id} has lost bytes")
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
    now = micros(at)
    known: dict[bytes, int] = {}
    ids: list[int] = []
    references: list[dict[str, int]] = []
    for message in messages:
        used: set[int] = set()
        packed: list[bytes] = []
        for part in message.parts:
            if isinstance(part, bytes):
                packed += (_LITERAL.pack(0, len(part)), part)
                continue
            content = known.get(part.source.sha256)
            if content is None:
                content = known[part.source.sha256] = _keep(connection, part.source, now)
            used.add(content)
            packed.append(_RANGE.pack(1, content, part.start, part.stop))
        row = _ADD_BODY.one(connection, {"size": message.size, "created_at": now, "parts": b"".join(packed)})
        assert row is not None
        ids.append(row[0])
        references += ({"body_id": row[0], "content_id": content} for content in used)
    _REFER.many(connection, references)
    return ids


def load(connection: Connection, body_id: int) -> Octets:
    """The message that ``save`` kept, byte for byte.

    Raises:
        LookupError: there is no such body.
    """
    return load_many(connection, (body_id,))[0]


def load_many(connection: Connection, body_ids: Sequence[int]) -> list[Octets]:
    """Messages that share contents: each content is read once."""
    sources: dict[int, Source] = {}
    return [_load(connection, body_id, sources) for body_id in body_ids]


def _load(connection: Connection, body_id: int, sources: dict[int, Source]) -> Octets:
    row = _BODY.one(connection, {"id": body_id})
    if row is None:
        raise LookupError(f"no body {body_id}")
    parts: list[bytes | Span] = []
    for part in _unpacked(row[0]):
        if isinstance(part, bytes):
            parts.append(part)
            continue
        content, start, stop = part
        source = sources.get(content)
        if source is None:
            source = sources[content] = _source(connection, content)
        parts.append(Span(source, start, stop))
    return Octets.of(*parts)


def _unpacked(packed: bytes) -> Iterator[bytes | tuple[int, int, int]]:
    at = 0
    while at < len(packed):
        if packed[at]:
            _, content, start, stop = _RANGE.unpack_from(packed, at)
            at += _RANGE.size
            yield content, start, stop
        else:
            _, length = _LITERAL.unpack_from(packed, at)
            at += _LITERAL.size + length
            yield packed[at - length : at]


def _source(connection: Connection, content: int) -> Source:
    row = _CONTENT.one(connection, {"id": content})
    if row is None:
        raise LookupError(f"no content {content}")
    sha256, size, head = bytes(row[0]), row[1], bytes(row[2])
    if size > LOADED_WHOLE:
        return StoredContent(content, sha256, size, connection.info["storage"])
    if size > CHUNK:
        head += b"".join(bytes(chunk) for (chunk,) in _CHUNKS.all(connection, {"id": content}))
    return InMemory(head, sha256)


def _keep(connection: Connection, source: Source, now: int) -> int:
    """The id of a content with these bytes, marked so that nobody removes it before it is referred to."""
    if isinstance(source, StoredContent):
        mark = _MARK_OF.one(connection, {"id": source.id})
        found = (source.id, mark[0]) if mark else None
    else:
        found = _FIND.one(connection, {"sha256": source.sha256})
    if found is not None:
        content: int = found[0]
        if now - found[1] < FRESH or _TOUCH.run(connection, {"content": content, "at": now}):
            return content
    if isinstance(source, StoredContent):
        raise Conflict(f"content {source.id} is gone")
    return _add(connection, source, now)


def _add(connection: Connection, source: Source, now: int) -> int:
    pieces = source.pieces(0, source.size)
    head = next(pieces, b"")
    row = _ADD.one(connection, {"sha256": source.sha256, "size": source.size, "touched_at": now, "head": head})
    assert row is not None
    content: int = row[0]
    for number, piece in enumerate(pieces, start=1):
        _ADD_CHUNK.run(connection, {"content_id": content, "number": number, "data": piece})
    return content
