"""Alarms: one row from the moment something an operator must see begins until it is over.

``flows.alarms`` decides when; here are the statements. Each is a conditional change, so any number of nodes may make
it at the same time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from gateway.storage.statements import Statement, insert_ignoring
from gateway.storage.tables import alarms
from gateway.storage.values import clean, instant, micros

__all__ = ["Alarm", "begin", "count", "end", "find", "forget", "list_since", "standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that an operator must see, or had to."""

    id: int
    name: str
    place: str  # the process that it is about; empty: the provider as a whole
    detail: str
    raised_at: datetime
    told_at: datetime  # when it was last seen to stand
    over_at: datetime | None  # None: it stands


_STANDS = alarms.c.name == bindparam("at_name"), alarms.c.place == bindparam("at_place"), alarms.c.over_at.is_(None)
_AGAIN = Statement(update(alarms).where(*_STANDS).values(detail=bindparam("text"), told_at=bindparam("now")))
_BEGIN = insert_ignoring(alarms, without=("id",))
_END = Statement(update(alarms).where(*_STANDS).values(over_at=bindparam("now")).returning(alarms.c.raised_at))
_STANDING = Statement(select(alarms).where(*_STANDS))
_COUNT = Statement(select(func.count()).where(alarms.c.over_at.is_(None)))
MOST: Final = 10_000


def begin(connection: Connection, name: str, place: str, detail: str, at: datetime) -> bool:
    """Let an alarm stand from now on; False: it stood already, and has the new detail."""
    now = micros(at)
    known = {"at_name": clean(name), "at_place": clean(place), "text": clean(detail), "now": now}
    if _AGAIN.run(connection, known):
        return False
    row = {
        "name": known["at_name"],
        "place": known["at_place"],
        "detail": known["text"],
        "raised_at": now,
        "told_at": now,
        "over_at": None,
    }
    return _BEGIN.run(connection, row) == 1


def end(connection: Connection, name: str, place: str, at: datetime) -> datetime | None:
    """Let an alarm be over: since when it stood; None if it does not stand."""
    row = _END.one(connection, {"at_name": clean(name), "at_place": clean(place), "now": micros(at)})
    return None if row is None else instant(row[0])


def standing(connection: Connection, name: str, place: str) -> Alarm | None:
    """The alarm of that name and place that stands now."""
    row = _STANDING.one(connection, {"at_name": clean(name), "at_place": clean(place)})
    return None if row is None else _alarm(dict(zip(alarms.c.keys(), row, strict=True)))


def find(connection: Connection, alarm_id: int) -> Alarm | None:
    row = connection.execute(select(alarms).where(alarms.c.id == alarm_id)).mappings().first()
    return None if row is None else _alarm(row)


def count(connection: Connection) -> int:
    """How many stand."""
    row = _COUNT.one(connection, {})
    return 0 if row is None else int(row[0])


def list_since(connection: Connection, since: datetime | None = None) -> list[Alarm]:
    """The alarms that stand, and those that were raised or ended since a moment; in the order in which they began."""
    query = select(alarms).order_by(alarms.c.raised_at, alarms.c.id).limit(MOST)
    if since is None:
        query = query.where(alarms.c.over_at.is_(None))
    else:
        query = query.where(or_(alarms.c.over_at.is_(None), alarms.c.over_at >= micros(since)))
    return [_alarm(row) for row in connection.execute(query).mappings()]


def forget(connection: Connection, before: datetime) -> int:
    """Remove alarms that were over before that moment; how many."""
    return connection.execute(delete(alarms).where(alarms.c.over_at < micros(before))).rowcount


def _alarm(row: Any) -> Alarm:
    return Alarm(
        id=row["id"],
        name=row["name"],
        place=row["place"],
        detail=row["detail"],
        raised_at=instant(row["raised_at"]),
        told_at=instant(row["told_at"]),
        over_at=None if row["over_at"] is None else instant(row["over_at"]),
    )
