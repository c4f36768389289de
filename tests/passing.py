"""Time that passes when a test says so."""

import asyncio
import time

__all__ = ["pass_time"]

_real, _ahead = time.monotonic, 0.0


async def pass_time(seconds: float) -> None:
    """Put this process's count of seconds forward, that of its event loop with it: what was to end by then ends now.

    So the limits of time that a test looks at may be those of a real server, and none is over too soon because the
    machine was busy. The count never goes back: what sleeps would sleep too long.
    """
    global _ahead
    for _ in range(50):  # who has just answered comes to wait again
        await asyncio.sleep(0)
    time.monotonic = _now
    _ahead += seconds


def _now() -> float:
    return _real() + _ahead
