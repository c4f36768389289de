"""The provider index fetched, judged, kept for every process, and put in place (DIR-06 to DIR-08)."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from gateway.drivers.http_client import Fetched, FetchFailed
from gateway.drivers.sources import Clock
from gateway.flows.alarms import Bell
from gateway.flows.fetching import FETCH_LEASE, pause
from gateway.storage import downloads
from gateway.storage.downloads import Download
from gateway.storage.engine import Storage
from providers.directory import IndexRefused
from providers.sync import IndexFile

__all__ = ["INDEX", "IndexUpdate", "UpdateOutcome", "UpdateSettings", "Updated"]

log = logging.getLogger(__name__)

INDEX: Final = "index"  # its name among the downloads
ALARM: Final = "index update"
EARLIER: Final = 0.1  # part of the period by which providers come apart from each other

Fetch = Callable[[str | None], Awaitable[Fetched]]
"""Fetches the index, unless it is still the one with this tag. Raises FetchFailed."""


class Updated(StrEnum):
    """What came of a download."""

    NEW = "new"
    SAME = "same"
    FAILED = "failed"
    ELSEWHERE = "elsewhere"  # another process is at it


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    result: Updated
    reason: str = ""  # why it failed


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSettings:
    url: str
    period: timedelta


class IndexUpdate:
    """Keeps the index file of this process as new as the authority's.

    Args:
        chance: from 0 to below 1, drawn anew each time: when within its period a provider comes.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        index: IndexFile,
        fetch: Fetch,
        bell: Bell,
        clock: Clock,
        chance: Callable[[], float],
        settings: UpdateSettings,
    ) -> None:
        self._storage = storage
        self._index = index
        self._fetch = fetch
        self._bell = bell
        self._clock = clock
        self._chance = chance
        self._settings = settings
        self._taken: str | None = None  # the version of the kept copy that was last compared with the file

    async def look(self) -> None:
        """Fetch the index if that is due, and take what another process has fetched."""
        state = await self._state()
        if state.next_at <= self._clock.now():
            await self._update(state, at_once=False)
        await self._take()

    async def now(self) -> UpdateOutcome:
        """Fetch the index, due or not."""
        outcome = await self._update(await self._state(), at_once=True)
        await self._take()
        return outcome

    async def _state(self) -> Download:
        now = self._clock.now()
        state = await self._storage.read(lambda connection: downloads.state_of(connection, INDEX))
        if state is not None and state.url == self._settings.url:
            return state
        await self._storage.write(partial(downloads.want, name=INDEX, url=self._settings.url, at=now))
        state = await self._storage.read(lambda connection: downloads.state_of(connection, INDEX))
        assert state is not None
        return state

    async def _update(self, state: Download, *, at_once: bool) -> UpdateOutcome:
        now = self._clock.now()
        claim = partial(downloads.claim, name=INDEX, at=now, until=now + FETCH_LEASE, at_once=at_once)
        if not await self._storage.write(claim):
            return UpdateOutcome(Updated.ELSEWHERE)
        await self._take()  # so that what comes is compared with the newest that is known
        try:
            fetched = await self._fetch(state.tag if self._index.loaded else None)
            if fetched.body is not None:
                await asyncio.to_thread(self._index.judge, fetched.body)
        except (FetchFailed, IndexRefused) as error:
            return await self._failed(state, str(error))
        return await self._succeeded(state, fetched)

    async def _succeeded(self, state: Download, fetched: Fetched) -> UpdateOutcome:
        now = self._clock.now()
        next_at = now + self._settings.period * (1 - EARLIER * self._chance())
        await self._bell.over(ALARM, everywhere=True)
        if fetched.body is None or hashlib.sha256(fetched.body).hexdigest() == state.version:
            await self._storage.write(partial(downloads.confirm, name=INDEX, at=now, next_at=next_at))
            return UpdateOutcome(Updated.SAME)
        keep = partial(downloads.keep, name=INDEX, data=fetched.body, tag=fetched.tag, at=now, next_at=next_at)
        await self._storage.write(keep, size=len(fetched.body))
        log.info("provider index downloaded", extra={"url": self._settings.url, "bytes": len(fetched.body)})
        return UpdateOutcome(Updated.NEW)

    async def _failed(self, state: Download, reason: str) -> UpdateOutcome:
        now = self._clock.now()
        await self._bell.raised(ALARM, f"{self._settings.url}: {reason}", everywhere=True)
        next_at = now + pause(state.failures, self._chance())
        await self._storage.write(partial(downloads.fail, name=INDEX, reason=reason, at=now, next_at=next_at))
        return UpdateOutcome(Updated.FAILED, reason)

    async def _take(self) -> None:
        """Put the kept copy in the place of the file if it is the newer of the two."""
        state = await self._state()
        if state.version is None or state.version == self._taken:
            return
        data = await self._storage.read(lambda connection: downloads.copy_of(connection, INDEX))
        if data is not None:
            await asyncio.to_thread(self._place, data)
        self._taken = state.version

    def _place(self, data: bytes) -> None:
        if self._index.placed_at is not None:
            self._index.refresh()
        if self._index.data == data:
            return
        try:
            self._index.judge(data)
        except IndexRefused as error:
            log.warning("kept provider index not used", extra={"reason": str(error)})
            return
        self._index.place(data)
        self._index.refresh()
