"""Waiting for what another process does: a condition is asked again and again, never a time slept through."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["until"]

T = TypeVar("T")
PAUSE_SECONDS = 0.05
_NEVER = threading.Event()


def until(probe: Callable[[], T | None], what: str, *, seconds: float = 180) -> T:
    """The first answer of ``probe`` that is true; fails, saying ``what`` did not come, when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"in {seconds:g} s there was no {what}; the last answer was {answer!r}")
        _NEVER.wait(PAUSE_SECONDS)
