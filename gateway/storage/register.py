"""The legal register (RFC 6109 section 2.3): rows that nobody changes, each with a hash of itself (D25)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.storage.batch import Addition
from gateway.storage.tables import register
from gateway.storage.values import clean, instant, micros
from receipts.records import record

__all__ = [
    "HASHED",
    "TEXT",
    "Event",
    "RegisterEntry",
    "RegisterRow",
    "append",
    "hash_of",
    "row_of",
    "rows_about",
    "rows_of",
    "text_of",
]


class Event(StrEnum):
    """What happened (LOG-03)."""

    SUBMISSION = "submission"  # a holder's message was handed in and accepted
    REFUSAL = "refusal"  # a holder's message was not accepted
    RECEPTION = "reception"  # a message came to the incoming point
    DELIVERY = "delivery"  # a message was put into a mailbox
    EMISSION = "emission"  # a receipt, notice or envelope was issued
    RELAY = "relay"  # another server took a message over
    FAILURE = "failure"  # another server refused a message, or its time was over
    TRACKING = "tracking"  # a receipt changed the state of a recipient
    REMOVAL = "removal"  # rows of the register that were old enough were removed
    DEVIATION = "deviation"  # a soft fault in what another provider sent
    SCAN = "scan"  # what a virus scanner found in a message, or could not look into
    ALARM = "alarm"  # something an operator must see
    ALARM_OVER = "alarm over"  # what stood as an alarm is as it should be again


@record(kw_only=True)
class RegisterEntry:
    """One event with the facts that LOG-01 asks for. Its row and hash are made here, outside of any transaction."""

    event: Event
    at: datetime  # the transaction's one time value (LOG-05)
    pec_msgid: str | None = None
    msgid: str | None = None
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    subject: str | None = None
    provider: str | None = None  # who sent it
    related: tuple[str, ...] = ()  # ids of the messages that this event made
    account: str | None = None  # that acted
    detail: str | None = None
    person: str | None = None  # who acted for the account, where several may (D35)
    row: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        row: dict[str, Any] = {
            "event": self.event.value,
            "at": micros(self.at),
            "pec_msgid": _clean(self.pec_msgid),
            "msgid": _clean(self.msgid),
            "sender": _clean(self.sender),
            "recipients": _listed(self.recipients),
            "subject": _clean(self.subject),
            "provider": _clean(self.provider),
            "related": _listed(self.related),
            "account": _clean(self.account),
            "detail": _clean(self.detail),
            "person": _clean(self.person),
        }
        row["hash"] = hash_of(row)
        object.__setattr__(self, "row", row)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRow:
    """One event as it stands in the register."""

    id: int
    event: str
    at: datetime
    pec_msgid: str | None
    msgid: str | None
    sender: str | None
    recipients: tuple[str, ...]
    subject: str | None
    provider: str | None
    related: tuple[str, ...]
    account: str | None
    detail: str | None
    person: str | None


HASHED: Final = (
    "event",
    "at",
    "pec_msgid",
    "msgid",
    "sender",
    "recipients",
    "subject",
    "provider",
    "related",
    "account",
    "detail",
)
"""The columns under every row's hash, in the order in which they go in."""
TEXT: Final = (*HASHED, "person")
"""All that ``text_of`` needs. A person, if there is one, comes last: rows without are hashed as they ever were."""

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: it costs more than a row
_APPEND = Addition(register, without=("id",))


def append(connection: Connection, entries: Sequence[RegisterEntry]) -> None:
    """Write events into the register."""
    _APPEND.add(connection, [entry.row for entry in entries])


def rows_about(connection: Connection, pec_msgid: str) -> list[RegisterRow]:
    """Everything that was registered about a certified message, in order."""
    query = select(register).where(register.c.pec_msgid == clean(pec_msgid)).order_by(register.c.at, register.c.id)
    return [row_of(row) for row in connection.execute(query).mappings()]


def rows_of(connection: Connection, event: Event, since: datetime, *, limit: int) -> list[RegisterRow]:
    """The latest events of one kind since a moment, in order."""
    found = (
        select(register)
        .where(register.c.event == event.value, register.c.at >= micros(since))
        .order_by(register.c.at.desc(), register.c.id.desc())
        .limit(limit)
    )
    return [row_of(row) for row in reversed(connection.execute(found).mappings().all())]


def hash_of(row: Any) -> bytes:
    """The hash of a row: SHA-256 over its text."""
    return hashlib.sha256(text_of(row).encode()).digest()


def text_of(row: Any) -> str:
    """What a row is hashed as: its columns as a JSON list, in which no control character stands as itself."""
    values = [row[name] for name in HASHED]
    if row["person"] is not None:
        values.append(row["person"])
    return _json(values)


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _listed(values: Sequence[str]) -> str:
    return _json([clean(value) for value in values]) if values else "[]"


def row_of(row: Any) -> RegisterRow:
    """The facts of a row of the table."""
    return RegisterRow(
        id=row["id"],
        event=row["event"],
        at=instant(row["at"]),
        pec_msgid=row["pec_msgid"],
        msgid=row["msgid"],
        sender=row["sender"],
        recipients=tuple(json.loads(row["recipients"])),
        subject=row["subject"],
        provider=row["provider"],
        related=tuple(json.loads(row["related"])),
        account=row["account"],
        detail=row["detail"],
        person=row["person"],
    )
