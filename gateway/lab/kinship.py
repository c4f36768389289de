"""Child processes that do not outlive their parent, however it ends (Linux)."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["ends_with_parent"]

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ORPHANED = 1


def ends_with_parent() -> Callable[[], None] | None:
    """What a child does before it becomes another program, so that the system kills it when this process ends.

    None where the system has no such thing: there a child lives on when its parent is killed.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before it could be bound to
            os._exit(ORPHANED)

    return bind
