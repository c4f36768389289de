"""Boxes at other providers from which messages are collected: where they are, when they are due, how it went."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from gateway.points.following import Deletions
from gateway.storage.tables import collections, mailboxes
from gateway.storage.values import clean, instant, micros

__all__ = ["Collection", "add", "claim", "collections_of", "due", "ended", "failing_before", "hold", "remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One of them."""

    id: int
    mailbox_id: int
    address: str  # of the mailbox here
    host: str
    port: int
    user: str
    ca_file: str | None
    password_file: str
    every: timedelta
    deletions: Deletions  # what becomes of ours when theirs is deleted
    next_at: datetime
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    failing_since: datetime | None = None
    report: str | None = None

    @property
    def source(self) -> str:
        """As imports know it: what `import` brought along is not collected again."""
        return f"{self.user}@{self.host}:{self.port}"


_ALL = select(*collections.c, mailboxes.c.address).join(mailboxes, mailboxes.c.id == collections.c.mailbox_id)
_NAMES = [column.name for column in collections.c]


def add(
    connection: Connection,
    mailbox_id: int,
    *,
    host: str,
    port: int,
    user: str,
    ca_file: str | None,
    password_file: str,
    every: timedelta,
    deletions: Deletions,
    at: datetime,
) -> None:
    """Collect from a box, from now on; one that is known gets these terms."""
    terms = {
        "ca_file": ca_file,
        "password_file": password_file,
        "every_seconds": int(every.total_seconds()),
        "deletions": deletions.value,
        "next_at": micros(at),
    }
    same = _same(mailbox_id, host, port, user)
    if not connection.execute(update(collections).where(*same).values(**terms)).rowcount:
        source = {"mailbox_id": mailbox_id, "host": host, "port": port, "user": clean(user)}
        connection.execute(insert(collections).values(**source, **terms))


def remove(connection: Connection, collection: Collection) -> None:
    """Collect from there no longer; what is here stays."""
    connection.execute(delete(collections).where(collections.c.id == collection.id))


def collections_of(connection: Connection, mailbox_id: int) -> list[Collection]:
    query = _ALL.where(collections.c.mailbox_id == mailbox_id).order_by(collections.c.id)
    return [_collection(tuple(row)) for row in connection.execute(query)]


def due(connection: Connection, now: datetime, *, limit: int) -> list[Collection]:
    query = _ALL.where(collections.c.next_at <= micros(now)).order_by(collections.c.next_at).limit(limit)
    return [_collection(tuple(row)) for row in connection.execute(query)]


def claim(connection: Connection, collection: Collection, now: datetime, until: datetime) -> bool:
    """Take one that is due, and leave it to ourselves until then; False if another process was faster."""
    claimed = (
        update(collections)
        .where(collections.c.id == collection.id, collections.c.next_at == micros(collection.next_at))
        .values(next_at=micros(until), begun_at=micros(now))
    )
    return connection.execute(claimed).rowcount == 1


def hold(connection: Connection, collection_id: int, until: datetime) -> None:
    """Leave one whose run goes on to ourselves for longer."""
    connection.execute(update(collections).where(collections.c.id == collection_id).values(next_at=micros(until)))


def ended(connection: Connection, collection: Collection, at: datetime, report: str, *, failed: bool) -> None:
    """Note how a run went; the next one is due after a pause."""
    since = (collection.failing_since or at) if failed else None
    values = {
        "next_at": micros(at + collection.every),
        "ended_at": micros(at),
        "failing_since": None if since is None else micros(since),
        "report": clean(report),
    }
    connection.execute(update(collections).where(collections.c.id == collection.id).values(**values))


def failing_before(connection: Connection, before: datetime) -> list[Collection]:
    """Those that have failed since before that moment."""
    query = _ALL.where(collections.c.failing_since <= micros(before)).order_by(collections.c.failing_since)
    return [_collection(tuple(row)) for row in connection.execute(query)]


def _same(mailbox_id: int, host: str, port: int, user: str) -> tuple[Any, ...]:
    one = collections.c
    return one.mailbox_id == mailbox_id, one.host == host, one.port == port, one.user == clean(user)


def _collection(row: tuple[Any, ...]) -> Collection:
    *own, address = row
    values = dict(zip(_NAMES, own, strict=True))
    values["deletions"] = Deletions(values["deletions"])
    values["every"] = timedelta(seconds=values.pop("every_seconds"))
    for name in ("next_at", "begun_at", "ended_at", "failing_since"):
        values[name] = None if values[name] is None else instant(values[name])
    return Collection(address=address, **values)
