"""When a day of the register is closed, and when what was closed may be removed (LOG-02, LOG-04).

A day is a day of legal time where the provider is: it has 23 or 25 hours when summer time begins or ends.
"""

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = ["GRACE", "day_ends", "day_to_close", "kept_since", "two_months"]

GRACE = timedelta(days=7)
"""Kept for longer than was asked, so that no way of counting months finds a row removed too early."""


def day_to_close(first: datetime, last_closed: date | None, now: datetime, hour: int) -> date | None:
    """The day whose rows, if there are any, are to be closed now; None: there is no such day yet.

    A row that comes after its day was closed belongs to the next day that is closed. A row from the future, where a
    clock was wrong, does not keep the rows around it from being closed.

    Args:
        first: the instant of the first row that stands in no segment, in the provider's zone.
        last_closed: the latest day that was closed.
        now: in the provider's zone.
        hour: a day is closed from this hour of the next day on.
    """
    yesterday = (now.replace(tzinfo=None) - timedelta(hours=hour)).date() - timedelta(days=1)
    day = min(first.date(), yesterday)
    if last_closed is not None:
        day = max(day, last_closed + timedelta(days=1))
    return day if day <= yesterday else None


def day_ends(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of the next day."""
    return datetime.combine(day + timedelta(days=1), time(), zone)


def kept_since(now: datetime, months: int) -> datetime:
    """What is older than this has been kept for so many months, and a week."""
    total = now.year * 12 + now.month - 1 - months
    year, month = divmod(total, 12)
    day = min(now.day, monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day) - GRACE


def two_months(day: date) -> tuple[date, date]:
    """The two months that a day lies in (January and February, and so on): the first day, and the first day after."""
    start = date(day.year, (day.month - 1) // 2 * 2 + 1, 1)
    after = date(day.year + (start.month == 11), (start.month + 1) % 12 + 1, 1)
    return start, after
