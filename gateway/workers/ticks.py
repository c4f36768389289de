"""What happens again and again: APScheduler gives the beat, what is due stands in rows (design section 4)."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway.drivers.sources import Clock
from gateway.storage import chain, purge, quarantine
from gateway.storage.engine import Storage

__all__ = ["Act", "Ticks"]

log = logging.getLogger(__name__)

Act = Callable[[], Awaitable[object]]

CHAIN_EVERY: Final = timedelta(seconds=1)  # D25
SWEEP_EVERY: Final = timedelta(days=1)
LEFT_BEHIND: Final = timedelta(minutes=1)
"""A row without a link that is older than this was overlooked; a younger one is about to be linked."""
PURGE_EVERY: Final = timedelta(hours=1)
UNREFERENCED: Final = timedelta(days=1)  # D26
LINK_AT_ONCE: Final = 5_000
REMINDED: Final = timedelta(minutes=10)
"""How often a failure that goes on is told again."""


class Ticks:
    """The beats of one process: the register's chain, the purge, and what ``every`` adds.

    No two runs of one beat overlap; after a run that fails the next one comes all the same.

    Args:
        owner: in whose name the chainer's lease is taken.
    """

    def __init__(self, storage: Storage, clock: Clock, *, owner: str) -> None:
        self._storage = storage
        self._clock = clock
        self._owner = owner
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,  # the machine's own zone does not matter, nor whether it has a good one (D22)
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._link_new = self.every(CHAIN_EVERY, self._chain, "chain")
        self.every(SWEEP_EVERY, self._sweep, "sweep", at_once=True)
        self.every(PURGE_EVERY, self._purge, "purge")

    def every(self, pause: timedelta, act: Act, name: str, *, at_once: bool = False) -> Act:
        """Run ``act`` every ``pause`` from ``start`` on; a run of it that never raises.

        Args:
            at_once: begin with a run, not with a pause.
        """
        run = _Beat(act, name, self._clock).run
        first = {"next_run_time": datetime.now(UTC)} if at_once else {}
        self._scheduler.add_job(run, "interval", seconds=pause.total_seconds(), id=name, **first)
        return run

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    async def stop(self) -> None:
        """Begin nothing more, and link what has been registered."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        await self._link_new()

    async def _chain(self) -> None:
        while await self._link(sweep=False) >= LINK_AT_ONCE:
            continue

    async def _sweep(self) -> None:
        """Look through the whole register for rows that were committed too late for the chain to meet them.

        A register of years takes seconds to look through, so it is read beside the work of the others first.
        """
        before = self._clock.now() - LEFT_BEHIND
        if await self._storage.read(lambda connection: chain.is_behind(connection, before)):
            while await self._link(sweep=True) >= LINK_AT_ONCE:
                continue

    async def _link(self, *, sweep: bool) -> int:
        now = self._clock.now()
        return await self._storage.write(
            lambda connection: chain.link(connection, self._owner, now, limit=LINK_AT_ONCE, sweep=sweep)
        )

    async def _purge(self) -> None:
        """Let go of what has been kept its time, then go through all that is a day old, a slice a transaction."""
        await self._purge_quarantine()
        before = self._clock.now() - UNREFERENCED
        position: purge.Position | None = purge.START
        removed = 0
        while position is not None:
            done = await self._storage.write(partial(purge.purge_unreferenced, before=before, position=position))
            removed, position = removed + done.removed, done.next
        if removed:
            log.info("unreferenced bytes removed", extra={"rows": removed})

    async def _purge_quarantine(self) -> None:
        """Infected messages are kept for 30 months (VIR-05)."""
        now, removed = self._clock.now(), 0
        while some := await self._storage.write(partial(quarantine.purge, now=now)):
            removed += some
        if removed:
            log.info("infected messages removed", extra={"messages": removed})


class _Beat:
    """Runs one act; tells a failure when it begins, now and then while it goes on, and when it is over."""

    def __init__(self, act: Act, name: str, clock: Clock) -> None:
        self._act = act
        self._name = name
        self._clock = clock
        self._failure: str | None = None
        self._failures = 0
        self._told_at: datetime | None = None

    async def run(self) -> None:
        try:
            await self._act()
        except Exception as error:
            self._failed(error)
        else:
            self._succeeded()

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        failure, now = f"{type(error).__name__}: {error}", self._clock.now()
        if failure == self._failure and self._told_at is not None and now - self._told_at < REMINDED:
            return
        self._failure, self._told_at = failure, now
        log.error("tick failed", extra={"tick": self._name, "failures": self._failures}, exc_info=error)

    def _succeeded(self) -> None:
        if self._failures:
            log.info("tick works again", extra={"tick": self._name, "failures": self._failures})
        self._failure, self._failures, self._told_at = None, 0, None
