"""Whether the clock may date legal acts: its offset from UTC is known and small (decree of 2 November 2005, art. 9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from statistics import median_low

__all__ = ["Offset", "Timekeeping", "judged", "middle"]


class Timekeeping(StrEnum):
    """What is known of the clock."""

    GOOD = "good"
    UNKNOWN = "unknown"
    OFF = "off"
    UNWATCHED = "unwatched"


@dataclass(frozen=True, slots=True)
class Offset:
    """How far UTC is ahead of our clock, as one source says; negative if our clock is ahead."""

    seconds: float
    source: str


def judged(offset: Offset | None, limit: timedelta, before: Timekeeping) -> Timekeeping:
    """What to think of the clock now.

    A clock that was off is off until it was seen to be good: that nobody knows any more mends nothing.
    """
    if offset is None:
        return Timekeeping.OFF if before is Timekeeping.OFF else Timekeeping.UNKNOWN
    return Timekeeping.OFF if abs(offset.seconds) > limit.total_seconds() else Timekeeping.GOOD


def middle(offsets: Sequence[Offset]) -> Offset | None:
    """The answer in the middle: of three servers one may be wrong."""
    if not offsets:
        return None
    found = median_low(each.seconds for each in offsets)
    return next(each for each in offsets if each.seconds == found)
