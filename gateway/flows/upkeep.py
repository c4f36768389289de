"""What mailboxes need now and then: forgetting what nobody asks for any more."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from gateway.drivers.sources import Clock
from gateway.storage import appends, journal, letters
from gateway.storage.engine import Storage

__all__ = ["Upkeep", "UpkeepSettings"]

FORGOTTEN_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepSettings:
    expunged: timedelta  # how long it is known what left a folder
    journal: timedelta  # how long the journals of shared boxes are kept


class Upkeep:
    """The upkeep of all mailboxes of a provider."""

    def __init__(self, storage: Storage, clock: Clock, settings: UpkeepSettings) -> None:
        self._storage = storage
        self._clock = clock
        self._settings = settings

    async def forget(self) -> None:
        """Forget what left folders long ago, old journals, and what was put into Sent before today's submissions."""
        now = self._clock.now()
        await self._storage.write(partial(appends.forget_appends, at=now))
        before = now - self._settings.expunged
        while (
            await self._storage.write(partial(letters.forget_expunged, before=before, limit=FORGOTTEN_AT_ONCE))
            == FORGOTTEN_AT_ONCE
        ):
            continue
        before = now - self._settings.journal
        while (
            await self._storage.write(partial(journal.forget, before=before, limit=FORGOTTEN_AT_ONCE))
            == FORGOTTEN_AT_ONCE
        ):
            continue
