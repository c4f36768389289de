"""Folders as they were opened last: opening one again costs what has changed in it, not what lies in it."""

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from gateway.points.marks import Mark
from gateway.storage import keywords, letters, states
from gateway.storage.folders import StoredFolder

__all__ = ["View", "Views"]

MOST_UIDS: Final = 8_000_000  # of four bytes
MOST_VIEWS: Final = 20_000
FEW: Final = 200


@dataclass(frozen=True, slots=True)
class View:
    """A folder when its box had this modseq. Nobody changes ``uids``."""

    modseq: int
    uids: "array[int]"  # ascending
    first_unseen: int | None
    keywords: dict[int, str]  # of the box, by their bits: each new one is a change of the box


class Views:
    """The folders that were opened last, in one process. Readers of any thread may ask."""

    def __init__(self) -> None:
        self._views: OrderedDict[tuple[int, str], View] = OrderedDict()
        self._uids = 0
        self._lock = threading.Lock()

    def look(self, connection: Connection, mailbox_id: int, folder: StoredFolder, modseq: int) -> View:
        """The folder as this connection sees it; ``modseq`` is that of the box."""
        with self._lock:
            known = self._views.get((mailbox_id, folder.key))
        if known is not None and known.modseq == modseq:
            return known
        if known is None or known.modseq > modseq or known.modseq < folder.log_from:
            view = _whole(connection, mailbox_id, folder.key, modseq)
        else:
            view = _brought_forward(connection, mailbox_id, folder.key, known, modseq)
        if known is None or known.modseq < modseq:
            self._remember((mailbox_id, folder.key), view)
        return view

    def _remember(self, key: tuple[int, str], view: View) -> None:
        with self._lock:
            before = self._views.pop(key, None)
            self._uids += len(view.uids) - (0 if before is None else len(before.uids))
            self._views[key] = view
            while len(self._views) > 1 and (self._uids > MOST_UIDS or len(self._views) > MOST_VIEWS):
                _, oldest = self._views.popitem(last=False)
                self._uids -= len(oldest.uids)


def _whole(connection: Connection, mailbox_id: int, folder: str, modseq: int) -> View:
    uids = array("I", states.uids(connection, mailbox_id, folder))
    unseen = states.first_without(connection, mailbox_id, folder, Mark.SEEN)
    return View(modseq, uids, unseen, keywords.keyword_names(connection, mailbox_id))


def _brought_forward(connection: Connection, mailbox_id: int, folder: str, known: View, modseq: int) -> View:
    rows = states.states_since(connection, mailbox_id, folder, known.modseq, modseq)
    gone = letters.vanished_since(connection, mailbox_id, folder, known.modseq)
    names = keywords.keyword_names(connection, mailbox_id)
    if not rows and not gone:
        return View(modseq, known.uids, known.first_unseen, names)
    last = known.uids[-1] if known.uids else 0
    uids = _without(known.uids, gone)
    uids.extend(row[0] for row in rows if row[0] > last)
    unseen = _first_unseen(connection, mailbox_id, folder, known.first_unseen, rows, gone)
    return View(modseq, uids, unseen, names)


def _without(uids: "array[int]", gone: Sequence[int]) -> "array[int]":
    """A copy without these."""
    if len(gone) > FEW:
        dropped = frozenset(gone)
        return array("I", (uid for uid in uids if uid not in dropped))
    left = uids[:]
    for uid in gone:
        at = bisect_left(left, uid)
        if at < len(left) and left[at] == uid:
            left.pop(at)
    return left


def _first_unseen(
    connection: Connection, mailbox_id: int, folder: str, known: int | None, rows: Sequence[Any], gone: Sequence[int]
) -> int | None:
    seen = {row[0] for row in rows if row[2] & Mark.SEEN}
    first = min((row[0] for row in rows if row[0] not in seen), default=None)
    if known is None:
        return first
    if known in seen or known in gone:
        return states.first_without(connection, mailbox_id, folder, Mark.SEEN)
    return known if first is None else min(known, first)
