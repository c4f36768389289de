"""Certified messages that our holders sent, and the state of each recipient (spec section 14, D23)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Text, bindparam, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.points.marks import Mark
from gateway.points.tracking import FINAL, RecipientState
from gateway.storage.batch import Addition, batch_of
from gateway.storage.mailboxes import mark_sent
from gateway.storage.statements import Statement
from gateway.storage.tables import certified_messages, certified_recipients, submissions
from gateway.storage.values import clean, instant, micros
from receipts.identifiers import address_key
from receipts.records import record
from receipts.wire import ReceiptForm, RecipientKind

__all__ = [
    "CertifiedMessage",
    "NewCertifiedMessage",
    "NewRecipient",
    "RecipientStatus",
    "add_message",
    "advance",
    "find_message",
    "find_submission",
    "messages_since",
    "note_delay",
    "note_taken",
    "original_of",
    "record_submission",
]


@record(kw_only=True)
class NewRecipient:
    """A recipient of a message that is being accepted."""

    address: str  # the forward path
    kind: RecipientKind
    role: str  # "to" or "cc"
    provider: str | None  # name of the recipient's provider, for certified ones
    state: RecipientState


@record(kw_only=True)
class NewCertifiedMessage:
    """A message that was handed in, whether accepted or not."""

    pec_msgid: str
    msgid: str | None
    account_id: int
    sender: str
    reply_to: str
    subject: str | None
    receipt_form: ReceiptForm
    at: datetime
    original_body_id: int
    envelope_body_id: int | None  # None: not accepted
    recipients: tuple[NewRecipient, ...] = ()


@record(kw_only=True)
class RecipientStatus:
    """Where a message stands for one recipient."""

    address: str
    kind: RecipientKind
    role: str
    provider: str | None
    state: RecipientState
    state_at: datetime
    accepted_at: datetime
    taken_at: datetime | None
    delayed_at: datetime | None
    ended_at: datetime | None
    end_detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedMessage:
    """A message of one of our holders."""

    pec_msgid: str
    msgid: str | None
    account_id: int
    sender: str
    reply_to: str
    subject: str | None
    receipt_form: ReceiptForm
    at: datetime
    original_body_id: int
    envelope_body_id: int | None
    recipients: tuple[RecipientStatus, ...]  # in the order in which they were handed in

    def recipient(self, address: str) -> RecipientStatus | None:
        """The recipient with this address, however it is spelled."""
        key = address_key(address)
        return next((found for found in self.recipients if address_key(found.address) == key), None)


_ADD_MESSAGE = Addition(certified_messages)
_ADD_RECIPIENT = Addition(certified_recipients)
_MESSAGE = Statement(select(certified_messages).where(certified_messages.c.pec_msgid == bindparam("key")))
_ORIGINAL = Statement(
    select(certified_messages.c.original_body_id).where(certified_messages.c.pec_msgid == bindparam("key"))
)
_SINCE = Statement(
    select(certified_messages.c.pec_msgid)
    .where(certified_messages.c.at >= bindparam("since"))
    .order_by(certified_messages.c.id.desc())
    .limit(bindparam("most"))
)
_RECIPIENTS = Statement(
    select(certified_recipients)
    .where(certified_recipients.c.message_id == bindparam("message"))
    .order_by(certified_recipients.c.position)
)
MOST_FROM_STATES: Final = 3
MARKS: Final = {
    RecipientState.DELIVERED: Mark.DELIVERED,
    RecipientState.FAILED: Mark.FAILED,
    RecipientState.TIMED_OUT: Mark.FAILED,
}
"""What the end of a recipient is on the sender's copy."""
_TIME = BigInteger()
_OF_MESSAGE = (
    certified_recipients.c.message_id
    == select(certified_messages.c.id).where(certified_messages.c.pec_msgid == bindparam("id")).scalar_subquery()
)
_ADVANCE = Statement(
    update(certified_recipients)
    .where(
        _OF_MESSAGE,
        certified_recipients.c.address_key == bindparam("key"),
        or_(*(certified_recipients.c.state == bindparam(f"from{number}") for number in range(MOST_FROM_STATES))),
    )
    .values(
        state=bindparam("to"),
        state_at=bindparam("at"),
        taken_at=func.coalesce(bindparam("taken", type_=_TIME), certified_recipients.c.taken_at),
        ended_at=func.coalesce(bindparam("ended", type_=_TIME), certified_recipients.c.ended_at),
        end_detail=func.coalesce(bindparam("detail", type_=Text()), certified_recipients.c.end_detail),
    )
)
_DELAY = Statement(
    update(certified_recipients)
    .where(
        _OF_MESSAGE,
        certified_recipients.c.address_key == bindparam("key"),
        certified_recipients.c.state == RecipientState.ACCEPTED.value,
        certified_recipients.c.delayed_at.is_(None),
    )
    .values(delayed_at=bindparam("at"))
)
_TAKEN_AFTERWARDS = Statement(
    update(certified_recipients)
    .where(
        _OF_MESSAGE,
        certified_recipients.c.address_key == bindparam("key"),
        certified_recipients.c.ended_at.is_not(None),
        certified_recipients.c.taken_at.is_(None),
    )
    .values(taken_at=bindparam("at"))
)
_FIND_SUBMISSION = Statement(
    select(submissions.c.pec_msgid).where(
        submissions.c.account_id == bindparam("account"),
        submissions.c.digest == bindparam("digest"),
        submissions.c.at > bindparam("since"),
    )
)


def _recording(insert: Any) -> Any:
    return insert.on_conflict_do_update(
        index_elements=["account_id", "digest"],
        set_={"pec_msgid": insert.excluded.pec_msgid, "at": insert.excluded.at},
        where=submissions.c.at <= bindparam("since", type_=_TIME),
    )


_RECORD_SUBMISSION = Addition(
    submissions,
    element={
        "sqlite": _recording(sqlite.insert(submissions)),
        "postgresql": _recording(postgresql.insert(submissions)),
    },
)


def add_message(connection: Connection, new: NewCertifiedMessage) -> None:
    """Keep a message and its recipients. Recipients with the same address key must not occur twice."""
    at, batch = micros(new.at), batch_of(connection)
    message_id = batch.new_id()
    row = {
        "id": message_id,
        "pec_msgid": new.pec_msgid,
        "msgid": None if new.msgid is None else clean(new.msgid),
        "account_id": new.account_id,
        "sender": clean(new.sender),
        "subject": None if new.subject is None else clean(new.subject),
        "reply_to": clean(new.reply_to),
        "receipt_form": new.receipt_form.value,
        "at": at,
        "recipients": len(new.recipients),
        "original_body_id": new.original_body_id,
        "envelope_body_id": new.envelope_body_id,
    }
    batch.add(_ADD_MESSAGE, [row])
    numbered = enumerate(new.recipients)
    batch.add(_ADD_RECIPIENT, [_recipient_row(message_id, number, recipient, at) for number, recipient in numbered])


def advance(
    connection: Connection,
    pec_msgid: str,
    address: str,
    to: RecipientState,
    at: datetime,
    *,
    from_states: Collection[RecipientState],
    detail: str | None = None,
) -> bool:
    """Change a recipient's state if it is one of ``from_states`` (at most three); whether it was.

    A flow that changes several recipients takes them in the order of their address keys. The sender's copy of the
    message is marked with what has become of it.
    """
    if not 0 < len(from_states) <= MOST_FROM_STATES:
        raise ValueError("a change comes from one, two or three states")
    allowed = sorted(state.value for state in from_states)
    moment = micros(at)
    values = {
        "id": pec_msgid,
        "key": address_key(clean(address)),
        "to": to.value,
        "at": moment,
        "taken": moment if to is RecipientState.TAKEN else None,
        "ended": moment if to in FINAL else None,
        "detail": None if detail is None else clean(detail),
    }
    values |= {f"from{number}": allowed[min(number, len(allowed) - 1)] for number in range(MOST_FROM_STATES)}
    changed = _ADVANCE.run(connection, values) == 1
    if changed and to in MARKS:
        mark_sent(connection, pec_msgid, MARKS[to])
    return changed


def note_delay(connection: Connection, pec_msgid: str, address: str, at: datetime) -> bool:
    """Note that the first notice of delay goes out; False if it has, or if it must not any more."""
    return _DELAY.run(connection, {"id": pec_msgid, "key": address_key(clean(address)), "at": micros(at)}) == 1


def note_taken(connection: Connection, pec_msgid: str, address: str, at: datetime) -> bool:
    """Note a take-charge receipt that comes after the end: they may cross on the way (DP-09). The state stays."""
    values = {"id": pec_msgid, "key": address_key(clean(address)), "at": micros(at)}
    return _TAKEN_AFTERWARDS.run(connection, values) == 1


def find_message(connection: Connection, pec_msgid: str) -> CertifiedMessage | None:
    """The message of ours with this id, and where it stands for each recipient."""
    row = _MESSAGE.one(connection, {"key": clean(pec_msgid)})
    if row is None:
        return None
    values = dict(zip(certified_messages.columns.keys(), row, strict=True))
    recipients = tuple(_status(found) for found in _RECIPIENTS.all(connection, {"message": values["id"]}))
    return CertifiedMessage(
        pec_msgid=values["pec_msgid"],
        msgid=values["msgid"],
        account_id=values["account_id"],
        sender=values["sender"],
        reply_to=values["reply_to"],
        subject=values["subject"],
        receipt_form=ReceiptForm(values["receipt_form"]),
        at=instant(values["at"]),
        original_body_id=values["original_body_id"],
        envelope_body_id=values["envelope_body_id"],
        recipients=recipients,
    )


def original_of(connection: Connection, pec_msgid: str) -> int | None:
    """The body of the original of the message of ours with this id, as it was sealed."""
    row = _ORIGINAL.one(connection, {"key": clean(pec_msgid)})
    return None if row is None else int(row[0])


def messages_since(connection: Connection, since: datetime, *, limit: int) -> list[CertifiedMessage]:
    """The latest messages handed in since then, oldest first, and where each stands now."""
    latest = [row[0] for row in _SINCE.all(connection, {"since": micros(since), "most": limit})]
    found = (find_message(connection, pec_msgid) for pec_msgid in reversed(latest))
    return [message for message in found if message is not None]


def find_submission(connection: Connection, account_id: int, digest: bytes, since: datetime) -> str | None:
    """PEC msgid that the same submission was given after ``since`` (D4)."""
    values = {"account": account_id, "digest": digest, "since": micros(since)}
    row = _FIND_SUBMISSION.one(connection, values)
    return row[0] if row else None


def record_submission(
    connection: Connection, account_id: int, digest: bytes, pec_msgid: str, at: datetime, since: datetime
) -> None:
    """Remember a submission.

    Raises:
        Conflict: the same one took place after ``since``. It is raised before the commit, not by this function.
    """
    row = {"account_id": account_id, "digest": digest, "pec_msgid": pec_msgid, "at": micros(at)}
    _RECORD_SUBMISSION.add(connection, [row | {"since": micros(since)}])


def _recipient_row(message_id: int, position: int, recipient: NewRecipient, at: int) -> dict[str, Any]:
    address = clean(recipient.address)
    ended = recipient.state in FINAL or recipient.state is RecipientState.EXTERNAL
    return {
        "message_id": message_id,
        "address_key": address_key(address),
        "position": position,
        "address": address,
        "kind": recipient.kind.value,
        "role": recipient.role,
        "provider": recipient.provider,
        "state": recipient.state.value,
        "state_at": at,
        "accepted_at": at,
        "taken_at": None,
        "delayed_at": None,
        "ended_at": at if ended else None,
        "end_detail": None,
    }


def _status(row: tuple[Any, ...]) -> RecipientStatus:
    values = dict(zip(certified_recipients.columns.keys(), row, strict=True))
    return RecipientStatus(
        address=values["address"],
        kind=RecipientKind(values["kind"]),
        role=values["role"],
        provider=values["provider"],
        state=RecipientState(values["state"]),
        state_at=instant(values["state_at"]),
        accepted_at=instant(values["accepted_at"]),
        taken_at=_maybe(values["taken_at"]),
        delayed_at=_maybe(values["delayed_at"]),
        ended_at=_maybe(values["ended_at"]),
        end_detail=values["end_detail"],
    )


def _maybe(value: int | None) -> datetime | None:
    return None if value is None else instant(value)
