"""How far long work has come, on a terminal only."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["shown_progress"]

TOLD_EVERY: Final = 0.5  # seconds


@contextmanager
def shown_progress(what: str) -> Iterator[Callable[[int], None]]:
    """Takes a count of ``what`` again and again, and keeps one line on standard error up to date."""
    told_at, width = time.monotonic(), 0

    def tell(count: int) -> None:
        nonlocal told_at, width
        now = time.monotonic()
        if sys.stderr.isatty() and now - told_at >= TOLD_EVERY:
            line = f"{count:,} {what} ..."
            told_at, width = now, len(line)
            sys.stderr.write(f"\r{line}")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if width:
            sys.stderr.write(f"\r{' ' * width}\r")
            sys.stderr.flush()
