"""The watch on the clock: legal acts are put off while it is known to be wrong (D22)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from gateway.drivers.kernel_clock import OffsetUnknown
from gateway.drivers.sources import Clock
from gateway.flows.alarms import Bell
from gateway.points.timekeeping import Offset, Timekeeping, judged, middle
from receipts.errors import TemporaryError

__all__ = ["ClockWatch", "ClockWrong", "LegalClock"]

log = logging.getLogger(__name__)

ALARM = "clock"
AskServer = Callable[[], Awaitable[Offset]]
AskKernel = Callable[[], Offset]


class ClockWrong(TemporaryError):
    """The clock is further off than the law allows, so nothing may be dated by it."""


class ClockWatch:
    """What is known of the clock's offset.

    Args:
        servers: each asks one NTP server; the answer in the middle counts.
        kernel: asks the kernel, whose word counts when no server answers.
        limit: the largest offset with which legal acts go on.
    """

    def __init__(self, *, servers: Sequence[AskServer], kernel: AskKernel, limit: timedelta, alarms: Bell) -> None:
        self._servers = servers
        self._kernel = kernel
        self._limit = limit
        self._alarms = alarms
        self.state = Timekeeping.UNKNOWN

    async def look(self) -> None:
        """Ask for the offset, and raise or end the alarm. A reading that would stop everything is taken twice."""
        offset, why = await self._asked()
        state = judged(offset, self._limit, self.state)
        if state is Timekeeping.OFF and self.state is not Timekeeping.OFF:
            offset, why = await self._asked()
            state = judged(offset, self._limit, self.state)
        if state is not self.state:
            log.info("clock", extra={"state": state, "offset": None if offset is None else offset.seconds})
        self.state = state
        if offset is None:
            await self._alarms.raised(ALARM, f"nobody knows how far the clock is off: {why}")
        elif state is Timekeeping.OFF:
            await self._alarms.raised(
                ALARM, f"the clock is {-offset.seconds:+.1f} s off by {offset.source}: nothing is certified"
            )
        else:
            await self._alarms.over(ALARM)

    async def _asked(self) -> tuple[Offset | None, str]:
        """The offset, or why nobody knows it."""
        answers = await asyncio.gather(*(ask() for ask in self._servers), return_exceptions=True)
        found = middle([answer for answer in answers if isinstance(answer, Offset)])
        if found is not None:
            return found, ""
        whys = []
        for answer in answers:
            if not isinstance(answer, OffsetUnknown):
                assert isinstance(answer, BaseException)
                raise answer
            whys.append(str(answer))
        try:
            return self._kernel(), ""
        except OffsetUnknown as unknown:
            return None, "; ".join([*whys, str(unknown)])


class LegalClock:
    """The clock by which legal acts are dated.

    Args:
        watch: None: nobody watches it.
    """

    def __init__(self, clock: Clock, watch: ClockWatch | None) -> None:
        self._clock = clock
        self._watch = watch

    @property
    def state(self) -> Timekeeping:
        return Timekeeping.UNWATCHED if self._watch is None else self._watch.state

    def now(self) -> datetime:
        """The instant of an act.

        Raises:
            ClockWrong: the clock is known to be too far off.
        """
        if self._watch is not None and self._watch.state is Timekeeping.OFF:
            raise ClockWrong("the clock is too far off")
        return self._clock.now()
