"""When a box will be full, if it goes on filling as it did."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

__all__ = ["DAYS", "full_on"]

DAYS: Final = 60
"""How far back a forecast looks."""
FARTHEST: Final = 3_650
"""Days ahead; beyond that nobody knows."""


def full_on(days: Sequence[tuple[date, int]], quota: int) -> date | None:
    """The day on which usage will reach the quota: by the straight line that lies closest to what was.

    None if it does not grow, if less than two days are known, or if it would be in more than ten years.
    """
    if len(days) < 2:
        return None
    last, used = days[-1]
    if used >= quota:
        return last
    at = [(day - last).days for day, _ in days]
    middle, mean = sum(at) / len(at), sum(bytes_ for _, bytes_ in days) / len(days)
    spread = sum((x - middle) ** 2 for x in at)
    growth = sum((x - middle) * (bytes_ - mean) for x, (_, bytes_) in zip(at, days, strict=True)) / spread
    if growth <= 0:
        return None
    left = (quota - used) / growth
    return None if left > FARTHEST else last + timedelta(days=int(left) + (left > int(left)))
