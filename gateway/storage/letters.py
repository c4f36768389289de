"""The messages in the folders of a mailbox, as programs that keep folders see them: flags, copies, what has left.

Every change first takes the next modseq of the mailbox (``folders.change_box``), which holds it: changes of one
mailbox come one after the other, in the order of their modseqs, whichever node makes them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, insert, select, update

from gateway.points.box import counts
from gateway.storage.folders import change_box
from gateway.storage.mailboxes import free
from gateway.storage.statements import Row, Statement, among, insert_ignoring, numbers
from gateway.storage.tables import expunged, folders, messages
from gateway.storage.values import micros

__all__ = [
    "MARKED",
    "Copy",
    "Letter",
    "body_ids",
    "copy",
    "count_from",
    "expunge",
    "first_without",
    "forget_expunged",
    "highest_uid",
    "letters",
    "letters_since",
    "move",
    "remove",
    "set_flags",
    "some_ids",
    "uids",
    "vanished_since",
    "weight",
    "without_or_with",
]


class Letter(NamedTuple):
    """What changes of a message."""

    uid: int
    modseq: int
    flags: int  # Marks
    keywords: int  # bits of the mailbox's own


@dataclass(frozen=True, slots=True)
class Copy:
    """A message that was copied or moved."""

    old_uid: int
    new_uid: int


_HERE = (messages.c.mailbox_id == bindparam("mailbox"), messages.c.folder == bindparam("here"))
_STATE = (messages.c.uid, messages.c.modseq, messages.c.flags, messages.c.keywords)
_UIDS = Statement(select(messages.c.uid).where(*_HERE).order_by(messages.c.uid))
_ALL = Statement(select(*_STATE).where(*_HERE).order_by(messages.c.uid))
_SOME = Statement(among(messages.c.uid, lambda these: select(*_STATE).where(*_HERE, these).order_by(messages.c.uid)))
_BODIES = Statement(
    among(
        messages.c.uid,
        lambda these: select(messages.c.uid, messages.c.body_id).where(*_HERE, these).order_by(messages.c.uid),
    )
)
_FIRST_WITHOUT = Statement(
    select(func.min(messages.c.uid)).where(*_HERE, messages.c.flags.op("&")(bindparam("mark")) == 0)
)
_WITHOUT_OR_WITH = Statement(
    select(messages.c.uid, messages.c.flags).where(
        *_HERE,
        (messages.c.flags.op("&")(bindparam("without")) == 0) | (messages.c.flags.op("&")(bindparam("mark")) != 0),
    )
)
_WEIGHED = (func.count(), func.coalesce(func.sum(messages.c.size), 0), func.coalesce(func.max(messages.c.uid), 0))
_WEIGHT = Statement(select(*_WEIGHED).where(*_HERE))  # from an index alone, as the next is not
_WEIGHT_ABOVE = Statement(select(*_WEIGHED).where(*_HERE, messages.c.uid > bindparam("above")))
_COUNT_FROM = Statement(select(func.count()).where(*_HERE, messages.c.uid >= bindparam("first")))
_SOME_IDS = Statement(select(messages.c.id).where(*_HERE).order_by(messages.c.uid).limit(bindparam("most")))
_HIGHEST = Statement(select(func.max(messages.c.uid)).where(*_HERE))
_SINCE = Statement(select(*_STATE).where(*_HERE, messages.c.modseq > bindparam("since")).order_by(messages.c.uid))
_GONE = Statement(
    select(expunged.c.first_uid, expunged.c.last_uid).where(
        expunged.c.mailbox_id == bindparam("mailbox"),
        expunged.c.folder == bindparam("here"),
        expunged.c.modseq > bindparam("since"),
    )
)
_WIDE = BigInteger()


def _with_bits(column: Any, keep: str, add: str) -> Any:
    return column.op("&")(bindparam(keep, type_=_WIDE)).op("|")(bindparam(add, type_=_WIDE))


_NEW_FLAGS = _with_bits(messages.c.flags, "keep", "add")
_NEW_KEYWORDS = _with_bits(messages.c.keywords, "keep_keywords", "add_keywords")
_SET = Statement(
    update(messages)
    .where(
        *_HERE,
        messages.c.uid >= bindparam("first"),
        messages.c.uid <= bindparam("last"),
        messages.c.modseq <= bindparam("unchanged"),
        (messages.c.flags != _NEW_FLAGS) | (messages.c.keywords != _NEW_KEYWORDS),
    )
    .values(flags=_NEW_FLAGS, keywords=_NEW_KEYWORDS, modseq=bindparam("now"))
)
_COPIED = (
    messages.c.id,
    messages.c.uid,
    messages.c.at,
    messages.c.size,
    messages.c.kind,
    messages.c.flags,
    messages.c.keywords,
    messages.c.body_id,
    messages.c.return_path,
    messages.c.pec_msgid,
)
_TO_COPY = Statement(
    among(messages.c.uid, lambda these: select(*_COPIED).where(*_HERE, these).order_by(messages.c.uid))
)
_INSERT = Statement(insert(messages), [column.name for column in messages.columns if column.name != "id"])
_MOVE = Statement(
    update(messages)
    .where(messages.c.id == bindparam("message"))
    .values(folder=bindparam("there"), uid=bindparam("new"), modseq=bindparam("now"))
)
_REMOVED = (messages.c.uid, messages.c.folder, messages.c.size, messages.c.kind, messages.c.body_id)
_REMOVE = Statement(
    among(
        messages.c.id,
        lambda these: delete(messages).where(messages.c.mailbox_id == bindparam("mailbox"), these).returning(*_REMOVED),
    )
)
_MARKED = Statement(
    among(
        messages.c.uid,
        lambda these: (
            select(messages.c.id)
            .where(*_HERE, these, messages.c.flags.op("&")(bindparam("mark")) != 0)
            .order_by(messages.c.uid)
            .limit(bindparam("most"))
        ),
    )
)
_ALL_MARKED = Statement(
    select(messages.c.id)
    .where(*_HERE, messages.c.flags.op("&")(bindparam("mark")) == bindparam("mark"))
    .order_by(messages.c.uid)
    .limit(bindparam("most"))
)
_STILL_THERE = Statement(
    among(
        messages.c.body_id,
        lambda these: select(messages.c.body_id).where(messages.c.mailbox_id == bindparam("mailbox"), these).distinct(),
    )
)
_LOG = insert_ignoring(expunged)
_LEFT = Statement(
    update(folders)
    .where(
        folders.c.mailbox_id == bindparam("mailbox"),
        folders.c.key == bindparam("here"),
        folders.c.highest_uid < bindparam("uid"),
    )
    .values(highest_uid=bindparam("uid"))
)
_OLD = Statement(
    select(expunged.c.mailbox_id, expunged.c.folder, expunged.c.modseq, expunged.c.first_uid)
    .where(expunged.c.at < bindparam("before"))
    .order_by(expunged.c.at)
    .limit(bindparam("most"))
)
_FORGET = Statement(
    delete(expunged).where(
        expunged.c.mailbox_id == bindparam("mailbox"),
        expunged.c.folder == bindparam("here"),
        expunged.c.modseq <= bindparam("until"),
    )
)
_FORGOTTEN = Statement(
    update(folders)
    .where(
        folders.c.mailbox_id == bindparam("mailbox"),
        folders.c.key == bindparam("here"),
        folders.c.log_from < bindparam("until"),
    )
    .values(log_from=bindparam("until"))
)
EVER: Final = (1 << 63) - 1
MARKED: Final = 1_000
"""Messages that one transaction removes at most, so that others need not wait long."""


def uids(connection: Connection, mailbox_id: int, folder: str) -> list[int]:
    """The UIDs of all messages in a folder, ascending. ``folder`` is a key here and below."""
    return [uid for (uid,) in _UIDS.all(connection, {"mailbox": mailbox_id, "here": folder})]


def letters(connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int] | None = None) -> list[Row]:
    """``Letter`` rows of these UIDs, or of all, by UID: bare tuples, for there may be a hundred thousand."""
    values = {"mailbox": mailbox_id, "here": folder}
    if wanted is None:
        return _ALL.all(connection, values)
    return _SOME.all(connection, values | numbers(connection, wanted))


def body_ids(connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int]) -> dict[int, int]:
    """The bodies of those of these messages that are there, by UID."""
    values = {"mailbox": mailbox_id, "here": folder} | numbers(connection, wanted)
    return {row[0]: row[1] for row in _BODIES.all(connection, values)}


def first_without(connection: Connection, mailbox_id: int, folder: str, mark: int) -> int | None:
    """The lowest UID of a message without ``mark``."""
    row = _FIRST_WITHOUT.one(connection, {"mailbox": mailbox_id, "here": folder, "mark": mark})
    return None if row is None else row[0]


def without_or_with(connection: Connection, mailbox_id: int, folder: str, without: int, mark: int) -> list[Row]:
    """UID and flags of messages that lack one mark, or carry another."""
    return _WITHOUT_OR_WITH.all(connection, {"mailbox": mailbox_id, "here": folder, "without": without, "mark": mark})


def weight(connection: Connection, mailbox_id: int, folder: str, above: int = 0) -> tuple[int, int, int]:
    """Of the messages with higher UIDs than ``above``: how many, their bytes, the highest UID, or 0."""
    statement = _WEIGHT_ABOVE if above else _WEIGHT
    row = statement.one(connection, {"mailbox": mailbox_id, "here": folder, "above": above})
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


def some_ids(connection: Connection, mailbox_id: int, folder: str, limit: int) -> list[int]:
    """Ids of the first messages of a folder."""
    rows = _SOME_IDS.all(connection, {"mailbox": mailbox_id, "here": folder, "most": limit})
    return [row[0] for row in rows]


def letters_since(connection: Connection, mailbox_id: int, folder: str, modseq: int) -> list[Row]:
    """``Letter`` rows of what is there and came or changed after ``modseq``, by UID."""
    return _SINCE.all(connection, {"mailbox": mailbox_id, "here": folder, "since": modseq})


def vanished_since(connection: Connection, mailbox_id: int, folder: str, modseq: int) -> list[int]:
    """UIDs that left a folder after ``modseq``, ascending. The caller looks whether that is still known."""
    rows = _GONE.all(connection, {"mailbox": mailbox_id, "here": folder, "since": modseq})
    return sorted(uid for first, last in rows for uid in range(first, last + 1))


def set_flags(
    connection: Connection,
    mailbox_id: int,
    folder: str,
    wanted: Sequence[int],
    *,
    modseq: int,
    keep: int,
    add: int,
    keep_keywords: int,
    add_keywords: int,
    unchanged_since: int | None = None,
) -> int:
    """Give messages other flags: of the old ones those in ``keep``, and those in ``add``; how many changed.

    Args:
        wanted: UIDs, ascending.
        modseq: what those that change get.
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
    return _SET.many(connection, [values | {"first": first, "last": last} for first, last in _runs(wanted)])


def copy(
    connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int], target: str, tokens: Iterable[str]
) -> list[Copy]:
    """Copy messages into a folder of the same mailbox, in the order of their UIDs. A body still counts once.

    Args:
        tokens: new opaque ids, at least as many as messages.
    """
    modseq, uid, _ = change_box(connection, mailbox_id, uids=len(wanted))
    found = _TO_COPY.all(connection, {"mailbox": mailbox_id, "here": folder} | numbers(connection, wanted))
    names = [column.name for column in _COPIED]
    rows: list[dict[str, Any]] = []
    for new_uid, (row, token) in enumerate(zip(found, tokens, strict=False), uid + 1):
        values = dict(zip(names, row, strict=True))
        del values["id"]
        rows.append(
            values | {"token": token, "mailbox_id": mailbox_id, "folder": target, "uid": new_uid, "modseq": modseq}
        )
    _INSERT.many(connection, rows)
    return [Copy(row[1], values["uid"]) for row, values in zip(found, rows, strict=True)]


def move(
    connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int] | None, target: str, at: datetime
) -> list[Copy]:
    """Move messages, or all, into a folder of the same mailbox, in the order of their UIDs; their opaque ids stay."""
    if wanted is None:
        change_box(connection, mailbox_id)  # nothing comes in before it is known how much is there
        wanted = uids(connection, mailbox_id, folder)
    modseq, uid, _ = change_box(connection, mailbox_id, uids=len(wanted))
    found = _TO_COPY.all(connection, {"mailbox": mailbox_id, "here": folder} | numbers(connection, wanted))
    moves = [
        {"message": row[0], "there": target, "new": new_uid, "now": modseq}
        for new_uid, row in enumerate(found, uid + 1)
    ]
    _MOVE.many(connection, moves)
    _log(connection, mailbox_id, folder, [row[1] for row in found], modseq, at)
    return [Copy(row[1], moved["new"]) for row, moved in zip(found, moves, strict=True)]


def expunge(
    connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int] | None, mark: int, at: datetime
) -> list[int]:
    """Remove for good the messages of a folder that carry ``mark``, of these or of all: the UIDs that went, ascending.

    At most ``MARKED``: whoever wants all asks until fewer went.
    """
    values = {"mailbox": mailbox_id, "here": folder, "mark": mark, "most": MARKED}
    if wanted is None:
        rows = _ALL_MARKED.all(connection, values)
    else:
        rows = _MARKED.all(connection, values | numbers(connection, wanted))
    return [uid for _, uid in remove(connection, mailbox_id, [row[0] for row in rows], at)]


def remove(
    connection: Connection, mailbox_id: int, message_ids: Collection[int], at: datetime
) -> list[tuple[str, int]]:
    """Remove messages of a mailbox for good: folder and UID of those that were there. Others' ids remove nothing."""
    if not message_ids:
        return []
    modseq, _, _ = change_box(connection, mailbox_id)
    rows = _REMOVE.all(connection, {"mailbox": mailbox_id} | numbers(connection, message_ids))
    by_folder: dict[str, list[int]] = {}
    for uid, folder, *_ in rows:
        by_folder.setdefault(folder, []).append(uid)
    for folder, gone in by_folder.items():
        _log(connection, mailbox_id, folder, sorted(gone), modseq, at)
    _free(connection, mailbox_id, {body: size for _, _, size, kind, body in rows if counts(kind)})
    return sorted((folder, uid) for uid, folder, *_ in rows)


def forget_expunged(connection: Connection, before: datetime, *, limit: int = 1_000) -> int:
    """Forget what left before a moment, the oldest first; how much was looked at."""
    rows = _OLD.all(connection, {"before": micros(before), "most": limit})
    until: dict[tuple[int, str], int] = {}
    for mailbox, folder, modseq, _ in rows:
        until[mailbox, folder] = max(modseq, until.get((mailbox, folder), 0))
    for (mailbox, folder), modseq in sorted(until.items()):
        values = {"mailbox": mailbox, "here": folder, "until": modseq}
        _FORGOTTEN.run(connection, values)
        _FORGET.run(connection, values)
    return len(rows)


def _free(connection: Connection, mailbox_id: int, bodies: dict[int, int]) -> None:
    """Count bodies no longer of which no copy is left."""
    if not bodies:
        return
    left = _STILL_THERE.all(connection, {"mailbox": mailbox_id} | numbers(connection, bodies))
    freed = sum(bodies.values()) - sum(bodies[body] for (body,) in left)
    if freed:
        free(connection, mailbox_id, freed)


def _log(connection: Connection, mailbox_id: int, folder: str, gone: Sequence[int], modseq: int, at: datetime) -> None:
    """Remember which UIDs left, as runs; and that the folder gives none of them again."""
    if not gone:
        return
    values = {"mailbox_id": mailbox_id, "folder": folder, "modseq": modseq, "at": micros(at)}
    _LOG.many(connection, [values | {"first_uid": first, "last_uid": last} for first, last in _runs(gone)])
    _LEFT.run(connection, {"mailbox": mailbox_id, "here": folder, "uid": gone[-1]})


def _runs(ascending: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers that follow one another, by the first and the last of each run."""
    if not ascending:
        return []
    cuts = [0, *(n for n, (low, high) in enumerate(pairwise(ascending), 1) if high != low + 1), len(ascending)]
    return [(ascending[a], ascending[b - 1]) for a, b in pairwise(cuts)]
