"""Counts of what the register holds, for who supervises the provider."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, case, func, or_, select, text

from gateway.storage.accounts import BoxKind
from gateway.storage.register import Event
from gateway.storage.tables import mailboxes, register
from gateway.storage.values import instant, micros
from receipts.wire import MessageKind

__all__ = ["Figures", "figures", "first_event"]

BY_KIND: Final = (Event.RECEPTION, Event.DELIVERY, Event.FAILURE, Event.EMISSION)
KINDS: Final = tuple(kind.value for kind in MessageKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What happened in a time, and how many boxes there were at its end."""

    sent: int  # certified messages that holders handed in and that were accepted
    refused: int  # those that were not
    received: int  # transport envelopes of other providers and of our own
    delivered: int  # into mailboxes of ours: one for each recipient
    emitted: dict[str, int]  # receipts, notices and envelopes by kind
    boxes: int  # of holders, that are still active today


def figures(connection: Connection, since: datetime, until: datetime) -> Figures:
    """Count what happened from ``since`` on and before ``until``."""
    within = register.c.at >= micros(since), register.c.at < micros(until)
    kinds = and_(register.c.event.in_([event.value for event in BY_KIND]), register.c.detail.in_(KINDS))
    sent = and_(register.c.event == Event.SUBMISSION.value, register.c.detail.is_(None))  # not what came again
    counted = or_(sent, register.c.event == Event.REFUSAL.value, kinds)
    kind = case((register.c.detail.in_(KINDS), register.c.detail), else_="").label("kind")
    query = (
        select(register.c.event, kind, func.count()).where(*within, counted).group_by(register.c.event, text("kind"))
    )
    found: dict[str, dict[str, int]] = {}
    for event, detail, count in connection.execute(query):
        found.setdefault(event, {})[detail] = count
    return Figures(
        sent=sum(found.get(Event.SUBMISSION, {}).values()),
        refused=sum(found.get(Event.REFUSAL, {}).values()),
        received=found.get(Event.RECEPTION, {}).get(MessageKind.ENVELOPE, 0),
        delivered=found.get(Event.DELIVERY, {}).get(MessageKind.ENVELOPE, 0),
        emitted=dict(sorted(found.get(Event.EMISSION, {}).items())),
        boxes=_boxes(connection, until),
    )


def first_event(connection: Connection) -> datetime | None:
    """The instant of the oldest row."""
    at = connection.execute(select(func.min(register.c.at))).scalar_one()
    return None if at is None else instant(at)


def _boxes(connection: Connection, until: datetime) -> int:
    held = mailboxes.c.kind == BoxKind.USER.value, mailboxes.c.active, mailboxes.c.created_at < micros(until)
    return int(connection.execute(select(func.count()).where(*held)).scalar_one())
