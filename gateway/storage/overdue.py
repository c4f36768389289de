"""Certified recipients of whom nothing, or no end, was heard for long (RFC 6109 section 3.1.6)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from gateway.points.tracking import RecipientState
from gateway.storage.statements import Statement
from gateway.storage.tables import certified_messages, certified_recipients
from gateway.storage.values import instant, micros

__all__ = ["Overdue", "unanswered", "unended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A recipient whose message has not ended."""

    pec_msgid: str
    address: str
    accepted_at: datetime  # UTC


_OPEN = (
    select(certified_messages.c.pec_msgid, certified_recipients.c.address, certified_recipients.c.accepted_at)
    .join(certified_messages)
    .where(
        certified_recipients.c.ended_at.is_(None),  # what the index on these rows holds
        certified_recipients.c.accepted_at <= bindparam("until"),
    )
    .order_by(certified_recipients.c.accepted_at, certified_recipients.c.message_id, certified_recipients.c.address_key)
    .limit(bindparam("most"))
    .offset(bindparam("skip"))
)
_SILENT = _OPEN.where(
    certified_recipients.c.accepted_at > bindparam("after"),
    certified_recipients.c.state == RecipientState.ACCEPTED.value,
    certified_recipients.c.delayed_at.is_(None),
)
_UNENDED = Statement(_OPEN)
_UNANSWERED = Statement(_SILENT)


def unended(connection: Connection, until: datetime, *, limit: int, skip: int = 0) -> list[Overdue]:
    """Those accepted until then whose message has not ended, oldest first. Ordinary recipients have no end to await.

    Args:
        skip: as many of the oldest are passed over.
    """
    return _found(_UNENDED.all(connection, {"until": micros(until), "most": limit, "skip": skip}))


def unanswered(connection: Connection, after: datetime, until: datetime, *, limit: int, skip: int = 0) -> list[Overdue]:
    """Those accepted after one moment and until another, of whom nothing was heard and nobody was told yet."""
    values = {"after": micros(after), "until": micros(until), "most": limit, "skip": skip}
    return _found(_UNANSWERED.all(connection, values))


def _found(rows: list[tuple[str, str, int]]) -> list[Overdue]:
    return [Overdue(pec_msgid=row[0], address=row[1], accepted_at=instant(row[2])) for row in rows]
