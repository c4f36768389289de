"""What lies in a mailbox: messages with an opaque id for life, folder, UID and modseq (D27)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.storage.batch import Addition
from gateway.storage.errors import Conflict
from gateway.storage.statements import Statement
from gateway.storage.tables import mailboxes, messages
from gateway.storage.values import clean, instant, micros

__all__ = ["Folder", "ListedMessage", "NewMessage", "StoredMessage", "deliver", "expunge", "find", "pop3_listing"]

ORDINARY: Final = "ordinary"
"""Kind of a message that is none of ``MessageKind``."""


class Folder(StrEnum):
    INBOX = "INBOX"
    RECEIPTS = "Receipts"
    SENT = "Sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message on its way into a mailbox."""

    mailbox_id: int
    token: str  # the opaque id; new for each message and mailbox
    body_id: int  # everything the holder gets to read, Return-Path and all
    size: int  # of that body
    kind: str  # a MessageKind, or what an ordinary message is called
    at: datetime
    folder: str = Folder.INBOX
    flags: int = 0
    return_path: str = ""
    pec_msgid: str | None = None


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
    flags: int
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
    .values(last_uid=mailboxes.c.last_uid + bindparam("more"), modseq=mailboxes.c.modseq + bindparam("more"))
    .returning(mailboxes.c.last_uid, mailboxes.c.modseq)
)


class _Deliveries(Addition):
    """Messages of a whole group, each under the next UID and modseq of its mailbox.

    Mailboxes are taken in the order of their ids, so that two nodes never wait for each other.
    """

    def flush(self, connection: Connection, rows: list[Any]) -> None:
        more = sorted(Counter(row["mailbox_id"] for row in rows).items())
        counted = _COUNT.each(connection, [{"mailbox": mailbox, "more": number} for mailbox, number in more])
        last: dict[int, tuple[int, int]] = {}
        for (mailbox, number), found in zip(more, counted, strict=True):
            if found is None:
                raise Conflict(f"mailbox {mailbox} is gone")
            last[mailbox] = (found[0] - number, found[1] - number)
        for row in rows:
            uid, modseq = last[row["mailbox_id"]]
            row["uid"], row["modseq"] = last[row["mailbox_id"]] = (uid + 1, modseq + 1)
        super().flush(connection, rows)


_PUT = _Deliveries(messages, without=("id",))
_COLUMNS = (
    messages.c.id,
    messages.c.token,
    messages.c.folder,
    messages.c.uid,
    messages.c.at,
    messages.c.size,
    messages.c.kind,
    messages.c.flags,
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
_EXPUNGE = Statement(
    delete(messages).where(messages.c.mailbox_id == bindparam("mailbox"), messages.c.id == bindparam("message"))
)
_MODIFIED = Statement(
    update(mailboxes).where(mailboxes.c.id == bindparam("mailbox")).values(modseq=mailboxes.c.modseq + 1)
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


def expunge(connection: Connection, mailbox_id: int, message_ids: Sequence[int]) -> int:
    """Remove messages of this mailbox for good; how many there were. Ids of other mailboxes remove nothing."""
    removed = _EXPUNGE.many(
        connection, [{"mailbox": mailbox_id, "message": message_id} for message_id in sorted(message_ids)]
    )
    if removed:
        _MODIFIED.run(connection, {"mailbox": mailbox_id})
    return removed


def _row(message: NewMessage) -> dict[str, Any]:
    return {
        "token": message.token,
        "mailbox_id": message.mailbox_id,
        "folder": str(message.folder),
        "at": micros(message.at),
        "size": message.size,
        "kind": str(message.kind),
        "flags": message.flags,
        "body_id": message.body_id,
        "return_path": clean(message.return_path),
        "pec_msgid": message.pec_msgid,
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
        flags=row[7],
        body_id=row[8],
        pec_msgid=row[9],
    )
