"""The legal register (RFC 6109 section 2.3): rows that nobody changes, linked into a chain (D25).

A flow inserts whole rows, each with a hash of itself. A chainer, one at a time in all nodes, then links the
committed rows: link n is the SHA-256 of link n-1, the position n and the hash of its row.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, or_, select, update

from gateway.storage.batch import Addition
from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import register, register_chain, register_links
from gateway.storage.values import clean, instant, micros

__all__ = ["GENESIS", "Event", "RegisterEntry", "RegisterRow", "append", "link", "link_of", "rows_about"]

GENESIS: Final = bytes(32)
"""The link before the first one."""
LEASE: Final = timedelta(seconds=30)
LATE: Final = timedelta(seconds=20)
"""How long after a row was linked one with a lower id may still be committed (PostgreSQL)."""


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
    DEVIATION = "deviation"  # a soft fault in what another provider sent
    ALARM = "alarm"  # something an operator must see


@dataclass(frozen=True, slots=True, kw_only=True)
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
    account: str | None = None  # the person who acted
    detail: str | None = None
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
"""The columns under a row's hash, in the order in which they go in."""

_APPEND = Addition(register, without=("id",))
_LEASE_CHAIN = Statement(
    update(register_chain)
    .where(or_(register_chain.c.lease_owner == bindparam("owner"), register_chain.c.leased_until <= bindparam("now")))
    .values(lease_owner=bindparam("owner"), leased_until=bindparam("until"))
    .returning(
        register_chain.c.position,
        register_chain.c.link,
        register_chain.c.linked_below,
        register_chain.c.linked_highest,
        register_chain.c.moved_at,
    )
)
_UNLINKED = Statement(
    select(register.c.id, register.c.hash)
    .where(
        register.c.id > bindparam("below"),
        ~exists().where(register_links.c.register_id == register.c.id),
    )
    .order_by(register.c.id)
    .limit(bindparam("most"))
)
_LINK = insert_into(register_links)
_HIGHEST = Statement(select(func.coalesce(func.max(register_links.c.register_id), 0)))
_MOVE = Statement(
    update(register_chain).values(
        position=bindparam("new_position"),
        link=bindparam("new_link"),
        linked_below=bindparam("below"),
        linked_highest=bindparam("highest"),
        moved_at=bindparam("moved"),
    )
)


def append(connection: Connection, entries: Sequence[RegisterEntry]) -> None:
    """Write events into the register."""
    _APPEND.add(connection, [entry.row for entry in entries])


def link(connection: Connection, owner: str, now: datetime, *, limit: int = 10_000, sweep: bool = False) -> int:
    """Link committed rows to the chain; how many, 0 also while another node has the lease.

    Args:
        sweep: look among all rows, not just the latest: at start and once a day.
    """
    at = micros(now)
    chain = _LEASE_CHAIN.one(connection, {"owner": owner, "now": at, "until": micros(now + LEASE)})
    if chain is None:
        return 0
    position, last, below, highest, moved = chain[0], bytes(chain[1]), chain[2], chain[3], chain[4]
    rows = _UNLINKED.all(connection, {"below": 0 if sweep else below, "most": limit})
    links = []
    for register_id, row_hash in rows:
        position += 1
        last = link_of(last, position, bytes(row_hash))
        links.append({"position": position, "register_id": register_id, "link": last, "at": at})
    _LINK.many(connection, links)
    if connection.dialect.name == "sqlite":
        below = highest = max(below, rows[-1][0]) if rows else below  # one writer: ids are committed in order
    elif at - moved >= LATE // timedelta(microseconds=1):
        below, moved = highest, at
        found = _HIGHEST.one(connection, {})
        highest = found[0] if found else highest
    if rows or moved == at:
        values = {"new_position": position, "new_link": last, "below": below, "highest": highest, "moved": moved}
        _MOVE.run(connection, values)
    return len(rows)


def rows_about(connection: Connection, pec_msgid: str) -> list[RegisterRow]:
    """Everything that was registered about a certified message, in order."""
    query = select(register).where(register.c.pec_msgid == clean(pec_msgid)).order_by(register.c.at, register.c.id)
    return [_row(row) for row in connection.execute(query).mappings()]


def link_of(last: bytes, position: int, row_hash: bytes) -> bytes:
    return hashlib.sha256(last + position.to_bytes(8, "big") + row_hash).digest()


def hash_of(row: Any) -> bytes:
    """The hash of a row: SHA-256 over its columns as a JSON list."""
    values = [row[name] for name in HASHED]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _listed(values: Sequence[str]) -> str:
    return json.dumps([clean(value) for value in values], ensure_ascii=False, separators=(",", ":"))


def _row(row: Any) -> RegisterRow:
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
    )
