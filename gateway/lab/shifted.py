"""A clock that a lab can set ahead or back: nothing waits a day to see a message time out."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from gateway.drivers.sources import legal_time
from gateway.lab.files import write_public

__all__ = ["MOST_SHIFT", "SHIFT_FILE", "ShiftedClock", "write_shift"]

SHIFT_FILE: Final = "clock-shift"
"""Beside a lab provider's configuration: how many seconds its clock is ahead. Looked at when the provider starts, and
on SIGUSR1."""
MOST_SHIFT: Final = timedelta(days=366)


class ShiftedClock:
    """The machine's clock, shifted by what a file says; by nothing as long as there is no such file."""

    def __init__(self, zone: ZoneInfo, file: Path) -> None:
        self._zone = zone
        self._file = file
        self.shift = timedelta(0)
        self.look()

    def now(self) -> datetime:
        return legal_time(datetime.now(UTC) + self.shift, self._zone)

    def look(self) -> None:
        """See what the file says now; what is no number of seconds, or more than a year, changes nothing."""
        try:
            seconds = float(self._file.read_text("ascii"))
        except FileNotFoundError:
            seconds = 0.0
        except (OSError, ValueError):
            return
        if math.isfinite(seconds) and abs(seconds) <= MOST_SHIFT.total_seconds():
            self.shift = timedelta(seconds=seconds)


def write_shift(file: Path, shift: timedelta) -> None:
    """Say how far ahead the clock of a lab's provider shall be; it hears of it by SIGUSR1."""
    write_public(file, f"{shift.total_seconds():g}\n".encode())
