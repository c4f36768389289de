"""What the system knows of a process: its memory and the processor time it took (Linux)."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "forget_peak", "usage"]

KILOBYTE = 1024
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    rss_mb: float  # resident now, in MB of 1,000,000 bytes
    peak_rss_mb: float  # the most since the start, or since ``forget_peak``
    cpu_seconds: float  # user and system, all threads


def usage(pid: int) -> Usage:
    """Raises FileNotFoundError if there is no such process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Usage(
        rss_mb=_megabytes(status["VmRSS"]),
        peak_rss_mb=_megabytes(status["VmHWM"]),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS,
    )


def forget_peak(pid: int) -> None:
    """Let the peak begin anew from what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _megabytes(value: str) -> float:
    return int(value.split()[0]) * KILOBYTE / 1_000_000
