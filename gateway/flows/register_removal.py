"""Rows of the register that were kept long enough are removed, a closed day at a time (LOG-02).

What was signed and stamped about the day stays, so that the register still proves what there was. First the day is
given up, in one transaction with the word about it in the register itself; then its rows go, some at a time.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.points.closing import kept_since
from gateway.storage import alarms, register, segments
from gateway.storage.engine import Storage
from gateway.storage.register import Event, RegisterEntry
from gateway.storage.segments import Segment

__all__ = ["RegisterRemoval"]

log = logging.getLogger(__name__)

SEGMENTS_AT_ONCE: Final = 50


class RegisterRemoval:
    """Removes what is old enough.

    Args:
        months: how long rows are kept.
        provider: its name, for the register.
    """

    def __init__(self, storage: Storage, clock: Clock, *, months: int, provider: str) -> None:
        self._storage = storage
        self._clock = clock
        self._months = months
        self._provider = provider

    async def due(self) -> list[Segment]:
        """The next segments whose rows may go, or did not all go when that began."""
        before = kept_since(self._clock.now(), self._months)
        return await self._storage.read(partial(segments.removable, before=before, limit=SEGMENTS_AT_ONCE))

    async def __call__(self, progress: Callable[[Segment, int], None] = lambda _segment, _rows: None) -> int:
        """Remove all rows that are old enough; how many.

        Args:
            progress: is told of each segment, and how many of its rows went, when it is empty.
        """
        removed = 0
        while found := await self.due():
            for segment in found:
                rows = await self._empty(segment)
                progress(segment, rows)
                removed += rows
        before = kept_since(self._clock.now(), self._months)
        await self._storage.write(partial(alarms.forget, before=before))
        return removed

    async def _empty(self, segment: Segment) -> int:
        await self._storage.write(partial(self._give_up, segment=segment, at=self._clock.now()))
        removed = 0
        while rows := await self._storage.write(partial(segments.remove_some, segment=segment)):
            removed += rows
        log.info("register rows removed", extra={"segment": segment.number, "rows": removed})
        return removed

    def _give_up(self, connection: Connection, segment: Segment, at: datetime) -> None:
        if not segments.begin_removal(connection, segment.number, at):
            return
        detail = f"segment {segment.number} of {segment.day}, links {segment.first} to {segment.last}: kept long enough"
        register.append(connection, [RegisterEntry(event=Event.REMOVAL, at=at, provider=self._provider, detail=detail)])
