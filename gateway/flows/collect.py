"""Boxes at other providers that ours stay in step with: what ``bring`` does, on a schedule.

What is due stands in rows, so any node may take it; a box that is large, or a server that is slow, holds up no other.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from gateway.drivers.imap_client import ImapRefused, RemoteMailbox
from gateway.drivers.sources import Clock, Ids
from gateway.flows.alarms import Bell
from gateway.flows.bring import Bringing, Judge
from gateway.flows.bring_report import Report
from gateway.storage import collections
from gateway.storage.collections import Collection
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError

__all__ = ["Collecting", "Enter"]

log = logging.getLogger(__name__)

ALARM: Final = "collection"
AT_ONCE: Final = 4  # boxes
TOO_LONG: Final = timedelta(hours=24)
"""After so long without a good run an operator is told."""
MOST_NAMED: Final = 10
TAKEN_UP_AFTER: Final = timedelta(hours=1)
"""After so long another process takes up a run of which nothing was heard; nothing is brought twice even so."""

Enter = Callable[[Collection], AbstractAsyncContextManager[RemoteMailbox]]
"""A session with the box there. Raises TemporaryError and ImapRefused as it begins, as ``signed_in`` does."""


class Collecting:
    """Collects what is due.

    Args:
        owner: the name of this process in leases.
        judge: makes one for each run (see ``Bringing``), by what is known then.
        valid: what it says of messages that hold.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        ids: Ids,
        bell: Bell,
        enter: Enter,
        owner: str,
        judge: Callable[[], Judge],
        valid: str,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._bell = bell
        self._enter = enter
        self._owner = owner
        self._judge = judge
        self._valid = valid
        self._runs: dict[int, asyncio.Task[None]] = {}  # by the collection's id
        self._held: dict[int, datetime] = {}  # until when

    async def look(self) -> None:
        """Begin what is due, and say what has failed for too long."""
        now = self._clock.now()
        await self._hold(now)
        room = AT_ONCE - len(self._runs)
        found = await self._storage.read(partial(collections.due, now=now, limit=room)) if room > 0 else []
        for collection in found:
            until = now + TAKEN_UP_AFTER
            claim = partial(collections.claim, collection=collection, now=now, until=until)
            if collection.id not in self._runs and await self._storage.write(claim):
                self._held[collection.id] = until
                self._runs[collection.id] = asyncio.create_task(self._run(collection))
        await self._tell()

    async def finished(self) -> None:
        """When all that was begun has come to an end."""
        await asyncio.gather(*self._runs.values())

    async def stop(self) -> None:
        """End what is under way: the next run goes on from there."""
        runs = list(self._runs.values())
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    async def _hold(self, now: datetime) -> None:
        """Keep others from what goes on here."""
        until = now + TAKEN_UP_AFTER
        for collection_id in [each for each, held in self._held.items() if held - now < TAKEN_UP_AFTER / 2]:
            await self._storage.write(partial(collections.hold, collection_id=collection_id, until=until))
            self._held[collection_id] = until

    async def _run(self, collection: Collection) -> None:
        try:
            await self._collect(collection)
        finally:
            del self._runs[collection.id], self._held[collection.id]

    async def _collect(self, collection: Collection) -> None:
        failed, shown = True, {"source": collection.source, "address": collection.address}
        try:
            judge = await asyncio.to_thread(self._judge)
            async with self._enter(collection) as remote:
                report = await self._bringing(collection, judge)(remote)
            failed, said = False, _said(report)
            log.info("collected", extra=shown | {"report": said})
        except (TemporaryError, ImapRefused) as error:
            said = str(error)
            log.warning("not collected", extra=shown | {"reason": said})
        except asyncio.CancelledError:
            said, failed = "stopped with the process; the next run goes on from there", False
        except Exception as error:
            said = f"a fault of this program: {type(error).__name__}"
            log.exception("collecting failed unexpectedly", extra=shown)
        try:
            end = partial(collections.ended, collection=collection, at=self._clock.now(), report=said, failed=failed)
            await self._storage.write(end)
        except TemporaryError as error:
            log.warning("the end of a collection was not noted", exc_info=error)

    def _bringing(self, collection: Collection, judge: Judge) -> Bringing:
        return Bringing(
            self._storage,
            self._clock,
            self._ids,
            mailbox_id=collection.mailbox_id,
            source=collection.source,
            owner=self._owner,
            judge=judge,
            valid=self._valid,
            deletions=collection.deletions,
        )

    async def _tell(self) -> None:
        before = self._clock.now() - TOO_LONG
        failing = await self._storage.read(partial(collections.failing_before, before=before))
        if failing:
            said = "; ".join(f"{one.address} from {one.source}: {one.report}" for one in failing)
            await self._bell.raised(ALARM, said, everywhere=True)
        else:
            await self._bell.over(ALARM, everywhere=True)


def _said(report: Report) -> str:
    """What a run did, in a line."""
    parts = [f"{report.brought} copied", f"{report.here_before} here before"]
    parts += [f"{number} {what}" for number, what in _followed(report) if number]
    parts += [f"certified, {verdict}: {number}" for verdict, number in sorted(report.verdicts.items())]
    if report.suspicious:
        parts.append(f"did not verify: {', '.join(report.suspicious[:MOST_NAMED])}")
    if report.left_out:
        parts.append(f"left out: {', '.join(report.left_out[:MOST_NAMED])}")
    return "; ".join(parts)


def _followed(report: Report) -> list[tuple[int, str]]:
    return [
        (report.changed, "with other flags"),
        (report.moved, "in another place there"),
        (report.gone, "gone from their place there"),
        (report.deleted, "to the trash"),
    ]
