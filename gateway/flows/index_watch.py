"""Whether the index in use is as new as it should be, and knows this provider (DIR-06, DIR-15)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.drivers.sources import Clock
from gateway.flows.alarms import Bell
from providers.sync import IndexFile

__all__ = ["IndexWatch", "WatchSettings"]

OLD: Final = "index age"
SIGNED: Final = "index signature"
ABSENT: Final = "own record"

LastGood = Callable[[], Awaitable[datetime | None]]
"""When the index was last known to be its authority's newest; None if nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    most_unseen: timedelta
    most_signed: timedelta
    certificate: bytes  # DER of the one we sign with


class IndexWatch:
    """Looks at the index now and then; what is wrong with it is an alarm, and it stays in use."""

    def __init__(
        self, index: IndexFile, last_good: LastGood, bell: Bell, clock: Clock, settings: WatchSettings
    ) -> None:
        self._index = index
        self._last_good = last_good
        self._bell = bell
        self._clock = clock
        self._settings = settings

    async def look(self) -> None:
        """An index that never was is told of by those who would load it."""
        if not self._index.loaded:
            return
        directory = self._index.directory()
        good_at = await self._last_good() or self._index.placed_at
        await self._say(OLD, self._late("last known to be the newest", good_at, self._settings.most_unseen))
        await self._say(SIGNED, self._late("signed", directory.signed_at, self._settings.most_signed))
        ours = directory.by_certificate(self._settings.certificate)
        await self._say(ABSENT, None if ours else "our certificate is not in the index: nobody would believe it")

    async def _say(self, alarm: str, reason: str | None) -> None:
        if reason is None:
            await self._bell.over(alarm)
        else:
            await self._bell.raised(alarm, reason)

    def _late(self, what: str, at: datetime | None, most: timedelta) -> str | None:
        if at is None or self._clock.now() - at <= most:
            return None
        return f"{what} at {at:%Y-%m-%d %H:%M} UTC"
