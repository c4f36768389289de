"""What changes of the messages in the folders of a mailbox: their flags and keywords, each change with its modseq.

Every change first takes the next modseq of the mailbox (``folders.change_box``), which holds it. The states of a
folder lie together and have no index, so that a thousand of them change at once; instead, the last changes of each
folder are noted as a range of UIDs each, in ``KEPT`` places that are used in turn.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.storage.statements import Row, Statement, among, numbers
from gateway.storage.tables import flag_changes, message_states

__all__ = [
    "KEPT",
    "Change",
    "State",
    "count_from",
    "first_without",
    "highest_uid",
    "note_changes",
    "runs",
    "set_flags",
    "states",
    "states_since",
    "uids",
    "weight",
    "without_or_with",
]

KEPT: Final = 1_024
"""Changes of flags that are noted of a folder."""
MOST_RANGES: Final = 16
"""Ranges of UIDs that are read one by one; the states between more of them are read, too."""
EVER: Final = (1 << 63) - 1
ALL: Final = -1
"""Every bit."""


class State(NamedTuple):
    """What changes of a message."""

    uid: int
    modseq: int
    flags: int  # Marks
    keywords: int  # bits of the mailbox's own


class Change(NamedTuple):
    """Flags that changed somewhere in a range of UIDs."""

    mailbox_id: int
    folder: str  # the key of one
    modseq: int
    first_uid: int
    last_uid: int


_C = message_states.c
_HERE = (_C.mailbox_id == bindparam("mailbox"), _C.folder == bindparam("here"))
_STATE = (_C.uid, _C.modseq, _C.flags, _C.keywords)
_UIDS = Statement(select(_C.uid).where(*_HERE).order_by(_C.uid))
_ALL = Statement(select(*_STATE).where(*_HERE).order_by(_C.uid))
_SOME = Statement(among(_C.uid, lambda these: select(*_STATE).where(*_HERE, these).order_by(_C.uid)))
_LACKS = _C.flags.op("&")(bindparam("without")) == 0
_FIRST_WITHOUT = Statement(select(_C.uid).where(*_HERE, _LACKS).order_by(_C.uid).limit(1))
_WITHOUT_OR_WITH = Statement(
    select(_C.uid, _C.flags).where(*_HERE, _LACKS | (_C.flags.op("&")(bindparam("mark")) != 0))
)
_WEIGHT = Statement(
    select(func.count(), func.coalesce(func.sum(_C.size), 0), func.coalesce(func.max(_C.uid), 0)).where(
        *_HERE, _C.uid > bindparam("above")
    )
)
_COUNT_FROM = Statement(select(func.count()).where(*_HERE, _C.uid >= bindparam("first")))
_HIGHEST = Statement(select(func.max(_C.uid)).where(*_HERE))
_LAST_BEFORE = Statement(select(_C.uid).where(*_HERE, _C.modseq <= bindparam("since")).order_by(_C.uid.desc()).limit(1))
_SINCE = Statement(
    select(*_STATE)
    .where(*_HERE, _C.uid.between(bindparam("first"), bindparam("last")), _C.modseq > bindparam("since"))
    .order_by(_C.uid)
)
_CHANGED = Statement(
    select(flag_changes.c.first_uid, flag_changes.c.last_uid)
    .where(
        flag_changes.c.mailbox_id == bindparam("mailbox"),
        flag_changes.c.folder == bindparam("here"),
        flag_changes.c.modseq > bindparam("since"),
        flag_changes.c.first_uid <= bindparam("last"),
    )
    .order_by(flag_changes.c.first_uid)
)
_WIDE = BigInteger()


def _with_bits(column: Any, keep: str, add: str) -> Any:
    return column.op("&")(bindparam(keep, type_=_WIDE)).op("|")(bindparam(add, type_=_WIDE))


_NEW_FLAGS = _with_bits(_C.flags, "keep", "add")
_NEW_KEYWORDS = _with_bits(_C.keywords, "keep_keywords", "add_keywords")
_SET = Statement(
    update(message_states)
    .where(
        *_HERE,
        _C.uid >= bindparam("first"),
        _C.uid <= bindparam("last"),
        _C.modseq <= bindparam("unchanged"),
        (_C.flags != _NEW_FLAGS) | (_C.keywords != _NEW_KEYWORDS),
    )
    .values(flags=_NEW_FLAGS, keywords=_NEW_KEYWORDS, modseq=bindparam("now"))
)


def _noting(insert: Any) -> Any:
    """In the place of a change that is no longer among the last."""
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["mailbox_id", "folder", "slot"],
        set_={"modseq": new.modseq, "first_uid": new.first_uid, "last_uid": new.last_uid},
    )


_NOTE = Statement(
    {"sqlite": _noting(sqlite.insert(flag_changes)), "postgresql": _noting(postgresql.insert(flag_changes))},
    [column.name for column in flag_changes.columns],
)


def uids(connection: Connection, mailbox_id: int, folder: str) -> list[int]:
    """The UIDs of all messages in a folder, ascending. ``folder`` is a key here and below."""
    return [uid for (uid,) in _UIDS.all(connection, {"mailbox": mailbox_id, "here": folder})]


def states(connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int] | None = None) -> list[Row]:
    """``State`` rows of these UIDs, or of all, by UID: bare tuples, for there may be a hundred thousand."""
    values = {"mailbox": mailbox_id, "here": folder}
    if wanted is None:
        return _ALL.all(connection, values)
    return _SOME.all(connection, values | numbers(connection, wanted))


def first_without(connection: Connection, mailbox_id: int, folder: str, mark: int) -> int | None:
    """The lowest UID of a message without ``mark``."""
    row = _FIRST_WITHOUT.one(connection, {"mailbox": mailbox_id, "here": folder, "without": mark})
    return None if row is None else row[0]


def without_or_with(connection: Connection, mailbox_id: int, folder: str, without: int, mark: int) -> list[Row]:
    """UID and flags of messages that lack one mark, or carry another."""
    return _WITHOUT_OR_WITH.all(connection, {"mailbox": mailbox_id, "here": folder, "without": without, "mark": mark})


def weight(connection: Connection, mailbox_id: int, folder: str, above: int = 0) -> tuple[int, int, int]:
    """Of the messages with higher UIDs than ``above``: how many, their bytes, the highest UID, or 0."""
    row = _WEIGHT.one(connection, {"mailbox": mailbox_id, "here": folder, "above": above})
    assert row is not None
    return row[0], int(row[1]), row[2]


def count_from(connection: Connection, mailbox_id: int, folder: str, first: int) -> int:
    """How many messages have this UID or a higher one."""
    row = _COUNT_FROM.one(connection, {"mailbox": mailbox_id, "here": folder, "first": first})
    assert row is not None
    return int(row[0])


def highest_uid(connection: Connection, mailbox_id: int, folder: str) -> int:
    """The highest UID of a message that is there; 0 if there is none."""
    row = _HIGHEST.one(connection, {"mailbox": mailbox_id, "here": folder})
    return 0 if row is None or row[0] is None else int(row[0])


def states_since(connection: Connection, mailbox_id: int, folder: str, modseq: int, now: int) -> list[Row]:
    """``State`` rows of what is there and came or changed after ``modseq``, by UID.

    Args:
        now: the modseq that the mailbox has.
    """
    values = {"mailbox": mailbox_id, "here": folder, "since": modseq}
    if now - modseq > KEPT:
        return _between(connection, values, 0, EVER)
    row = _LAST_BEFORE.one(connection, values)  # what lies above it has come, or has changed, since
    last = 0 if row is None else row[0]
    ranges = _joined(_CHANGED.all(connection, values | {"last": last}), last)
    found = [state for low, high in ranges for state in _between(connection, values, low, high)]
    return found + _between(connection, values, last + 1, EVER)


def set_flags(
    connection: Connection,
    mailbox_id: int,
    folder: str,
    wanted: Sequence[int],
    *,
    modseq: int,
    keep: int = ALL,
    add: int = 0,
    keep_keywords: int = ALL,
    add_keywords: int = 0,
    unchanged_since: int | None = None,
) -> int:
    """Give messages other flags: of the old ones those in ``keep``, and those in ``add``; how many changed.

    Args:
        wanted: UIDs, ascending.
        modseq: what those that change get; no other change of the mailbox has it.
        unchanged_since: messages with a higher modseq stay as they are.
    """
    values = {
        "mailbox": mailbox_id,
        "here": folder,
        "now": modseq,
        "keep": keep,
        "add": add,
        "keep_keywords": keep_keywords,
        "add_keywords": add_keywords,
        "unchanged": EVER if unchanged_since is None else unchanged_since,
    }
    changed = _SET.many(connection, [values | {"first": first, "last": last} for first, last in runs(wanted)])
    if changed:
        note_changes(connection, [Change(mailbox_id, folder, modseq, wanted[0], wanted[-1])])
    return changed


def note_changes(connection: Connection, changes: Iterable[Change]) -> None:
    """Note where flags have changed: each change with the modseq that the messages got."""
    _NOTE.many(connection, [change._asdict() | {"slot": change.modseq % KEPT} for change in changes])


def runs(ascending: Sequence[int]) -> list[tuple[int, int]]:
    """Different numbers as runs of those that follow one another, by the first and the last of each."""
    if not ascending:
        return []
    if ascending[-1] - ascending[0] == len(ascending) - 1:
        return [(ascending[0], ascending[-1])]
    cuts = [0, *(n for n, (low, high) in enumerate(pairwise(ascending), 1) if high != low + 1), len(ascending)]
    return [(ascending[a], ascending[b - 1]) for a, b in pairwise(cuts)]


def _between(connection: Connection, values: dict[str, Any], first: int, last: int) -> list[Row]:
    return _SINCE.all(connection, values | {"first": first, "last": last})


def _joined(ranges: Sequence[Row], last: int) -> list[tuple[int, int]]:
    """Ranges, which ascend, up to ``last``, none of which touches another."""
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], min(high, last))
        else:
            found.append((low, min(high, last)))
    return found if len(found) <= MOST_RANGES else [(found[0][0], found[-1][1])]
