"""What lies in folders, counted, and remembered: counting again costs what has changed, not what lies there."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from gateway.points.marks import Mark
from gateway.storage import letters, states
from gateway.storage.folders import StoredFolder

__all__ = ["Tallies", "Tally"]

MOST_TALLIES: Final = 20_000
MOST_NOTED: Final = 1_000_000
"""UIDs that are remembered in all: some 100 bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A folder when its box had this modseq."""

    modseq: int
    messages: int
    size: int  # bytes
    highest_uid: int  # of a message that is there; 0 if there is none
    recent_from: int  # UIDs from here on were recent
    recent: int
    unseen: frozenset[int]  # UIDs
    deleted: frozenset[int]  # marked so


class Tallies:
    """The folders that were counted last, in one process. Readers of any thread may ask."""

    def __init__(self) -> None:
        self._tallies: OrderedDict[tuple[int, str], Tally] = OrderedDict()
        self._noted = 0
        self._lock = threading.Lock()

    def count(self, connection: Connection, mailbox_id: int, folder: StoredFolder, modseq: int) -> Tally:
        """The folder as this connection sees it; ``modseq`` is that of the box."""
        with self._lock:
            known = self._tallies.get((mailbox_id, folder.key))
        if known is not None and (known.modseq, known.recent_from) == (modseq, folder.recent_from):
            return known
        tally = None
        if known is not None and folder.log_from <= known.modseq <= modseq:
            tally = _brought_forward(connection, mailbox_id, folder, known, modseq)
        if tally is None:
            tally = _counted(connection, mailbox_id, folder, modseq)
        if known is None or known.modseq <= modseq:
            self._remember((mailbox_id, folder.key), tally)
        return tally

    def _remember(self, key: tuple[int, str], tally: Tally) -> None:
        with self._lock:
            before = self._tallies.pop(key, None)
            self._noted += _noted(tally) - (0 if before is None else _noted(before))
            self._tallies[key] = tally
            while self._tallies and (self._noted > MOST_NOTED or len(self._tallies) > MOST_TALLIES):
                _, oldest = self._tallies.popitem(last=False)
                self._noted -= _noted(oldest)


def _noted(tally: Tally) -> int:
    return len(tally.unseen) + len(tally.deleted)


def _counted(connection: Connection, mailbox_id: int, folder: StoredFolder, modseq: int) -> Tally:
    messages, size, highest = states.weight(connection, mailbox_id, folder.key)
    rows = states.without_or_with(connection, mailbox_id, folder.key, Mark.SEEN, Mark.DELETED)
    return Tally(
        modseq=modseq,
        messages=messages,
        size=size,
        highest_uid=highest,
        recent_from=folder.recent_from,
        recent=states.count_from(connection, mailbox_id, folder.key, folder.recent_from),
        unseen=frozenset(uid for uid, flags in rows if not flags & Mark.SEEN),
        deleted=frozenset(uid for uid, flags in rows if flags & Mark.DELETED),
    )


def _brought_forward(
    connection: Connection, mailbox_id: int, folder: StoredFolder, known: Tally, modseq: int
) -> Tally | None:
    """None if messages left: nobody knows any more how large they were."""
    if letters.vanished_since(connection, mailbox_id, folder.key, known.modseq):
        return None
    rows = states.states_since(connection, mailbox_id, folder.key, known.modseq, modseq)
    messages, size, highest = states.weight(connection, mailbox_id, folder.key, known.highest_uid)
    recent = known.recent + messages
    if known.recent_from != folder.recent_from:
        recent = states.count_from(connection, mailbox_id, folder.key, folder.recent_from)
    return Tally(
        modseq=modseq,
        messages=known.messages + messages,
        size=known.size + size,
        highest_uid=highest or known.highest_uid,
        recent_from=folder.recent_from,
        recent=recent,
        unseen=_noted_now(known.unseen, rows, lambda flags: not flags & Mark.SEEN),
        deleted=_noted_now(known.deleted, rows, lambda flags: bool(flags & Mark.DELETED)),
    )


def _noted_now(known: frozenset[int], rows: Sequence[Any], is_noted: Callable[[int], bool]) -> frozenset[int]:
    """UIDs of which something is noted, when these rows have changed."""
    noted = {row[0] for row in rows if is_noted(row[2])}
    return known.difference(row[0] for row in rows if row[0] not in noted) | noted
