"""The journal of a box that several people share: who did what there, when and from where (D35).

Boxes without people have none. What changes a box is written in the transaction that changes it.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, delete, select

from gateway.points.sharing import Act
from gateway.storage.statements import Row, Statement, among, insert_into, numbers
from gateway.storage.tables import box_journal, message_forms, messages
from gateway.storage.values import clean, instant, micros
from receipts.fields import decode_words

__all__ = ["BY_COMMAND", "Entry", "Mentioned", "Told", "add", "forget", "mentioned", "page", "uids_by_id", "written"]

BY_COMMAND: Final = "command"
"""Stands for a protocol where the operator acted by the command line."""
MENTIONED: Final = 500
"""Messages of one row that are told one by one; of a larger act there are several rows."""
SUBJECT: Final = 120  # characters
_SUBJECT_FIELD: Final = re.compile(rb"^subject[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
MOST_RUNS: Final = 500  # of UIDs in one row
READ_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A message as the journal names it, so that it can be told from others when it is gone."""

    uid: int
    token: str  # its id for life, POP3's UIDL
    pec_msgid: str | None
    subject: str | None  # as its sender wrote it, its beginning; None: the message has not been worked out yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row."""

    mailbox_id: int
    at: datetime
    act: Act
    protocol: str
    person: str | None = None  # None: the box's holder, or the operator
    device: str | None = None  # first characters of the password; empty: the one that the holder chose
    address: str | None = None  # network address of the other end
    folder: str | None = None
    target: str | None = None
    uids: Sequence[int] = ()  # ascending
    mentioned: Sequence[Mentioned] = ()  # some or all of these messages, by UID
    facts: Mapping[str, Any] = field(default_factory=dict)  # what else there is to say, as JSON has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A row as it is read."""

    id: int
    at: datetime
    person: str | None
    device: str | None
    address: str | None
    protocol: str
    act: str
    folder: str | None
    target: str | None
    uids: str | None  # a set, as in 1:4,7
    messages: int
    detail: Mapping[str, Any]


_ADD = insert_into(box_journal, returning="id")
_COLUMNS = (
    box_journal.c.id,
    box_journal.c.at,
    box_journal.c.person,
    box_journal.c.device,
    box_journal.c.address,
    box_journal.c.protocol,
    box_journal.c.act,
    box_journal.c.folder,
    box_journal.c.target,
    box_journal.c.uids,
    box_journal.c.messages,
    box_journal.c.detail,
)
_PAGE = Statement(
    select(*_COLUMNS)
    .where(
        box_journal.c.mailbox_id == bindparam("mailbox"),
        box_journal.c.at >= bindparam("since"),
        box_journal.c.at < bindparam("until"),
        (box_journal.c.at > bindparam("after"))
        | and_(box_journal.c.at == bindparam("after"), box_journal.c.id > bindparam("last")),
    )
    .order_by(box_journal.c.at, box_journal.c.id)
    .limit(READ_AT_ONCE)
)
_MENTIONED = Statement(
    among(
        messages.c.uid,
        lambda these: (
            select(
                messages.c.uid,
                messages.c.token,
                messages.c.pec_msgid,
                message_forms.c.fields,
            )
            .select_from(messages.outerjoin(message_forms, message_forms.c.body_id == messages.c.body_id))
            .where(messages.c.mailbox_id == bindparam("mailbox"), these)
            .order_by(messages.c.uid)
        ),
    )
)
_UIDS = Statement(
    select(messages.c.id, messages.c.uid).where(messages.c.mailbox_id == bindparam("mailbox")),
)
_OLD = Statement(
    delete(box_journal).where(
        box_journal.c.id.in_(
            select(box_journal.c.id)
            .where(box_journal.c.at < bindparam("before"))
            .order_by(box_journal.c.at)
            .limit(bindparam("most"))
        )
    )
)
_BEFORE_ALL: Final = -(1 << 62)
_AFTER_ALL: Final = 1 << 62


def add(connection: Connection, entry: Entry) -> None:
    """Write an act down: one row, or several where there is much to tell."""
    by_uid = {one.uid: one for one in entry.mentioned}
    shared = {
        "mailbox_id": entry.mailbox_id,
        "at": micros(entry.at),
        "person": _clean(entry.person),
        "device": _clean(entry.device),
        "address": _clean(entry.address),
        "protocol": entry.protocol,
        "act": entry.act.value,
        "folder": _clean(entry.folder),
        "target": _clean(entry.target),
    }
    for uids in _portions(entry.uids, told=bool(by_uid)):
        told = [_told(by_uid[uid]) for uid in uids if uid in by_uid]
        facts = {**entry.facts, "of": told} if told else entry.facts
        own = {
            "uids": written(uids) if uids else None,
            "messages": len(uids),
            "detail": clean(json.dumps(facts, ensure_ascii=False, separators=(",", ":"))),
        }
        _ADD.one(connection, shared | own)


def mentioned(connection: Connection, mailbox_id: int, uids: Collection[int]) -> list[Mentioned]:
    """What the journal says of those of these messages that are there."""
    rows = _MENTIONED.all(connection, {"mailbox": mailbox_id} | numbers(connection, uids))
    return [Mentioned(uid, token, msgid, _subject(fields)) for uid, token, msgid, fields in rows]


def uids_by_id(connection: Connection, mailbox_id: int) -> dict[int, int]:
    """The UIDs of all messages of a box, by their ids."""
    return {row[0]: row[1] for row in _UIDS.all(connection, {"mailbox": mailbox_id})}


def page(
    connection: Connection,
    mailbox_id: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after: Told | None = None,
) -> list[Told]:
    """The first thousand rows of a box behind ``after``, oldest first.

    Args:
        until: not within.
    """
    values = {
        "mailbox": mailbox_id,
        "since": _BEFORE_ALL if since is None else micros(since),
        "until": _AFTER_ALL if until is None else micros(until),
        "after": _BEFORE_ALL if after is None else micros(after.at),
        "last": 0 if after is None else after.id,
    }
    return [_entry(row) for row in _PAGE.all(connection, values)]


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Remove rows from before a moment, so many at most, the oldest first; how many there were."""
    return _OLD.run(connection, {"before": micros(before), "most": limit})


def written(uids: Sequence[int]) -> str:
    """Ascending UIDs as a set, runs as ranges."""
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in _runs(uids))


def _portions(uids: Sequence[int], *, told: bool) -> Iterable[Sequence[int]]:
    """The UIDs of each row."""
    if not uids:
        return [()]
    return (uids[at : at + MENTIONED] for at in range(0, len(uids), MENTIONED)) if told else _by_runs(uids)


def _by_runs(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    breaks = [place for place, (one, next_) in enumerate(pairwise(uids), 1) if next_ != one + 1]
    ends = [*breaks[MOST_RUNS - 1 :: MOST_RUNS], len(uids)]
    start = 0
    for end in ends:
        yield uids[start:end]
        start = end


def _runs(uids: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for uid in uids:
        if last is not None and first is not None and uid != last + 1:
            yield first, last
            first = uid
        first = uid if first is None else first
        last = uid
    if first is not None and last is not None:
        yield first, last


def _told(one: Mentioned) -> list[Any]:
    return [one.uid, one.token, one.pec_msgid, one.subject]


def _subject(fields: bytes | None) -> str | None:
    """The subject among the header fields that are kept, for people to read."""
    if fields is None:
        return None
    found = _SUBJECT_FIELD.search(fields)
    return "" if found is None else decode_words(found[1].removesuffix(b"\r"))[:SUBJECT]


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _entry(row: Row) -> Told:
    return Told(
        id=row[0],
        at=instant(row[1]),
        person=row[2],
        device=row[3],
        address=row[4],
        protocol=row[5],
        act=row[6],
        folder=row[7],
        target=row[8],
        uids=row[9],
        messages=row[10],
        detail=json.loads(row[11]),
    )
