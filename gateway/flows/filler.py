"""Right behind the commits: works out the details of what has come, and by and by of what was there before.

It yields to the flows: while the process is busy it works a tenth of the time. What it has not come to yet is worked
out when a program asks for it.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from datetime import timedelta
from functools import partial
from typing import Final

from gateway.drivers.sources import Clock
from gateway.flows.news import News
from gateway.flows.workout import Bodies, work_out_all
from gateway.storage import details
from gateway.storage.engine import Storage
from gateway.storage.values import micros
from receipts.errors import TemporaryError

__all__ = ["Filler"]

log = logging.getLogger(__name__)

AT_ONCE: Final = 50  # messages of one mailbox before the others get their turn
SWEPT_AT_ONCE: Final = 2_000
SETTLED: Final = timedelta(minutes=10)
"""Messages older than this are surely visible to everybody: the sweep never goes back before them."""
LEASE: Final = timedelta(minutes=2)
REMEMBERED: Final = 100_000  # mailboxes
BUSY: Final = 0.4  # of one core, used by others in this process
YIELDS: Final = 9  # times as long as it worked
LOOKED_SECONDS: Final = 0.05
PAUSE_SECONDS: Final = 0.2  # for more to come
FAILURE_SECONDS: Final = 5.0


class Filler:
    """One for each process.

    Args:
        owner: in whose name the sweep's lease is taken.
    """

    def __init__(self, storage: Storage, news: News, clock: Clock, *, owner: str) -> None:
        self._storage = storage
        self._clock = clock
        self._owner = owner
        self._waiting: OrderedDict[int, None] = OrderedDict()  # mailboxes in which something came
        self._seen: OrderedDict[int, int] = OrderedDict()  # mailbox -> UID up to which everything is worked out
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        news.listen(self._changed)

    def start(self) -> None:
        """Begin, in the event loop of the process."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what was begun is left to whoever asks for it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sweep(self) -> int:
        """Work out what was there before, or was missed; how many messages that were. One node at a time does it."""
        done = 0
        while True:
            now = self._clock.now()
            after = await self._storage.write(partial(details.lease_fill, owner=self._owner, at=now, length=LEASE))
            if after is None:
                return done
            rows = await self._storage.read(partial(details.sweep, after=after, limit=SWEPT_AT_ONCE))
            await self._work([(row[1], row[2]) for row in rows if row[4]])
            done += sum(bool(row[4]) for row in rows)
            settled = [row[0] for row in rows if row[3] < micros(now - SETTLED)]
            if settled:
                await self._storage.write(partial(details.advance_fill, to=settled[-1]))
            if len(settled) < SWEPT_AT_ONCE:
                return done

    def _changed(self, mailbox_ids: frozenset[int]) -> None:
        self._waiting.update(dict.fromkeys(mailbox_ids))
        self._more.set()

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                while self._waiting:
                    mailbox_id, _ = self._waiting.popitem(last=False)
                    await self._catch_up(mailbox_id)
            except TemporaryError as error:
                log.warning("details of messages wait for the database", exc_info=error)
                await asyncio.sleep(FAILURE_SECONDS)
            except Exception:
                log.exception("details of messages could not be worked out")

    async def _catch_up(self, mailbox_id: int) -> None:
        after = self._seen.pop(mailbox_id, None)
        last, rows = await self._storage.read(
            lambda connection: details.newest_without(connection, mailbox_id, after, AT_ONCE)
        )
        await self._work([(row[1], row[2]) for row in rows])
        if len(rows) == AT_ONCE:
            last = rows[-1][0]
            self._waiting[mailbox_id] = None
        self._seen[mailbox_id] = last
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    async def _work(self, bodies: Bodies) -> None:
        """Work them out, then let others go first if they are there."""
        for low in range(0, len(bodies), AT_ONCE // 5):
            began = time.monotonic()
            await work_out_all(self._storage, bodies[low : low + AT_ONCE // 5])
            worked = time.monotonic() - began
            if await _others_work(min(worked, LOOKED_SECONDS)):
                await asyncio.sleep(YIELDS * worked)


async def _others_work(seconds: float) -> bool:
    """Do nothing for so long, and see whether this process works all the same."""
    began, used = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return time.process_time() - used > BUSY * (time.monotonic() - began)
