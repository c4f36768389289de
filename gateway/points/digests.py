"""When the holder of a box hears, at an ordinary mailbox, of what came, and of what kinds of mail."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from enum import IntFlag, StrEnum
from typing import Final

from receipts.wire import MessageKind

__all__ = ["AT_MOST_EVERY", "About", "Beat", "about_of", "due"]


class Beat(StrEnum):
    """How often a holder hears."""

    IMMEDIATELY = "immediately"
    HOURLY = "hourly"
    DAILY = "daily"


class About(IntFlag):
    """Of what a holder may want to hear."""

    CERTIFIED = 1  # messages in transport envelopes
    FAILURES = 2  # notices: not accepted, not delivered, overdue, infected
    RECEIPTS = 4  # of acceptance and delivery
    ORDINARY = 8  # anomaly envelopes and bare ordinary mail


AT_MOST_EVERY: Final = timedelta(minutes=1)
"""How soon after a notice the next one may leave: a thousand receipts are a few notices."""


def about_of(kind: str) -> About:
    """What the arrival of a message of this kind is; nothing for what the service itself files."""
    return _ABOUT_KIND.get(kind, About(0))


def due(beat: Beat, first_at: datetime, daily_at: time) -> datetime:
    """When a box is told of what has come since ``first_at``, which is aware and in the provider's zone.

    Args:
        daily_at: of the wall clock, for the daily digest. Where it does not exist that day (summer time begins) the
            digest leaves an hour later by the wall clock; where it comes twice, the first time.
    """
    if beat is Beat.IMMEDIATELY:
        return first_at
    if beat is Beat.HOURLY:
        begun = first_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return (begun + timedelta(hours=1)).astimezone(first_at.tzinfo)
    today = first_at.date()
    ends = (
        datetime.combine(day, daily_at, first_at.tzinfo).astimezone(UTC) for day in (today, today + timedelta(days=1))
    )
    return next(end for end in ends if end > first_at.astimezone(UTC)).astimezone(first_at.tzinfo)


_ABOUT_KIND: Final[Mapping[str, About]] = {
    MessageKind.ENVELOPE.value: About.CERTIFIED,
    MessageKind.NON_ACCEPTANCE.value: About.FAILURES,
    MessageKind.NON_ACCEPTANCE_VIRUS.value: About.FAILURES,
    MessageKind.TIMEOUT.value: About.FAILURES,
    MessageKind.VIRUS.value: About.FAILURES,
    MessageKind.NON_DELIVERY.value: About.FAILURES,
    MessageKind.NON_DELIVERY_VIRUS.value: About.FAILURES,
    MessageKind.ACCEPTANCE.value: About.RECEIPTS,
    MessageKind.TAKE_CHARGE.value: About.RECEIPTS,
    MessageKind.DELIVERY.value: About.RECEIPTS,
    MessageKind.ANOMALY.value: About.ORDINARY,
    "ordinary": About.ORDINARY,
}
