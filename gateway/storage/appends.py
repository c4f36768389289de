"""Messages that their holder puts into a folder; one that was sent is not kept twice (D35)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, true, update

from gateway.points.boxes import BoxRefused, SpecialUse, Why
from gateway.points.marks import Mark
from gateway.storage import content, mailboxes
from gateway.storage.folders import StoredFolder, change_box
from gateway.storage.mailboxes import ORDINARY, NewMessage, sent_token
from gateway.storage.statements import Statement, insert_ignoring
from gateway.storage.states import set_flags
from gateway.storage.tables import accounts, certified_messages, messages, sent_appends
from gateway.storage.values import clean, micros
from receipts.octets import Octets

__all__ = ["SENT_WITHIN", "Appended", "Sender", "append", "become_sent", "forget_appends", "sender_of"]

SENT_WITHIN: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """A message that is being put into a folder."""

    message: Octets
    token: str
    marks: Mark
    words: tuple[str, ...]  # keywords that are no marks
    at: datetime  # internal date
    now: datetime
    msgid: str | None


@dataclass(frozen=True, slots=True)
class Sender:
    """An account that may submit."""

    appended: str | None  # the opaque id of the message if a program put it into Sent before, within a day


_SUBMITTED = Statement(
    select(certified_messages.c.pec_msgid)
    .where(
        certified_messages.c.msgid == bindparam("msgid"),
        certified_messages.c.account_id == bindparam("account"),
        certified_messages.c.envelope_body_id.is_not(None),
        certified_messages.c.at > bindparam("since"),
    )
    .order_by(certified_messages.c.id.desc())
    .limit(1)
)
_REMEMBER = insert_ignoring(sent_appends)
_SENDER = Statement(
    select(
        select(sent_appends.c.token)
        .where(
            sent_appends.c.mailbox_id == bindparam("mailbox"),
            sent_appends.c.msgid == bindparam("msgid"),
            sent_appends.c.at > bindparam("since"),
        )
        .scalar_subquery()
    ).where(accounts.c.id == bindparam("account"), accounts.c.active == true())
)
_BECOME = Statement(
    update(messages)
    .where(messages.c.mailbox_id == bindparam("mailbox"), messages.c.token == bindparam("old"))
    .values(
        token=bindparam("new"),
        kind="sent",
        pec_msgid=bindparam("pec_msgid"),
    )
    .returning(messages.c.size, messages.c.folder, messages.c.uid)
)
_FORGET = Statement(delete(sent_appends).where(sent_appends.c.at < bindparam("before")))


def append(
    connection: Connection,
    account_id: int,
    mailbox_id: int,
    folder: StoredFolder,
    new: Sequence[Appended],
    keywords: Sequence[int],
    *,
    room: int | None,
) -> list[int]:
    """Put messages into a folder, all or none: their UIDs. The caller holds the mailbox.

    One that this account has submitted within a day, and that lies in this folder, is not kept again.

    Args:
        keywords: bits for each of the messages.
        room: bytes that the mailbox still takes.

    Raises:
        BoxRefused: there is no room.
    """
    sent = folder.special_use == SpecialUse.SENT
    found = [_sent_before(connection, account_id, mailbox_id, folder.key, one) if sent else None for one in new]
    kept = [(one, bits) for one, bits, uid in zip(new, keywords, found, strict=True) if uid is None]
    if room is not None and sum(one.message.size for one, _ in kept) > room:
        raise BoxRefused(Why.OVER_QUOTA)
    mailboxes.deliver(connection, [_new_message(connection, mailbox_id, folder.key, *each) for each in kept])
    uids: list[int] = []
    for one, uid in zip(new, found, strict=True):
        if uid is None:
            stored = mailboxes.find(connection, mailbox_id, one.token)
            assert stored is not None
            uid = stored.uid
            if sent and one.msgid is not None:
                row = {"mailbox_id": mailbox_id, "msgid": one.msgid, "token": one.token, "at": micros(one.now)}
                _REMEMBER.run(connection, row)
        uids.append(uid)
    return uids


def sender_of(
    connection: Connection, account_id: int, mailbox_id: int, msgid: str | None, at: datetime
) -> Sender | None:
    """The account that submits a message, if it is active: one question for both facts."""
    values = {
        "account": account_id,
        "mailbox": mailbox_id,
        "msgid": clean(msgid or ""),
        "since": micros(at - SENT_WITHIN),
    }
    row = _SENDER.one(connection, values)
    return None if row is None else Sender(row[0])


def become_sent(connection: Connection, mailbox_id: int, token: str, pec_msgid: str, marks: Mark) -> bool:
    """Make a message that a program put into Sent the sender's copy of what it submitted; False if it is gone."""
    modseq = change_box(connection, mailbox_id)[0]
    values = {
        "mailbox": mailbox_id,
        "old": token,
        "new": sent_token(pec_msgid),
        "pec_msgid": pec_msgid,
    }
    row = _BECOME.one(connection, values)
    if row is None:
        return False
    size, folder, uid = row
    set_flags(connection, mailbox_id, folder, [uid], modseq=modseq, add=int(marks))
    mailboxes.free(connection, mailbox_id, size)
    return True


def forget_appends(connection: Connection, at: datetime) -> int:
    """Forget what was put into Sent more than a day before ``at``."""
    return _FORGET.run(connection, {"before": micros(at - SENT_WITHIN)})


def _sent_before(connection: Connection, account_id: int, mailbox_id: int, folder: str, one: Appended) -> int | None:
    if one.msgid is None:
        return None
    values = {"msgid": one.msgid, "account": account_id, "since": micros(one.now - SENT_WITHIN)}
    row = _SUBMITTED.one(connection, values)
    if row is None:
        return None
    stored = mailboxes.find(connection, mailbox_id, sent_token(row[0]))
    return stored.uid if stored is not None and stored.folder == folder else None


def _new_message(connection: Connection, mailbox_id: int, folder: str, one: Appended, keywords: int) -> NewMessage:
    return NewMessage(
        mailbox_id=mailbox_id,
        token=one.token,
        body_id=content.save(connection, one.message, one.now),
        size=one.message.size,
        kind=ORDINARY,
        at=one.at,
        folder=folder,
        flags=int(one.marks),
        keywords=keywords,
    )
