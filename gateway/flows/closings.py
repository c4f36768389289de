"""The ends of messages that other servers took over: many rows in one transaction (D38)."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection

from gateway.storage import outbox, register
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable
from gateway.storage.register import RegisterEntry
from receipts.records import record

__all__ = ["Closings"]

log = logging.getLogger(__name__)

MOST = 256  # in one transaction
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds, while the database does not answer


@record()
class _Closing:
    row_ids: Sequence[int]
    entry: RegisterEntry
    done: "asyncio.Future[None]"


class Closings:
    """Removes rows that ``owner`` holds, with the register's word about each."""

    def __init__(self, storage: Storage, owner: str) -> None:
        self._storage = storage
        self._owner = owner
        self._waiting: list[_Closing] = []
        self._running: asyncio.Task[None] | None = None

    async def close(self, row_ids: Sequence[int], entry: RegisterEntry) -> None:
        """Remove the rows and register ``entry``, unless none of them is ours any more.

        While the database does not answer this goes on trying: the message has left and must not leave again.
        """
        closing = _Closing(row_ids, entry, asyncio.get_running_loop().create_future())
        self._waiting.append(closing)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await closing.done

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        batch: list[_Closing] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                try:
                    await self._storage.write(partial(self._keep, batch))
                except StorageUnavailable as error:
                    log.warning("closing relayed messages waits for the database", exc_info=error)
                    self._waiting[:0] = batch
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                pause = FIRST_PAUSE
                for closing in batch:
                    if not closing.done.done():
                        closing.done.set_result(None)
        except BaseException as error:
            self._give_up([*batch, *self._waiting], error)
            raise
        finally:
            self._running = None

    def _give_up(self, closings: Sequence[_Closing], error: BaseException) -> None:
        self._waiting = []
        for closing in closings:
            if not closing.done.done():
                closing.done.set_exception(StorageUnavailable(f"not closed: {type(error).__name__}"))

    def _keep(self, batch: Sequence[_Closing], connection: Connection) -> None:
        entries = []
        for closing in batch:
            ours = [outbox.settle(connection, row_id, self._owner) for row_id in closing.row_ids]
            if any(ours):
                entries.append(closing.entry)
        register.append(connection, entries)
