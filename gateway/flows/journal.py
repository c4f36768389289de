"""The journal of shared boxes as flows write it: acts in the transaction they are, reading soon after (D35).

A program that fetches five thousand messages one by one must not make five thousand transactions of it: what was read
is gathered and written every second, one row for what one session read of a folder.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.flows.outcomes import Holder, Peer, Protocol, Visit
from gateway.flows.signin import SignInDiary
from gateway.points.sharing import Act, may
from gateway.storage import journal, people
from gateway.storage.engine import Storage
from gateway.storage.journal import Entry
from receipts.errors import TemporaryError

__all__ = ["Journal", "JournaledDiary", "allowed", "entry_of"]

_TOLD_ONE_BY_ONE: Final = 50
"""Messages of one reading that are named, not only counted."""
_MOST: Final = 10_000  # readings between two writings; sessions are fewer

Key = tuple[Visit, int, str | None]
"""Session, mailbox, folder."""


def allowed(connection: Connection, visit: Visit, act: Act) -> bool:
    """Whether whoever signed in may do this now."""
    if visit.person_id is None:
        return True
    right = people.right_of(connection, visit.person_id, visit.device)
    return right is not None and may(right, act)


def entry_of(visit: Visit, mailbox_id: int, act: Act, at: datetime, **facts: Any) -> Entry:
    """A row about what whoever signed in did; ``facts`` are fields of ``Entry``."""
    return Entry(
        mailbox_id=mailbox_id,
        at=at,
        act=act,
        protocol=visit.protocol.value,
        person=visit.person,
        device=visit.device,
        address=visit.address,
        **facts,
    )


@dataclass(slots=True)
class _Reading:
    at: datetime
    uids: set[int] = field(default_factory=set)


class Journal:
    """What this process has to write into the journals of shared boxes."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._readings: dict[Key, _Reading] = {}
        self._entries: list[Entry] = []

    def read(self, visit: Visit, mailbox_id: int, folder: str | None, uids: Iterable[int]) -> None:
        """Note that messages were read; never waits.

        Args:
            folder: None: whatever they lie in.
        """
        key = (visit, mailbox_id, folder)
        reading = self._readings.get(key)
        if reading is None:
            reading = self._readings[key] = _Reading(self._clock.now())
        reading.uids.update(uids)

    def signed_in(self, holder: Holder) -> None:
        """Note a sign-in; never waits. Without effect for boxes that are not shared."""
        if holder.visit is not None and len(self._entries) < _MOST:
            self._entries.append(entry_of(holder.visit, holder.mailbox_id, Act.SIGN_IN, self._clock.now()))

    async def write(self) -> None:
        """Keep what was noted; what cannot be kept now is kept the next time."""
        entries, readings = self._entries, self._readings
        if not entries and not readings:
            return
        self._entries, self._readings = [], {}
        try:
            await self._storage.write(partial(_keep, entries=entries, readings=readings))
        except TemporaryError:
            self._entries = entries + self._entries
            for key, reading in readings.items():
                if (later := self._readings.get(key)) is not None:
                    reading.uids |= later.uids
                self._readings[key] = reading
            raise


def _keep(connection: Connection, entries: Collection[Entry], readings: Mapping[Key, _Reading]) -> None:
    for entry in entries:
        journal.add(connection, entry)
    for (visit, mailbox_id, folder), reading in readings.items():
        uids = sorted(reading.uids)
        told = journal.mentioned(connection, mailbox_id, uids) if len(uids) <= _TOLD_ONE_BY_ONE else ()
        facts: dict[str, Any] = {"folder": folder, "uids": uids, "mentioned": told}
        journal.add(connection, entry_of(visit, mailbox_id, Act.READ, reading.at, **facts))


class JournaledDiary:
    """A diary of sign-ins that tells the journals of shared boxes too."""

    def __init__(self, diary: SignInDiary, journal: Journal) -> None:
        self._diary = diary
        self._journal = journal

    def used(self, holder: Holder, lookup: str, protocol: Protocol, peer: Peer, network: str) -> None:
        self._journal.signed_in(holder)
        self._diary.used(holder, lookup, protocol, peer, network)

    def failed(self, holder: Holder, peer: Peer) -> None:
        self._diary.failed(holder, peer)
