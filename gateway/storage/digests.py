"""What holders are yet to hear of at an ordinary mailbox: counted with each arrival, taken out once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from gateway.points.digests import About, Beat
from gateway.storage.statements import Row, Statement, insert_into
from gateway.storage.tables import accounts, digests, mailboxes
from gateway.storage.values import instant, micros

__all__ = ["Arrivals", "Digest", "Subscription", "count", "put_off", "set_digest", "subscription_of", "take", "waiting"]

MOST_AT_ONCE: Final = 200
COUNTED: Final = {
    About.CERTIFIED: "certified",
    About.FAILURES: "failures",
    About.RECEIPTS: "receipts",
    About.ORDINARY: "ordinary",
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """How often the holder of a mailbox hears, and of what."""

    beat: Beat
    about: About


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came into one mailbox in one group of transactions."""

    mailbox_id: int
    first_at: int  # as ``values.micros``
    counted: Mapping[About, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What the holder of a mailbox has not heard of."""

    mailbox_id: int
    beat: Beat
    first_at: datetime
    counted: Mapping[About, int]
    box: str
    language: str
    to: str | None  # None: there is no address any more


_COUNT = Statement(
    update(digests)
    .where(digests.c.mailbox_id == bindparam("mailbox"))
    .values(
        first_at=func.coalesce(digests.c.first_at, bindparam("at")),
        **{name: digests.c[name] + bindparam(f"new_{name}") for name in COUNTED.values()},
    )
)
_WAITING = Statement(
    select(
        digests.c.mailbox_id,
        digests.c.beat,
        digests.c.first_at,
        *(digests.c[name] for name in COUNTED.values()),
        mailboxes.c.address,
        select(accounts.c.language)
        .where(accounts.c.mailbox_id == mailboxes.c.id)
        .order_by(accounts.c.id)
        .limit(1)
        .scalar_subquery(),
        mailboxes.c.notice_address,
    )
    .select_from(digests.join(mailboxes, mailboxes.c.id == digests.c.mailbox_id))
    .where(digests.c.first_at.is_not(None), digests.c.not_before <= bindparam("now"))
    .order_by(digests.c.not_before, digests.c.mailbox_id)
    .limit(MOST_AT_ONCE)
)
_THE_SAME = (
    digests.c.mailbox_id == bindparam("mailbox"),
    digests.c.first_at == bindparam("first"),
    *(digests.c[name] == bindparam(f"seen_{name}") for name in COUNTED.values()),
)
_TAKE = Statement(
    update(digests)
    .where(*_THE_SAME)
    .values(first_at=None, not_before=bindparam("next"), **dict.fromkeys(COUNTED.values(), 0))
)
_PUT_OFF = Statement(
    update(digests)
    .where(digests.c.mailbox_id == bindparam("mailbox"), digests.c.first_at == bindparam("first"))
    .values(
        not_before=case((digests.c.not_before < bindparam("until"), bindparam("until")), else_=digests.c.not_before)
    )
)
_FORGET = Statement(delete(digests).where(digests.c.mailbox_id == bindparam("mailbox")))
_ADD = insert_into(digests)
_ABOUT = Statement(
    update(mailboxes).where(mailboxes.c.id == bindparam("mailbox")).values(told_about=bindparam("about"))
)
_SUBSCRIPTION = Statement(
    select(digests.c.beat, mailboxes.c.told_about)
    .select_from(digests.join(mailboxes, mailboxes.c.id == digests.c.mailbox_id))
    .where(digests.c.mailbox_id == bindparam("mailbox"))
)


def count(connection: Connection, arrivals: Iterable[Arrivals]) -> None:
    """Count what came into mailboxes whose holders want to hear of it; the caller holds those mailboxes."""
    rows = [
        {"mailbox": one.mailbox_id, "at": one.first_at}
        | {f"new_{name}": one.counted.get(about, 0) for about, name in COUNTED.items()}
        for one in arrivals
    ]
    _COUNT.many(connection, rows)


def waiting(connection: Connection, now: datetime) -> list[Digest]:
    """What should be looked at by now, the oldest first, at most ``MOST_AT_ONCE``."""
    return [_digest(row) for row in _WAITING.all(connection, {"now": micros(now)})]


def take(connection: Connection, digest: Digest, not_before: datetime) -> bool:
    """Take out what a notice is about to tell; False if it is not the same any more. The next not before so late."""
    return _TAKE.run(connection, _seen(digest) | {"next": micros(not_before)}) == 1


def put_off(connection: Connection, digest: Digest, until: datetime) -> None:
    """Look at it again at ``until``, if it is the same digest still."""
    values = {"mailbox": digest.mailbox_id, "first": micros(digest.first_at), "until": micros(until)}
    _PUT_OFF.run(connection, values)


def set_digest(connection: Connection, mailbox_id: int, wanted: Subscription | None, now: datetime) -> None:
    """Let a holder hear of what comes from now on; None: of nothing."""
    _ABOUT.run(connection, {"mailbox": mailbox_id, "about": 0 if wanted is None else int(wanted.about)})
    _FORGET.run(connection, {"mailbox": mailbox_id})
    if wanted is not None:
        row = {"mailbox_id": mailbox_id, "beat": wanted.beat.value, "not_before": micros(now), "first_at": None}
        _ADD.run(connection, row | dict.fromkeys(COUNTED.values(), 0))


def subscription_of(connection: Connection, mailbox_id: int) -> Subscription | None:
    row = _SUBSCRIPTION.one(connection, {"mailbox": mailbox_id})
    return None if row is None else Subscription(Beat(row[0]), About(row[1]))


def _seen(digest: Digest) -> dict[str, int]:
    return {"mailbox": digest.mailbox_id, "first": micros(digest.first_at)} | {
        f"seen_{name}": digest.counted[about] for about, name in COUNTED.items()
    }


def _digest(row: Row) -> Digest:
    return Digest(
        mailbox_id=row[0],
        beat=Beat(row[1]),
        first_at=instant(row[2]),
        counted=dict(zip(COUNTED, row[3:7], strict=True)),
        box=row[7],
        language=row[8] or "it",
        to=row[9],
    )
