"""The messages in the folders of a mailbox, as programs that keep folders change them: copies, moves, what has left.

Every change first takes the next modseq of the mailbox (``folders.change_box``), which holds it: changes of one
mailbox come one after the other, in the order of their modseqs, whichever node makes them. Flags are in ``states``.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.points.box import counts
from gateway.storage.folders import change_box
from gateway.storage.mailboxes import free
from gateway.storage.statements import Statement, among, insert_ignoring, insert_into, numbers
from gateway.storage.states import runs, uids
from gateway.storage.tables import expunged, folders, message_states, messages
from gateway.storage.values import micros

__all__ = [
    "MARKED",
    "Copy",
    "body_ids",
    "copy",
    "expunge",
    "forget_expunged",
    "move",
    "remove",
    "some_ids",
    "vanished_since",
]


@dataclass(frozen=True, slots=True)
class Copy:
    """A message that was copied or moved."""

    old_uid: int
    new_uid: int


_HERE = (messages.c.mailbox_id == bindparam("mailbox"), messages.c.folder == bindparam("here"))
_STATE = message_states.c
_IN_STATE = (_STATE.mailbox_id == bindparam("mailbox"), _STATE.folder == bindparam("here"))
_BOTH = message_states.join(messages)
_BODIES = Statement(
    among(
        _STATE.uid,
        lambda these: select(_STATE.uid, _STATE.body_id).where(*_IN_STATE, these).order_by(_STATE.uid),
    )
)
_SOME_IDS = Statement(select(messages.c.id).where(*_HERE).order_by(messages.c.uid).limit(bindparam("most")))
_GONE = Statement(
    select(expunged.c.first_uid, expunged.c.last_uid).where(
        expunged.c.mailbox_id == bindparam("mailbox"),
        expunged.c.folder == bindparam("here"),
        expunged.c.modseq > bindparam("since"),
    )
)
_COPIED = (
    messages.c.id,
    messages.c.uid,
    messages.c.at,
    messages.c.size,
    messages.c.kind,
    messages.c.body_id,
    messages.c.return_path,
    messages.c.pec_msgid,
    _STATE.flags,
    _STATE.keywords,
)
_TO_COPY = Statement(
    among(
        _STATE.uid,
        lambda these: select(*_COPIED).select_from(_BOTH).where(*_IN_STATE, these).order_by(_STATE.uid),
    )
)
_INSERT = insert_into(messages, returning="id")
_INSERT_STATE = insert_into(message_states)
_TO_MOVE = Statement(
    among(
        messages.c.uid,
        lambda these: select(messages.c.id, messages.c.uid).where(*_HERE, these).order_by(messages.c.uid),
    )
)
_MOVE = Statement(  # its state goes along
    update(messages)
    .where(messages.c.id == bindparam("message"))
    .values(folder=bindparam("there"), uid=bindparam("new"))
)
_MOVED = Statement(
    update(message_states).where(*_IN_STATE, _STATE.uid >= bindparam("first")).values(modseq=bindparam("now"))
)
_REMOVED = (messages.c.uid, messages.c.folder, messages.c.size, messages.c.kind, messages.c.body_id)
_REMOVE = Statement(
    among(
        messages.c.id,
        lambda these: delete(messages).where(messages.c.mailbox_id == bindparam("mailbox"), these).returning(*_REMOVED),
    )
)
_HAS_MARK = _STATE.flags.op("&")(bindparam("mark")) != 0
_FIRST_MARKED = (
    select(messages.c.id).select_from(_BOTH).where(*_IN_STATE, _HAS_MARK).order_by(_STATE.uid).limit(bindparam("most"))
)
_MARKED = Statement(among(_STATE.uid, _FIRST_MARKED.where))
_ALL_MARKED = Statement(_FIRST_MARKED)
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
MARKED: Final = 1_000
"""Messages that one transaction removes at most, so that others need not wait long."""


def body_ids(connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int]) -> dict[int, int]:
    """The bodies of those of these messages that are there, by UID."""
    values = {"mailbox": mailbox_id, "here": folder} | numbers(connection, wanted)
    return {row[0]: row[1] for row in _BODIES.all(connection, values)}


def some_ids(connection: Connection, mailbox_id: int, folder: str, limit: int) -> list[int]:
    """Ids of the first messages of a folder."""
    rows = _SOME_IDS.all(connection, {"mailbox": mailbox_id, "here": folder, "most": limit})
    return [row[0] for row in rows]


def vanished_since(connection: Connection, mailbox_id: int, folder: str, modseq: int) -> list[int]:
    """UIDs that left a folder after ``modseq``, ascending. The caller looks whether that is still known."""
    rows = _GONE.all(connection, {"mailbox": mailbox_id, "here": folder, "since": modseq})
    return sorted(uid for first, last in rows for uid in range(first, last + 1))


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
        rows.append(
            values | {"token": token, "mailbox_id": mailbox_id, "folder": target, "uid": new_uid, "modseq": modseq}
        )
    _INSERT.many(connection, rows)
    _INSERT_STATE.many(connection, rows)
    return [Copy(row[1], values["uid"]) for row, values in zip(found, rows, strict=True)]


def move(
    connection: Connection, mailbox_id: int, folder: str, wanted: Collection[int] | None, target: str, at: datetime
) -> list[Copy]:
    """Move messages, or all, into a folder of the same mailbox, in the order of their UIDs; their opaque ids stay."""
    if wanted is None:
        change_box(connection, mailbox_id)  # nothing comes in before it is known how much is there
        wanted = uids(connection, mailbox_id, folder)
    modseq, uid, _ = change_box(connection, mailbox_id, uids=len(wanted))
    found = _TO_MOVE.all(connection, {"mailbox": mailbox_id, "here": folder} | numbers(connection, wanted))
    moves = [{"message": row[0], "there": target, "new": new_uid} for new_uid, row in enumerate(found, uid + 1)]
    _MOVE.many(connection, moves)
    _MOVED.run(connection, {"mailbox": mailbox_id, "here": target, "first": uid + 1, "now": modseq})
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
    _LOG.many(connection, [values | {"first_uid": first, "last_uid": last} for first, last in runs(gone)])
    _LEFT.run(connection, {"mailbox": mailbox_id, "here": folder, "uid": gone[-1]})
