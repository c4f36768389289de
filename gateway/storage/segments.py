"""Closed days of the register as they are kept: what was signed, what was stamped, what has been removed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, func, select, update

from gateway.storage.errors import Conflict
from gateway.storage.segment_form import SegmentStatement
from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import register, register_links
from gateway.storage.tables import register_segments as table
from gateway.storage.values import instant, micros

__all__ = [
    "Segment",
    "Unclosed",
    "add",
    "begin_removal",
    "every_segment",
    "find",
    "keep_stamp",
    "last",
    "last_before",
    "list_from",
    "postpone_stamp",
    "removable",
    "remove_some",
    "stamps_due",
    "unclosed",
    "without_stamp",
]

LISTED_AT_ONCE: Final = 100
REMOVED_AT_ONCE: Final = 1_000
"""Rows in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment as it is kept."""

    number: int
    day: date
    first: int  # positions, both within
    last: int
    latest: datetime  # of its rows
    link_after: bytes  # the link of its last row
    statement: bytes  # what is signed (``segment_form``)
    signature: bytes
    closed_at: datetime
    stamp: bytes | None  # None: not stamped yet
    stamped_at: datetime | None
    stamp_source: str | None
    attempts: int  # to have it stamped
    body_id: int | None  # its lines, gzip; None: removed
    removed_at: datetime | None  # when its rows began to be removed
    emptied: bool  # the last of them is gone


@dataclass(frozen=True, slots=True)
class Unclosed:
    """The first row that stands in no segment."""

    position: int
    at: datetime


_AT = func.coalesce(register.c.at, register_links.c.at)
_LINKED = register_links.outerjoin(register, register.c.id == register_links.c.register_id)
_UNCLOSED = Statement(
    select(register_links.c.position, _AT)
    .select_from(_LINKED)
    .where(register_links.c.position > bindparam("after"))
    .order_by(register_links.c.position)
    .limit(1)
)
_LAST_BEFORE = Statement(
    select(register_links.c.position)
    .select_from(_LINKED)
    .where(register_links.c.position > bindparam("after"), bindparam("moment") > _AT)
    .order_by(register_links.c.position.desc())
    .limit(1)
)
_ADD = insert_into(table)
_STAMP = Statement(
    update(table)
    .where(table.c.number == bindparam("segment"), table.c.stamp.is_(None))
    .values(stamp=bindparam("response"), stamped_at=bindparam("at"), stamp_source=bindparam("source"))
)
_POSTPONE = Statement(
    update(table)
    .where(table.c.number == bindparam("segment"), table.c.stamp.is_(None))
    .values(attempts=table.c.attempts + 1, next_attempt_at=bindparam("due"))
)
_BEGIN_REMOVAL = Statement(
    update(table)
    .where(table.c.number == bindparam("segment"), table.c.removed_at.is_(None))
    .values(removed_at=bindparam("at"), body_id=None)
)
_EMPTIED = Statement(update(table).where(table.c.number == bindparam("segment")).values(emptied=True))
_SOME = Statement(
    select(register_links.c.position, register_links.c.register_id)
    .where(register_links.c.position.between(bindparam("low"), bindparam("high")))
    .order_by(register_links.c.position)
    .limit(bindparam("most"))
)


def last(connection: Connection) -> Segment | None:
    """The latest segment."""
    return _first(connection, select(table).order_by(table.c.number.desc()).limit(1))


def find(connection: Connection, number: int) -> Segment | None:
    return _first(connection, select(table).where(table.c.number == number))


def list_from(connection: Connection, number: int, limit: int) -> list[Segment]:
    """The segments from that number on."""
    return _all(connection, select(table).where(table.c.number >= number).order_by(table.c.number).limit(limit))


def every_segment(read: Callable[[Callable[[Connection], Any]], Any]) -> Iterator[Segment]:
    """All segments, some at a time.

    Args:
        read: ``Storage.read_now``, or what asks one connection.
    """
    number = 1
    while found := read(partial(list_from, number=number, limit=LISTED_AT_ONCE)):
        yield from found
        number = found[-1].number + 1


def unclosed(connection: Connection, after: int) -> Unclosed | None:
    """The first linked row behind a position."""
    row = _UNCLOSED.one(connection, {"after": after})
    return None if row is None else Unclosed(row[0], instant(row[1]))


def last_before(connection: Connection, after: int, moment: datetime) -> int | None:
    """The last position, behind ``after``, of a row from before that moment."""
    row = _LAST_BEFORE.one(connection, {"after": after, "moment": micros(moment)})
    return None if row is None else int(row[0])


def add(connection: Connection, said: SegmentStatement, signature: bytes, body_id: int) -> None:
    """Keep a segment that was signed.

    Raises:
        Conflict: another node has closed these rows meanwhile.
    """
    before = last(connection)
    if (0 if before is None else before.number) + 1 != said.number or (before.last if before else 0) + 1 != said.first:
        raise Conflict("another segment was closed meanwhile")
    row = {
        "number": said.number,
        "day": said.day.isoformat(),
        "first": said.first,
        "last": said.last,
        "latest": micros(said.latest),
        "link_after": said.link_after,
        "statement": said.to_bytes(),
        "signature": signature,
        "closed_at": micros(said.closed_at),
        "stamp": None,
        "stamped_at": None,
        "stamp_source": None,
        "attempts": 0,
        "next_attempt_at": micros(said.closed_at),
        "body_id": body_id,
        "removed_at": None,
        "emptied": False,
    }
    _ADD.run(connection, row)


def stamps_due(connection: Connection, now: datetime, *, limit: int) -> list[Segment]:
    """Segments that wait for a time stamp, and may be tried now."""
    waiting = select(table).where(table.c.stamp.is_(None), table.c.next_attempt_at <= micros(now))
    return _all(connection, waiting.order_by(table.c.number).limit(limit))


def without_stamp(connection: Connection) -> int:
    """How many segments wait for a time stamp."""
    return int(connection.execute(select(func.count()).where(table.c.stamp.is_(None))).scalar_one())


def keep_stamp(connection: Connection, number: int, response: bytes, at: datetime, source: str) -> None:
    """Keep the time stamp of a segment that has none yet."""
    _STAMP.run(connection, {"segment": number, "response": response, "at": micros(at), "source": source})


def postpone_stamp(connection: Connection, number: int, due: datetime) -> None:
    """Let nobody try before that moment."""
    _POSTPONE.run(connection, {"segment": number, "due": micros(due)})


def removable(connection: Connection, before: datetime, *, limit: int) -> list[Segment]:
    """Segments all of whose rows are older than that, and which are not empty yet."""
    old = select(table).where(table.c.latest < micros(before), table.c.closed_at < micros(before), ~table.c.emptied)
    return _all(connection, old.order_by(table.c.number).limit(limit))


def begin_removal(connection: Connection, number: int, at: datetime) -> bool:
    """Give the rows of a segment up, and its lines with them; False: somebody has already."""
    return _BEGIN_REMOVAL.run(connection, {"segment": number, "at": micros(at)}) == 1


def remove_some(connection: Connection, segment: Segment, most: int = REMOVED_AT_ONCE) -> int:
    """Remove the next rows of a segment that were given up, with their links; how many, 0: there are none left."""
    found = _SOME.all(connection, {"low": segment.first, "high": segment.last, "most": most})
    if found:
        positions, ids = [row[0] for row in found], [row[1] for row in found]
        connection.execute(delete(register).where(register.c.id.in_(ids)))
        connection.execute(delete(register_links).where(register_links.c.position.in_(positions)))
    if len(found) < most:
        _EMPTIED.run(connection, {"segment": segment.number})
    return len(found)


def _first(connection: Connection, query: Select[Any]) -> Segment | None:
    found = _all(connection, query)
    return found[0] if found else None


def _all(connection: Connection, query: Select[Any]) -> list[Segment]:
    return [_segment(row) for row in connection.execute(query).mappings()]


def _segment(row: Any) -> Segment:
    return Segment(
        number=row["number"],
        day=date.fromisoformat(row["day"]),
        first=row["first"],
        last=row["last"],
        latest=instant(row["latest"]),
        link_after=bytes(row["link_after"]),
        statement=bytes(row["statement"]),
        signature=bytes(row["signature"]),
        closed_at=instant(row["closed_at"]),
        stamp=None if row["stamp"] is None else bytes(row["stamp"]),
        stamped_at=None if row["stamped_at"] is None else instant(row["stamped_at"]),
        stamp_source=row["stamp_source"],
        attempts=row["attempts"],
        body_id=row["body_id"],
        removed_at=None if row["removed_at"] is None else instant(row["removed_at"]),
        emptied=bool(row["emptied"]),
    )
