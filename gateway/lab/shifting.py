"""The clocks of a running lab, set together: providers whose times differ do not believe each other."""

import os
import signal
from datetime import timedelta

from gateway.lab.running import Lab
from gateway.lab.shifted import write_shift

__all__ = ["shift_clocks"]


def shift_clocks(lab: Lab, shift: timedelta) -> None:
    """Let it be later, or earlier, for all providers that run; those that start later join them."""
    for provider in lab.plan.providers:
        write_shift(lab.layout.provider(provider).clock_shift, shift)
    for process in lab.processes.values():
        if process.alive:
            os.kill(process.pid, signal.SIGUSR1)
