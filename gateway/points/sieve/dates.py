"""Parts of a date as the extension date has them (RFC 5260 section 4.1 to 4.3)."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

__all__ = ["PARTS", "date_in", "in_zone", "is_zone", "part_of"]

_ZONE: Final = re.compile(r"([+-])(\d\d)([0-5]\d)")
_LONGEST: Final = 200  # characters of a date in a header; those that programs write have thirty
_MODIFIED_JULIAN: Final = 678_576  # ordinal of 17 November 1858


def is_zone(text: str) -> bool:
    """Whether this is an offset such as ``+0100``."""
    found = _ZONE.fullmatch(text)
    return found is not None and int(found[2]) < 24


def in_zone(at: datetime, zone: str) -> datetime:
    """The same moment elsewhere. Moments at the edge of the calendar stay where they are."""
    found = _ZONE.fullmatch(zone)
    assert found is not None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    try:
        return at.astimezone(timezone(-offset if found[1] == "-" else offset))
    except OverflowError:
        return at


def date_in(value: str) -> datetime | None:
    """The moment that a header field names, in its own zone; it may stand behind the last semicolon, as in Received."""
    text = value.rpartition(";")[2].strip()
    if len(text) > _LONGEST:
        return None
    try:
        found = parsedate_to_datetime(text)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def part_of(at: datetime, part: str) -> str:
    """A part of a date, one of PARTS."""
    return PARTS[part](at)


def _zone(at: datetime) -> str:
    return at.strftime("%z")[:5]


def _iso8601(at: datetime) -> str:
    zone = _zone(at)
    return f"{at:%Y-%m-%dT%H:%M:%S}" + ("Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}")


PARTS: Final[Mapping[str, Callable[[datetime], str]]] = {
    "year": lambda at: f"{at.year:04}",
    "month": lambda at: f"{at.month:02}",
    "day": lambda at: f"{at.day:02}",
    "date": lambda at: f"{at.year:04}-{at.month:02}-{at.day:02}",
    "julian": lambda at: str(at.toordinal() - _MODIFIED_JULIAN),
    "hour": lambda at: f"{at.hour:02}",
    "minute": lambda at: f"{at.minute:02}",
    "second": lambda at: f"{at.second:02}",
    "time": lambda at: f"{at.hour:02}:{at.minute:02}:{at.second:02}",
    "iso8601": _iso8601,
    "std11": format_datetime,
    "zone": _zone,
    "weekday": lambda at: str(at.isoweekday() % 7),  # 0 is Sunday
}
