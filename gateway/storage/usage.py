"""How full mailboxes are, who was told, and how they filled day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, Integer, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.points.box import ALERTED_AT
from gateway.storage.accounts import BoxKind
from gateway.storage.statements import Row, Statement
from gateway.storage.tables import accounts, mailbox_days, mailboxes

__all__ = [
    "Usage",
    "days_of",
    "forget_days",
    "note_day",
    "set_notice_address",
    "set_quota",
    "set_receipts_in_inbox",
    "tell",
    "to_tell",
    "usage_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How full a mailbox is."""

    mailbox_id: int
    address: str
    language: str
    used: int  # bytes of what counts
    quota: int | None  # its own; None: the provider's default; 0: none
    told: int  # percent, of the last alert
    receipts_in_inbox: bool
    notice_address: str | None


_COLUMNS = (
    mailboxes.c.id,
    mailboxes.c.address,
    accounts.c.language,
    mailboxes.c.used_bytes,
    mailboxes.c.quota_bytes,
    mailboxes.c.quota_told,
    mailboxes.c.receipts_in_inbox,
    mailboxes.c.notice_address,
)
_JOINED = mailboxes.join(accounts, accounts.c.mailbox_id == mailboxes.c.id)
_USAGE = Statement(select(*_COLUMNS).select_from(_JOINED).where(mailboxes.c.id == bindparam("mailbox")).limit(1))
_TO_TELL = Statement(
    select(*_COLUMNS)
    .select_from(_JOINED)
    .where(
        mailboxes.c.kind == BoxKind.USER.value,
        or_(
            mailboxes.c.quota_told > 0,
            mailboxes.c.used_bytes * 100
            >= func.coalesce(mailboxes.c.quota_bytes, bindparam("quota")) * min(ALERTED_AT),
        ),
    )
    .order_by(mailboxes.c.id)
)
_TELL = Statement(
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox"), mailboxes.c.quota_told == bindparam("told"))
    .values(quota_told=bindparam("level"))
)
_QUOTA = Statement(
    update(mailboxes).where(mailboxes.c.id == bindparam("mailbox")).values(quota_bytes=bindparam("bytes"))
)
_RECEIPTS = Statement(
    update(mailboxes).where(mailboxes.c.id == bindparam("mailbox")).values(receipts_in_inbox=bindparam("inbox"))
)
_NOTICE = Statement(
    update(mailboxes).where(mailboxes.c.id == bindparam("mailbox")).values(notice_address=bindparam("address"))
)
_TODAY = select(mailboxes.c.id, bindparam("day", type_=Integer()), mailboxes.c.used_bytes).where(
    mailboxes.c.kind == BoxKind.USER.value, mailboxes.c.used_bytes > 0
)
_NOTE = Statement(
    {
        "sqlite": sqlite.insert(mailbox_days)
        .from_select(["mailbox_id", "day", "used_bytes"], _TODAY)
        .on_conflict_do_nothing(),
        "postgresql": postgresql.insert(mailbox_days)
        .from_select(["mailbox_id", "day", "used_bytes"], _TODAY)
        .on_conflict_do_nothing(),
    }
)
_DAYS = Statement(
    select(mailbox_days.c.day, mailbox_days.c.used_bytes)
    .where(mailbox_days.c.mailbox_id == bindparam("mailbox"), mailbox_days.c.day >= bindparam("since"))
    .order_by(mailbox_days.c.day)
)
_FORGET = Statement(delete(mailbox_days).where(mailbox_days.c.day < bindparam("before")))
NO_QUOTA: Final = 1 << 62


def usage_of(connection: Connection, mailbox_id: int) -> Usage | None:
    row = _USAGE.one(connection, {"mailbox": mailbox_id})
    return None if row is None else _usage(row)


def to_tell(connection: Connection, default_quota: int | None) -> list[Usage]:
    """The mailboxes that are fuller than the lowest alert, or were told so before. With a quota of 0: none."""
    quota = NO_QUOTA // 1_000 if default_quota is None else default_quota
    return [_usage(row) for row in _TO_TELL.all(connection, {"quota": quota})]


def tell(connection: Connection, usage: Usage, level: int) -> bool:
    """Note the last alert; False if another node was faster."""
    return _TELL.run(connection, {"mailbox": usage.mailbox_id, "told": usage.told, "level": level}) == 1


def set_quota(connection: Connection, mailbox_id: int, quota: int | None) -> None:
    """Give a mailbox a quota of its own: 0 is none, None the provider's default."""
    _QUOTA.run(connection, {"mailbox": mailbox_id, "bytes": quota})


def set_receipts_in_inbox(connection: Connection, mailbox_id: int, inbox: bool) -> None:
    _RECEIPTS.run(connection, {"mailbox": mailbox_id, "inbox": inbox})


def set_notice_address(connection: Connection, mailbox_id: int, address: str | None) -> None:
    _NOTICE.run(connection, {"mailbox": mailbox_id, "address": address})


def note_day(connection: Connection, day: date) -> int:
    """Note how full each mailbox is today, once a day; of how many that was."""
    return _NOTE.run(connection, {"day": day.toordinal()})


def days_of(connection: Connection, mailbox_id: int, since: date) -> Sequence[tuple[date, int]]:
    """How full a mailbox was, day by day."""
    rows = _DAYS.all(connection, {"mailbox": mailbox_id, "since": since.toordinal()})
    return [(date.fromordinal(day), used) for day, used in rows]


def forget_days(connection: Connection, before: datetime) -> int:
    return _FORGET.run(connection, {"before": before.toordinal()})


def _usage(row: Row) -> Usage:
    return Usage(
        mailbox_id=row[0],
        address=row[1],
        language=row[2],
        used=row[3],
        quota=row[4],
        told=row[5],
        receipts_in_inbox=bool(row[6]),
        notice_address=row[7],
    )
