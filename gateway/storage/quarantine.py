"""The virus store: infected messages as they came, which no mailbox shows, kept 30 months (RFC 6109 section 2.2.4)."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select

from gateway.storage import content
from gateway.storage.batch import Addition, batch_of
from gateway.storage.statements import Statement
from gateway.storage.tables import quarantine
from gateway.storage.values import clean, instant, micros
from receipts.octets import Octets

__all__ = [
    "KEPT_MONTHS",
    "NewQuarantined",
    "Quarantined",
    "add",
    "count",
    "find",
    "kept_since",
    "listed",
    "load",
    "purge",
]

KEPT_MONTHS: Final = 30
PURGED_AT_ONCE: Final = 500

_TABLE = quarantine.c
_ADD = Addition(quarantine)
_FIND = Statement(select(quarantine).where(_TABLE.id == bindparam("key")))
_OLD = Statement(
    delete(quarantine).where(
        _TABLE.id.in_(
            select(_TABLE.id).where(_TABLE.at < bindparam("before")).order_by(_TABLE.at).limit(PURGED_AT_ONCE)
        )
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQuarantined:
    """An infected message on its way into the store."""

    at: datetime
    kind: str  # what it was: a MessageKind, "submission" or "ordinary"
    virus: str  # in the scanner's words
    pec_msgid: str | None
    sender: str  # the reverse path
    recipients: tuple[str, ...]  # the forward paths
    subject: str | None
    provider: str | None  # who signed it
    message: Octets  # as it came


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """What is known of a message in the store; its bytes are loaded by themselves (``content.load``)."""

    id: int
    at: datetime
    kind: str
    virus: str
    pec_msgid: str | None
    sender: str
    recipients: tuple[str, ...]
    subject: str | None
    provider: str | None
    sha256: bytes
    body_id: int


def add(connection: Connection, new: NewQuarantined, body_id: int, sha256: bytes) -> int:
    """Keep a message apart; its number in the store.

    Args:
        body_id, sha256: of its bytes, which are kept already.
    """
    key = batch_of(connection).new_id()
    row = {
        "id": key,
        "at": micros(new.at),
        "kind": str(new.kind),
        "virus": clean(new.virus),
        "pec_msgid": None if new.pec_msgid is None else clean(new.pec_msgid),
        "sender": clean(new.sender),
        "recipients": json.dumps([clean(address) for address in new.recipients]),
        "subject": None if new.subject is None else clean(new.subject),
        "provider": None if new.provider is None else clean(new.provider),
        "sha256": sha256,
        "body_id": body_id,
    }
    _ADD.add(connection, [row])
    return key


def find(connection: Connection, key: int) -> Quarantined | None:
    """One message of the store."""
    row = _FIND.one(connection, {"key": key})
    return None if row is None else _quarantined(dict(zip(_TABLE.keys(), row, strict=True)))


def listed(connection: Connection, *, limit: int) -> list[Quarantined]:
    """The latest messages of the store, newest first."""
    query = select(quarantine).order_by(_TABLE.at.desc(), _TABLE.id.desc()).limit(limit)
    return [_quarantined(row) for row in connection.execute(query).mappings()]


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(quarantine)).scalar_one()


def load(connection: Connection, kept: Quarantined) -> Octets:
    """The bytes of a message, as they came."""
    return content.load(connection, kept.body_id)


def kept_since(now: datetime) -> datetime:
    """The instant before which nothing need be kept any more: 30 months ago, by the calendar."""
    months = now.year * 12 + now.month - 1 - KEPT_MONTHS
    year, month = divmod(months, 12)
    day = now.day
    while True:
        try:
            return now.replace(year=year, month=month + 1, day=day)
        except ValueError:  # the month is shorter: its last day
            day -= 1


def purge(connection: Connection, now: datetime) -> int:
    """Remove some of the messages that have been kept 30 months; how many. Their bytes go with ``purge.py``."""
    return _OLD.run(connection, {"before": micros(kept_since(now))})


def _quarantined(row: Any) -> Quarantined:
    return Quarantined(
        id=row["id"],
        at=instant(row["at"]),
        kind=row["kind"],
        virus=row["virus"],
        pec_msgid=row["pec_msgid"],
        sender=row["sender"],
        recipients=tuple(json.loads(row["recipients"])),
        subject=row["subject"],
        provider=row["provider"],
        sha256=bytes(row["sha256"]),
        body_id=row["body_id"],
    )
