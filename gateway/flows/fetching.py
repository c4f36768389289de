"""When something that is fetched again and again is due."""

from datetime import timedelta
from typing import Final

__all__ = ["FETCH_LEASE", "pause"]

FETCH_LEASE: Final = timedelta(minutes=5)
"""Longer than any download may take: after it another process may try."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=30)


def pause(failures: int, chance: float) -> timedelta:
    """How long after so many failures in a row the next try comes; ``chance``: from 0 to below 1."""
    longest: timedelta = min(FIRST_PAUSE * (1 << min(failures, 10)), LONGEST_PAUSE)
    return longest * (1 - chance / 2)
