"""What is fetched from elsewhere, by name: the last good copy, when it is due again, and why it could not be had.

One process at a time fetches a name; all of them use what it brought.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.storage.statements import Statement, insert_ignoring
from gateway.storage.tables import downloads
from gateway.storage.values import clean, instant, micros

__all__ = ["Download", "claim", "confirm", "copy_of", "fail", "forget", "hasten", "keep", "state_of", "states", "want"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How things stand with one name."""

    name: str
    url: str
    version: str | None  # SHA-256 of the copy; None while there is none
    tag: str | None
    good_at: datetime | None
    tried_at: datetime | None
    failure: str | None
    failures: int
    next_at: datetime


NEVER = 2**62
"""Microseconds: later than anything is due."""

_COLUMNS = ("name", "url", "version", "tag", "good_at", "tried_at", "failure", "failures", "next_at")
_FIELDS = [downloads.c[name] for name in _COLUMNS]
_MINE = downloads.c.name == bindparam("key")
_WANT = insert_ignoring(downloads)
_MOVED = Statement(
    update(downloads)
    .where(_MINE, downloads.c.url != bindparam("address"))
    .values(url=bindparam("address"), tag=None, next_at=bindparam("at"))
)
_ALL = Statement(select(*_FIELDS).order_by(downloads.c.name))
_ONE = Statement(select(*_FIELDS).where(_MINE))
_DATA = Statement(select(downloads.c.data).where(_MINE))
_CLAIM = Statement(
    update(downloads)
    .where(_MINE, downloads.c.leased_until <= bindparam("at"), downloads.c.next_at <= bindparam("due"))
    .values(leased_until=bindparam("until"))
)
_TRIED = {"tried_at": bindparam("at"), "next_at": bindparam("next"), "leased_until": 0}
_GOOD = _TRIED | {"good_at": bindparam("at"), "failure": None, "failures": 0}
_CONFIRM = Statement(update(downloads).where(_MINE).values(**_GOOD))
_KEEP = Statement(
    update(downloads)
    .where(_MINE)
    .values(**_GOOD, data=bindparam("bytes"), version=bindparam("hash"), tag=bindparam("mark"))
)
_FAIL = Statement(
    update(downloads).where(_MINE).values(**_TRIED, failure=bindparam("reason"), failures=downloads.c.failures + 1)
)
_HASTEN = Statement(update(downloads).values(next_at=bindparam("at")))
_FORGET = Statement(delete(downloads).where(_MINE))


def want(connection: Connection, name: str, url: str, at: datetime) -> None:
    """Have it fetched from now on, and at once if it is new or stands elsewhere now."""
    row = dict.fromkeys(("data", "version", "tag", "good_at", "tried_at", "failure"))
    row |= {"name": name, "url": url, "failures": 0, "next_at": micros(at), "leased_until": 0}
    _WANT.run(connection, row)
    _MOVED.run(connection, {"key": name, "address": url, "at": micros(at)})


def claim(connection: Connection, name: str, at: datetime, until: datetime, *, at_once: bool = False) -> bool:
    """Take the fetching of it upon oneself until then; False if it is not due, or somebody else does it.

    Args:
        at_once: also if it is not due.
    """
    values = {"key": name, "at": micros(at), "due": NEVER if at_once else micros(at), "until": micros(until)}
    return _CLAIM.run(connection, values) > 0


def keep(connection: Connection, name: str, data: bytes, tag: str | None, at: datetime, next_at: datetime) -> None:
    """A good copy came."""
    digest = hashlib.sha256(data).hexdigest()
    values = {"key": name, "at": micros(at), "next": micros(next_at), "bytes": data, "hash": digest, "mark": tag}
    _KEEP.run(connection, values)


def confirm(connection: Connection, name: str, at: datetime, next_at: datetime) -> None:
    """The copy we have is the newest."""
    _CONFIRM.run(connection, {"key": name, "at": micros(at), "next": micros(next_at)})


def fail(connection: Connection, name: str, reason: str, at: datetime, next_at: datetime) -> None:
    """Nothing came, or nothing good; the last good copy stays."""
    _FAIL.run(connection, {"key": name, "at": micros(at), "next": micros(next_at), "reason": clean(reason)})


def hasten(connection: Connection, at: datetime) -> None:
    """Let everything be due."""
    _HASTEN.run(connection, {"at": micros(at)})


def state_of(connection: Connection, name: str) -> Download | None:
    row = _ONE.one(connection, {"key": name})
    return None if row is None else _download(row)


def states(connection: Connection) -> list[Download]:
    """Everything that is fetched, by name."""
    return [_download(row) for row in _ALL.all(connection, {})]


def copy_of(connection: Connection, name: str) -> bytes | None:
    """The last good copy."""
    row = _DATA.one(connection, {"key": name})
    return None if row is None or row[0] is None else bytes(row[0])


def forget(connection: Connection, names: Iterable[str]) -> None:
    """Fetch these no more, and drop their copies."""
    _FORGET.many(connection, [{"key": name} for name in names])


def _download(row: tuple[object, ...]) -> Download:
    values = dict(zip(_COLUMNS, row, strict=True))
    for column in ("good_at", "tried_at", "next_at"):
        moment = values[column]
        values[column] = None if moment is None else instant(moment)  # type: ignore[arg-type]
    return Download(**values)  # type: ignore[arg-type]
