"""What the kernel says about the clock: whether something keeps it, and how far it may be off (adjtimex(2), Linux).

chrony (with ``rtcsync``), ntpd and systemd-timesyncd tell the kernel that they keep the clock; without them it counts
as unsynchronised, whatever time it shows.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.points.timekeeping import Offset

__all__ = ["KernelTime", "OffsetUnknown", "kernel_offset", "read_kernel_time"]

STA_UNSYNC: Final = 0x0040
STA_NANO: Final = 0x2000
TIME_ERROR: Final = 5
MOST_ERROR: Final = 2_000_000
"""Microseconds that the clock may be off by the kernel's own count, which grows between two corrections: beyond,
nobody keeps it any more. timesyncd corrects every 34 minutes, after which the count stands at a second."""


class OffsetUnknown(Exception):
    """A source cannot say how far the clock is off; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTime:
    """The part of the kernel's answer that matters here."""

    state: int
    status: int
    offset: int  # still to be corrected: microseconds, or nanoseconds with STA_NANO
    max_error: int  # microseconds


def kernel_offset(read: "Callable[[], KernelTime] | None" = None) -> Offset:
    """How far the clock is off, by the kernel.

    Raises:
        OffsetUnknown: nothing keeps the clock, or the kernel does not tell.
    """
    found = (read or read_kernel_time)()
    if found.state == TIME_ERROR or found.status & STA_UNSYNC:
        raise OffsetUnknown("the kernel's clock is not synchronised")
    if found.max_error > MOST_ERROR:
        raise OffsetUnknown(f"the kernel's clock may be {found.max_error / 1e6:.1f} s off")
    return Offset(found.offset / (1e9 if found.status & STA_NANO else 1e6), "kernel")


def read_kernel_time() -> KernelTime:
    """Ask the kernel; needs no privilege.

    Raises:
        OffsetUnknown: this is no Linux, or the call is not allowed here.
    """
    if not sys.platform.startswith("linux"):
        raise OffsetUnknown("only Linux tells")
    answer = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.byref(answer))
    if state < 0:
        raise OffsetUnknown(f"adjtimex: {os.strerror(ctypes.get_errno())}")
    return KernelTime(state=state, status=answer.status, offset=answer.offset, max_error=answer.maxerror)


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2); all zero is a question."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_sec", ctypes.c_long),
        ("time_usec", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),  # more than any kernel fills in
    )
