"""What happens again and again: APScheduler gives the beat, what is due stands in rows (design section 4)."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.storage import chain, purge
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError

__all__ = ["Ticks"]

log = logging.getLogger(__name__)

CHAIN_EVERY = timedelta(seconds=1)  # D25
PURGE_EVERY = timedelta(hours=1)
UNREFERENCED = timedelta(days=1)  # D26
LINK_AT_ONCE = 5_000


class Ticks:
    """The beats of one process. No two runs of one beat overlap; a run that fails is logged, and the next one comes.

    Args:
        owner: in whose name the chainer's lease is taken.
    """

    def __init__(self, storage: Storage, clock: Clock, *, owner: str) -> None:
        self._storage = storage
        self._clock = clock
        self._owner = owner
        self._scheduler = AsyncIOScheduler(
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        )
        logging.getLogger("apscheduler").setLevel(logging.WARNING)

    def every(self, pause: timedelta, act: Callable[[], Awaitable[object]], name: str) -> None:
        """Run ``act`` every ``pause`` from the start on."""

        async def run() -> None:
            try:
                await act()
            except TemporaryError as error:
                log.warning("tick put off", extra={"tick": name}, exc_info=error)
            except Exception:
                log.exception("tick failed", extra={"tick": name})

        self._scheduler.add_job(run, "interval", seconds=pause.total_seconds(), id=name)

    async def start(self) -> None:
        """Begin, after looking once through the whole register for rows that a crash left unlinked."""
        await self._storage.write(lambda connection: self._link(connection, sweep=True))
        self.every(CHAIN_EVERY, self._chain, "chain")
        self.every(PURGE_EVERY, self._purge, "purge")
        self._scheduler.start()

    async def stop(self) -> None:
        """Begin nothing more, and link what has been registered."""
        self._scheduler.shutdown(wait=False)
        await self._chain()

    async def _chain(self) -> None:
        while await self._storage.write(lambda connection: self._link(connection, sweep=False)) >= LINK_AT_ONCE:
            continue

    def _link(self, connection: Connection, *, sweep: bool) -> int:
        return chain.link(connection, self._owner, self._clock.now(), limit=LINK_AT_ONCE, sweep=sweep)

    async def _purge(self) -> None:
        """Go through everything that is a day old, a slice a transaction."""
        before = self._clock.now() - UNREFERENCED
        position: purge.Position | None = purge.START
        removed = 0
        while position is not None:
            done = await self._storage.write(partial(purge.purge_unreferenced, before=before, position=position))
            removed, position = removed + done.removed, done.next
        if removed:
            log.info("unreferenced bytes removed", extra={"rows": removed})
