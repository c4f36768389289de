"""Alarms that stand: raised once when something fails, over once when it works again.

Something that comes again and again (a tick, a scan) says each time how it went, and need not remember::

    try:
        await scan(...)
    except ScannerUnavailable as error:
        await alarms.raised("scanner", str(error))  # the first time: a row, a register entry, a log event
        raise
    await alarms.over("scanner")  # the first time after that: the same; else nothing but a look into a dict

What is told about a message, once and without an end, is no such alarm: that is a register entry with
``Event.ALARM`` (``Effects.register``).

An alarm is about this process (``scanner``: the next node may reach it), or about the provider as a whole
(``everywhere=True``: whichever node does the work says so, and any node may end it). Its name is one or two words that
``docs/operations.md`` explains; its detail is a line for people, without content of messages and without passwords.

Neither call ever raises for the sake of the database: if that does not answer, the alarm is in the log all the same,
and the next call tries again. Called often, both cost nothing: what was told less than ten minutes ago, or less than a
minute ago for what is everywhere, is not told again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.storage import alarms as rows
from gateway.storage import register
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable
from gateway.storage.register import Event, RegisterEntry

__all__ = ["Alarms", "Bell"]

log = logging.getLogger(__name__)

_Key = tuple[str, str]  # name and place

REMINDED: Final = timedelta(minutes=10)
"""How often an alarm that stands is told again."""
RETRIED: Final = timedelta(seconds=10)
"""How soon what could not be written is written again, at a call."""
SHARED_TRUSTED: Final = timedelta(minutes=1)
"""How long this process trusts what it knows of an alarm that another one may change."""
REWORDED: Final = timedelta(minutes=1)
"""How often a detail that changes all the time is told anew."""
MOST_DETAIL: Final = 1_000  # characters


class Bell(Protocol):
    """What those who may have to raise an alarm need: ``Alarms``, or a list of calls in a test."""

    async def raised(self, name: str, detail: str, *, everywhere: bool = False) -> None: ...
    async def over(self, name: str, *, everywhere: bool = False) -> None: ...


@dataclass(slots=True)
class _Known:
    """What this process has told of one alarm."""

    stands: bool
    detail: str
    told_at: datetime
    tried_at: datetime
    kept: bool = False

    def serves(self, now: datetime, trusted: timedelta | None) -> bool:
        """Whether nothing need be told or written now.

        Args:
            trusted: how long what was written counts; None: for good.
        """
        if not self.kept:
            return _within(now - self.tried_at, RETRIED)
        return trusted is None or _within(now - self.told_at, trusted)


class Alarms:
    """The alarms of one process.

    Args:
        place: the name of this process (that of its leases).
        provider: the provider's name, for the register.
    """

    def __init__(self, storage: Storage, clock: Clock, *, place: str, provider: str) -> None:
        self._storage = storage
        self._clock = clock
        self._place = place
        self._provider = provider
        self._known: dict[_Key, _Known] = {}

    async def raised(self, name: str, detail: str, *, everywhere: bool = False) -> None:
        """Something is wrong, for the first time or still."""
        key, detail, now = self._key(name, everywhere), detail[:MOST_DETAIL], self._clock.now()
        known = self._known.get(key)
        if known is None or not known.stands:
            known = None
        elif known.serves(now, REMINDED if known.detail == detail else REWORDED):
            return
        if known is None or known.kept:
            log.error("alarm raised", extra={"alarm": name, "place": key[1], "detail": detail})
        telling = self._known[key] = _Known(True, detail, now if known is None or known.kept else known.told_at, now)
        await self._write(telling, partial(self._begin, key=key, detail=detail, at=now))

    async def over(self, name: str, *, everywhere: bool = False) -> None:
        """It is as it should be, again or still."""
        key, now = self._key(name, everywhere), self._clock.now()
        known = self._known.get(key)
        if known is not None and not known.stands and known.serves(now, SHARED_TRUSTED if everywhere else None):
            return
        telling = self._known[key] = _Known(False, "", now, now)
        if known is None or not known.stands:
            try:
                if await self._storage.read(partial(rows.standing, name=name, place=key[1])) is None:
                    telling.kept = True
                    return
            except StorageUnavailable:
                return
        stood = await self._write(telling, partial(self._end, key=key, at=now))
        if stood:
            log.info("alarm over", extra={"alarm": name, "place": key[1]})

    async def count(self) -> int:
        """How many stand, of all processes of this provider."""
        return await self._storage.read(rows.count)

    def _key(self, name: str, everywhere: bool) -> _Key:
        return name, "" if everywhere else self._place

    async def _write(self, telling: _Known, change: Callable[[Connection], bool]) -> bool:
        """Others who call meanwhile find it told already; if this fails, a later call tries again."""
        try:
            changed = await self._storage.write(change)
        except StorageUnavailable as error:
            log.warning("alarm not kept", exc_info=error)
            return False
        telling.kept = True
        return changed

    def _begin(self, connection: Connection, key: _Key, detail: str, at: datetime) -> bool:
        begun = rows.begin(connection, *key, detail, at)
        if begun:
            register.append(connection, [self._entry(Event.ALARM, key, detail, at)])
        return begun

    def _end(self, connection: Connection, key: _Key, at: datetime) -> bool:
        since = rows.end(connection, *key, at)
        if since is not None:
            detail = f"stood {(at - since) // timedelta(seconds=1)} s"
            register.append(connection, [self._entry(Event.ALARM_OVER, key, detail, at)])
        return since is not None

    def _entry(self, event: Event, key: _Key, detail: str, at: datetime) -> RegisterEntry:
        name, place = key
        told = f"{name} ({place}): {detail}" if place else f"{name}: {detail}"
        return RegisterEntry(event=event, at=at, provider=self._provider, detail=told)


def _within(time: timedelta, limit: timedelta) -> bool:
    """Whether that time is not over yet; a clock that was set back makes it so."""
    return timedelta(0) <= time < limit
