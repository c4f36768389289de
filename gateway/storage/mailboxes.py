"""What lies in a mailbox: messages with an opaque id for life, folder, UID and modseq (D27)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, exists, select, update

from gateway.points.box import FIRST_FOLDERS, RECEIPTS, counts, is_certified
from gateway.points.digests import About, about_of
from gateway.points.marks import Mark
from gateway.points.tracking import RecipientState
from gateway.storage import digests, handovers
from gateway.storage.batch import Addition, batch_of
from gateway.storage.digests import Arrivals
from gateway.storage.errors import Conflict
from gateway.storage.handovers import Due
from gateway.storage.statements import Statement
from gateway.storage.states import Change, note_changes
from gateway.storage.tables import (
    certified_messages,
    certified_recipients,
    folders,
    mailboxes,
    message_states,
    messages,
)
from gateway.storage.values import clean, instant, micros
from receipts.records import record
from receipts.wire import RecipientKind

__all__ = [
    "ORDINARY",
    "SERVICE",
    "Folder",
    "ListedMessage",
    "NewMessage",
    "StoredMessage",
    "deliver",
    "find",
    "free",
    "mark_sent",
    "pop3_listing",
    "sent_token",
]

ORDINARY: Final = "ordinary"
"""Kind of a message that is none of ``MessageKind``."""
SERVICE: Final = "service"
"""Kind of what the service writes to a holder: it does not count against the quota."""


class Folder(StrEnum):
    """Keys of the folders that every mailbox has (``points.box.FIRST_FOLDERS``)."""

    INBOX = "INBOX"
    RECEIPTS = "Receipts"
    SENT = "Sent"
    DRAFTS = "Drafts"
    TRASH = "Trash"
    JUNK = "Junk"
    ARCHIVE = "Archive"


@record(kw_only=True)
class NewMessage:
    """A message on its way into a mailbox."""

    mailbox_id: int
    token: str  # the opaque id; new for each message and mailbox
    body_id: int  # everything the holder gets to read, Return-Path and all
    size: int  # of that body
    kind: str  # a MessageKind, or what an ordinary message is called
    at: datetime
    folder: str | None = None  # its key or name; None: the inbox, or where the mailbox keeps receipts
    flags: int = 0  # Marks
    keywords: int = 0  # of the mailbox's own
    return_path: str = ""
    pec_msgid: str | None = None
    most: int | None = None  # bytes up to which it may fill the mailbox
    arrived: bool = False  # it came for the holder, who may want to hear of it: it was not put there by a program.
    # It goes where the mailbox is kept; what a program puts there is put here, wherever that is.
    elsewhere: bool | None = None  # what was decided on: that another server keeps the mailbox, or that we do
    due: Due | None = None  # what is due once it is where it belongs


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message in a mailbox."""

    id: int
    token: str
    folder: str
    uid: int
    at: datetime
    size: int
    kind: str
    body_id: int
    pec_msgid: str | None


class ListedMessage(NamedTuple):
    """A message as POP3 lists it: there may be tens of thousands, and a poll makes them all."""

    id: int
    token: str
    size: int
    body_id: int
    kind: str


_COUNT = Statement(
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox"))
    .values(
        last_uid=mailboxes.c.last_uid + bindparam("more"),
        modseq=mailboxes.c.modseq + bindparam("changes"),
        used_bytes=mailboxes.c.used_bytes + bindparam("bytes"),
    )
    .returning(
        mailboxes.c.last_uid,
        mailboxes.c.modseq,
        mailboxes.c.used_bytes,
        mailboxes.c.receipts_in_inbox,
        mailboxes.c.told_about,
        mailboxes.c.store,
    )
)
_FREE = Statement(
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox"))
    .values(used_bytes=mailboxes.c.used_bytes - bindparam("bytes"))
)
_FOLDER = Statement(
    select(folders.c.key).where(
        folders.c.mailbox_id == bindparam("mailbox"),
        (folders.c.key == bindparam("folder")) | (folders.c.name == bindparam("folder")),
    )
)
_MINUS_DELIVERED = (
    exists()
    .where(
        certified_recipients.c.message_id == certified_messages.c.id,
        certified_messages.c.pec_msgid == messages.c.pec_msgid,
        certified_recipients.c.kind == RecipientKind.CERTIFIED.value,
        certified_recipients.c.state != RecipientState.DELIVERED.value,
    )
    .correlate(messages)
)
_SENT = Statement(
    select(messages.c.mailbox_id, messages.c.folder, messages.c.uid, message_states.c.flags, _MINUS_DELIVERED)
    .select_from(messages.join(message_states))
    .where(messages.c.token == bindparam("key"))
)
_MARK = Statement(
    update(message_states)
    .where(
        message_states.c.mailbox_id == bindparam("mailbox"),
        message_states.c.folder == bindparam("here"),
        message_states.c.uid == bindparam("number"),
    )
    .values(flags=message_states.c.flags.op("|")(bindparam("mark")), modseq=bindparam("now"))
)
_ALWAYS_THERE: Final = frozenset(folder.key for folder in FIRST_FOLDERS)


@dataclass(frozen=True, slots=True)
class _SentMark:
    """A mark for the copy of a message that its sender has, if it is still there."""

    token: str
    mark: Mark


@dataclass(slots=True)
class _Tally:
    """What happens to one mailbox in a group."""

    new: int = 0
    marked: int = 0
    bytes: int = 0
    uid: int = 0  # the last one given
    modseq: int = 0
    used: int = 0
    receipts: str = Folder.RECEIPTS
    about: int = 0  # what its holder hears of
    store: str | None = None


class _Deliveries(Addition):
    """Messages of a whole group, each under the next UID and modseq of its mailbox, and marks of sent ones.

    Mailboxes are taken in the order of their ids, so that two nodes never wait for each other.
    """

    def __init__(self) -> None:
        super().__init__(messages, without=("id",))
        self._states = Addition(message_states)
        self.tables |= self._states.tables

    def flush(self, connection: Connection, rows: list[Any]) -> None:
        new = [row for row in rows if not isinstance(row, _SentMark)]
        marks = [row for row in rows if isinstance(row, _SentMark)] if len(new) < len(rows) else []
        marked = _still_to_mark(connection, marks) if marks else []
        tallies = _tallies(new, marked)
        _count(connection, tallies)
        here = new
        if any(tally.store is not None for tally in tallies.values()):
            here = _without_those_elsewhere(connection, new, tallies)
        for row in here:
            tally = tallies[row["mailbox_id"]]
            tally.uid, tally.modseq = row["uid"], row["modseq"] = tally.uid + 1, tally.modseq + 1
            row["folder"] = _place(connection, row, tally)
            if row["elsewhere"] and tally.store is None:
                raise Conflict(f"mailbox {row['mailbox_id']} has come back here meanwhile")
            if row["most"] is not None and tally.used > row["most"]:
                raise Conflict(f"mailbox {row['mailbox_id']} has filled up meanwhile")
        for values in marked:
            tally = tallies[values["mailbox"]]
            tally.modseq = values["now"] = tally.modseq + 1
        _MARK.many(connection, marked)
        note_changes(connection, [_change(values) for values in marked])
        heard_of = {mailbox: tally.about for mailbox, tally in tallies.items() if tally.about}
        if heard_of:
            digests.count(connection, _arrivals(new, heard_of))
        batch_of(connection).changed.update({mailbox: tally.modseq for mailbox, tally in tallies.items()})
        if here:
            super().flush(connection, here)
            self._states.flush(connection, here)


def _still_to_mark(connection: Connection, marks: list[_SentMark]) -> list[dict[str, Any]]:
    """The marks that change something, each with the place of the message that it is for."""
    found = _SENT.each(connection, [{"key": mark.token} for mark in marks])
    return [
        {"mailbox": row[0], "here": row[1], "number": row[2], "mark": int(mark.mark)}
        for mark, row in zip(marks, found, strict=True)
        if row is not None and not row[3] & mark.mark and not (mark.mark is Mark.DELIVERED and row[4])
    ]


def _change(marked: Mapping[str, Any]) -> Change:
    return Change(marked["mailbox"], marked["here"], marked["now"], marked["number"], marked["number"])


def _tallies(new: list[Any], marked: list[dict[str, Any]]) -> dict[int, _Tally]:
    tallies: dict[int, _Tally] = {}
    counted: set[tuple[int, int]] = set()
    for row in new:
        tally = tallies.setdefault(row["mailbox_id"], _Tally())
        tally.new += 1
        content = row["mailbox_id"], row["body_id"]
        if content not in counted and counts(row["kind"]):
            counted.add(content)  # a box may get several copies of one arrival
            tally.bytes += row["size"]
    for values in marked:
        tallies.setdefault(values["mailbox"], _Tally()).marked += 1
    return dict(sorted(tallies.items()))


def _count(connection: Connection, tallies: dict[int, _Tally]) -> None:
    rows = [
        {"mailbox": mailbox, "more": tally.new, "changes": tally.new + tally.marked, "bytes": tally.bytes}
        for mailbox, tally in tallies.items()
    ]
    for (mailbox, tally), found in zip(tallies.items(), _COUNT.each(connection, rows), strict=True):
        if found is None:
            raise Conflict(f"mailbox {mailbox} is gone")
        tally.uid, tally.modseq, tally.used = found[0] - tally.new, found[1] - tally.new - tally.marked, found[2]
        if found[3]:
            tally.receipts = Folder.INBOX
        tally.about = found[4]
        tally.store = found[5]


def _arrivals(new: list[Any], heard_of: Mapping[int, int]) -> list[Arrivals]:
    """What came into the mailboxes whose holders hear of it; automatic mail that may answer a notice is left out."""
    found: dict[int, tuple[int, Counter[About]]] = {}
    for row in {(row["mailbox_id"], row["body_id"]): row for row in new}.values():  # copies are no arrivals
        about = about_of(row["kind"]) & heard_of.get(row["mailbox_id"], 0)
        if about and row["arrived"] and (about is not About.ORDINARY or row["return_path"]):
            first, counted = found.setdefault(row["mailbox_id"], (row["at"], Counter()))
            counted[about] += 1
            found[row["mailbox_id"]] = min(first, row["at"]), counted
    return [Arrivals(mailbox, *found[mailbox]) for mailbox in sorted(found)]


def _without_those_elsewhere(connection: Connection, new: list[Any], tallies: dict[int, _Tally]) -> list[Any]:
    """The messages that are put here. Those for mailboxes that another server keeps wait to be handed over to it.

    What the service would file among the sent ones is left out: there, the mail program does that.
    """
    leaving = [row for row in new if row["arrived"] and tallies[row["mailbox_id"]].store is not None]
    for row in leaving:
        tally = tallies[row["mailbox_id"]]
        tally.uid, tally.modseq = tally.uid + 1, tally.modseq + 1  # which were counted with the others
        if row["elsewhere"] is False:
            raise Conflict(f"mailbox {row['mailbox_id']} has moved meanwhile")
        if counts(row["kind"]):
            free(connection, row["mailbox_id"], row["size"])
        if row["folder"] is None and tally.receipts == Folder.INBOX:
            row["folder"] = Folder.INBOX.value
    waiting = [handovers.new_row(connection, row) for row in leaving if row["folder"] != Folder.SENT]
    if waiting:
        handovers.ADD.flush(connection, waiting)
    return [row for row in new if not (row["arrived"] and tallies[row["mailbox_id"]].store is not None)]


def _place(connection: Connection, row: dict[str, Any], tally: _Tally) -> str:
    """The folder of a new message. One that was deleted meanwhile is the inbox: its row waits for ours (D23).

    Certified mail never goes to the junk folder by itself, whoever says so.
    """
    folder: str | None = row["folder"]
    if folder is None:
        return tally.receipts if row["kind"] in RECEIPTS else Folder.INBOX
    if folder not in _ALWAYS_THERE:
        found = _FOLDER.one(connection, {"mailbox": row["mailbox_id"], "folder": folder})
        folder = Folder.INBOX if found is None else str(found[0])
    return Folder.INBOX if folder == Folder.JUNK and is_certified(row["kind"]) else folder


_PUT = _Deliveries()
_COLUMNS = (
    messages.c.id,
    messages.c.token,
    messages.c.folder,
    messages.c.uid,
    messages.c.at,
    messages.c.size,
    messages.c.kind,
    messages.c.body_id,
    messages.c.pec_msgid,
)
_LISTING = Statement(
    select(messages.c.id, messages.c.token, messages.c.size, messages.c.body_id, messages.c.kind)
    .where(
        messages.c.mailbox_id == bindparam("mailbox"),
        (messages.c.folder == Folder.INBOX.value) | (messages.c.folder == Folder.RECEIPTS.value),
    )
    .order_by(messages.c.uid)
)
_FIND = Statement(
    select(*_COLUMNS).where(messages.c.mailbox_id == bindparam("mailbox"), messages.c.token == bindparam("token"))
)


def deliver(connection: Connection, new: Sequence[NewMessage]) -> None:
    """Put messages into mailboxes, each under the next UID of its mailbox."""
    _PUT.add(connection, [_row(message) for message in new])


def pop3_listing(connection: Connection, mailbox_id: int) -> list[ListedMessage]:
    """What POP3 shows: inbox and receipts in order of arrival."""
    return list(map(ListedMessage._make, _LISTING.all(connection, {"mailbox": mailbox_id})))


def find(connection: Connection, mailbox_id: int, token: str) -> StoredMessage | None:
    row = _FIND.one(connection, {"mailbox": mailbox_id, "token": token})
    return _message(row) if row else None


def free(connection: Connection, mailbox_id: int, size: int) -> None:
    """Count so many bytes less in a mailbox."""
    _FREE.run(connection, {"mailbox": mailbox_id, "bytes": size})


def mark_sent(connection: Connection, pec_msgid: str, mark: Mark) -> None:
    """Mark the sender's copy of a message with what has become of it, unless it is gone.

    With Mark.DELIVERED once each certified recipient has a delivery receipt.
    """
    batch_of(connection).add(_PUT, [_SentMark(sent_token(pec_msgid), mark)])


def sent_token(pec_msgid: str) -> str:
    """The opaque id of the sender's copy of a message: so it is found without an index of its own.

    It is what stands before the "@": made for this one message, and never used before (MID-01).
    """
    return pec_msgid.partition("@")[0]


def _row(message: NewMessage) -> dict[str, Any]:
    return {
        "token": message.token,
        "mailbox_id": message.mailbox_id,
        "folder": None if message.folder is None else str(message.folder),
        "at": micros(message.at),
        "size": message.size,
        "kind": str(message.kind),
        "flags": message.flags,
        "keywords": message.keywords,
        "most": message.most,
        "elsewhere": message.elsewhere,
        "due": message.due,
        "body_id": message.body_id,
        "return_path": clean(message.return_path),
        "pec_msgid": message.pec_msgid,
        "arrived": message.arrived,
    }


def _message(row: tuple[Any, ...]) -> StoredMessage:
    return StoredMessage(
        id=row[0],
        token=row[1],
        folder=row[2],
        uid=row[3],
        at=instant(row[4]),
        size=row[5],
        kind=row[6],
        body_id=row[7],
        pec_msgid=row[8],
    )
