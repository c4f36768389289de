"""The worker that takes what waits to be handed over to other mail servers, and gives it to the flow, box by box."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.flows.effects import Lease
from gateway.storage import handovers
from gateway.storage.engine import Storage
from gateway.storage.handovers import Box, Handover
from gateway.workers.finishing import finish
from receipts.errors import TemporaryError

__all__ = ["HandingOver"]

log = logging.getLogger(__name__)

POLL: Final = timedelta(seconds=0.5)
POLL_WITHOUT: Final = timedelta(seconds=30)
"""Where the configuration names no server: boxes bound to one that it names no longer are an alarm."""
AT_ONCE: Final = 200  # rows in hand
OF_ONE_BOX: Final = 20
"""Rows of a session: the last of them has to begin well within its lease."""
USUAL_CONNECTIONS: Final = 1

Flow = Callable[[Box, Sequence[Handover]], Awaitable[bool]]


class HandingOver:
    """Feeds the flow until it is stopped.

    Args:
        connections: how many sessions each server may have at a time, by its name.
    """

    def __init__(
        self, *, storage: Storage, flow: Flow, clock: Clock, lease: Lease, connections: Mapping[str, int]
    ) -> None:
        self._storage = storage
        self._flow = flow
        self._clock = clock
        self._lease = lease
        self._gates = {name: asyncio.Semaphore(number) for name, number in connections.items()}
        self._pause = (POLL if connections else POLL_WITHOUT).total_seconds()
        self._in_hand = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._poller: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take back what an earlier life of this process held, then begin."""
        released = await self._storage.write(lambda connection: handovers.release_owner(connection, self._lease.owner))
        if released:
            log.info("messages for other servers taken up again", extra={"rows": released})
        self._poller = asyncio.create_task(self._poll())

    async def stop(self, grace: timedelta) -> None:
        """Begin nothing more, finish what is under way, give back the rest (D33). Never raises."""
        if self._poller is None:
            return
        self._poller.cancel()
        await asyncio.gather(self._poller, return_exceptions=True)
        await finish(self._tasks, grace)
        try:
            await self._storage.write(lambda connection: handovers.release_owner(connection, self._lease.owner))
        except TemporaryError as error:
            log.warning("messages in hand stay with this process until their lease ends", exc_info=error)

    async def _poll(self) -> None:
        while True:
            try:
                more = await self._claim()
            except TemporaryError as error:
                log.warning("what waits for other servers cannot be read", exc_info=error)
                more = False
            except Exception:
                log.exception("polling what waits for other servers failed")
                more = False
            if not more:
                await asyncio.sleep(self._pause)

    async def _claim(self) -> bool:
        """Take what is due and fits; whether there may be more."""
        limit, now, lease = AT_ONCE - self._in_hand, self._clock.now(), self._lease
        if limit <= 0 or not await self._storage.read(lambda connection: handovers.is_due(connection, now)):
            return False

        def claim(connection: Connection) -> list[Handover]:
            return handovers.claim(connection, lease.owner, now, limit=limit, lease=lease.length)

        rows = await self._storage.write(claim)
        boxes: dict[int, list[Handover]] = {}
        for row in rows:
            boxes.setdefault(row.box.id, []).append(row)
        for waiting in boxes.values():
            for start in range(0, len(waiting), OF_ONE_BOX):
                self._begin(waiting[start : start + OF_ONE_BOX])
        return len(rows) == limit

    def _begin(self, rows: Sequence[Handover]) -> None:
        self._in_hand += len(rows)
        task = asyncio.create_task(self._carry_out(rows))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, rows: Sequence[Handover]) -> None:
        box = rows[0].box
        gate = self._gates.setdefault(box.store or "", asyncio.Semaphore(USUAL_CONNECTIONS))
        try:
            async with gate:
                await self._flow(box, rows)
        except TemporaryError as error:
            log.warning("handing over interrupted", extra={"store": box.store}, exc_info=error)
        except Exception:
            log.exception("handing over failed unexpectedly", extra={"store": box.store})
        finally:
            self._in_hand -= len(rows)
