"""What came from other providers, so that nothing is decided or issued twice (D4)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, or_, select, update

from gateway.storage.batch import Addition
from gateway.storage.statements import Statement, ignoring, insert_ignoring
from gateway.storage.tables import processed_envelopes, received_receipts
from gateway.storage.values import clean, instant, micros
from receipts.identifiers import address_key
from receipts.records import record

__all__ = [
    "EnvelopeEnd",
    "NewProcessedEnvelope",
    "ProcessedEnvelope",
    "conclude",
    "count_resend",
    "ends_of",
    "known_receipts",
    "processed",
    "record_envelopes",
    "record_receipt",
]

MOST_RESENT: Final = 3
RESEND_PAUSE: Final = timedelta(minutes=10)


class EnvelopeEnd(StrEnum):
    """What became of an envelope for one recipient."""

    DELIVERED = "delivered"
    NOT_DELIVERED = "not-delivered"
    ISOLATED = "isolated"  # infected
    HANDING_OVER = "handing-over"  # none yet: the server that keeps the mailbox has still to take it


@record(kw_only=True)
class NewProcessedEnvelope:
    """An envelope that has reached its end for one recipient."""

    provider: str  # who signed it
    pec_msgid: str
    address: str  # the forward path
    signed_sha256: bytes
    sender: str
    at: datetime
    end: EnvelopeEnd
    receipt_kind: str | None = None
    receipt_msgid: str | None = None
    receipt_body_id: int | None = None  # T9, T10 or T7
    take_charge_body_id: int | None = None


@record(kw_only=True)
class ProcessedEnvelope:
    """What is remembered of it."""

    provider: str
    pec_msgid: str
    address_key: str
    signed_sha256: bytes
    sender: str
    at: datetime
    end: EnvelopeEnd
    receipt_kind: str | None
    receipt_msgid: str | None
    receipt_body_id: int | None
    take_charge_body_id: int | None
    resent: int
    resent_at: datetime | None


_TABLE = processed_envelopes.c
_SEEN = Statement(
    select(processed_envelopes).where(_TABLE.provider == bindparam("signer"), _TABLE.pec_msgid == bindparam("id"))
)
_ENDS = Statement(
    select(processed_envelopes).where(_TABLE.pec_msgid == bindparam("id")).order_by(_TABLE.at, _TABLE.address_key)
)
_RECORD = Addition(processed_envelopes, element=ignoring(processed_envelopes))
_RESEND = Statement(
    update(processed_envelopes)
    .where(
        _TABLE.provider == bindparam("signer"),
        _TABLE.pec_msgid == bindparam("id"),
        _TABLE.address_key == bindparam("key"),
        _TABLE.resent < MOST_RESENT,
        _TABLE.at <= bindparam("before"),
        or_(_TABLE.resent_at.is_(None), _TABLE.resent_at <= bindparam("before")),
    )
    .values(resent=_TABLE.resent + 1, resent_at=bindparam("now"))
)
_CONCLUDE = Statement(
    update(processed_envelopes)
    .where(
        _TABLE.provider == bindparam("signer"),
        _TABLE.pec_msgid == bindparam("id"),
        _TABLE.address_key == bindparam("key"),
        _TABLE.end == EnvelopeEnd.HANDING_OVER.value,
    )
    .values(
        end=bindparam("reached"),
        at=bindparam("now"),
        receipt_kind=bindparam("kind"),
        receipt_msgid=bindparam("msgid"),
        receipt_body_id=bindparam("body"),
    )
)
_RECEIPT = insert_ignoring(received_receipts)
_RECEIVED = Statement(
    select(received_receipts.c.address_key).where(received_receipts.c.signed_sha256 == bindparam("digest"))
)


def processed(
    connection: Connection, provider: str, pec_msgid: str, addresses: Sequence[str]
) -> dict[str, ProcessedEnvelope]:
    """What is known of an envelope, for those of ``addresses`` (as given) it has already reached an end for."""
    rows = _SEEN.all(connection, {"signer": clean(provider), "id": clean(pec_msgid)})
    if not rows:
        return {}
    known = {found.address_key: found for found in map(_processed, rows)}
    keys = {address: address_key(clean(address)) for address in addresses}
    return {address: known[key] for address, key in keys.items() if key in known}


def ends_of(connection: Connection, pec_msgid: str) -> list[ProcessedEnvelope]:
    """What became of an envelope for each of our recipients, whoever signed it."""
    return [_processed(row) for row in _ENDS.all(connection, {"id": clean(pec_msgid)})]


def record_envelopes(connection: Connection, envelopes: Sequence[NewProcessedEnvelope]) -> None:
    """Remember ends.

    Raises:
        Conflict: one of them was reached by another flow meanwhile. It is raised before the commit, not here.
    """
    _RECORD.add(connection, sorted((_row(envelope) for envelope in envelopes), key=_key))


def conclude(connection: Connection, ended: NewProcessedEnvelope) -> bool:
    """Remember the end of an envelope that was being handed over; False if it was not."""
    values = {
        "signer": clean(ended.provider),
        "id": clean(ended.pec_msgid),
        "key": address_key(clean(ended.address)),
        "reached": ended.end.value,
        "now": micros(ended.at),
        "kind": None if ended.receipt_kind is None else str(ended.receipt_kind),
        "msgid": ended.receipt_msgid,
        "body": ended.receipt_body_id,
    }
    return _CONCLUDE.run(connection, values) == 1


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["provider"], row["pec_msgid"], row["address_key"]


def count_resend(connection: Connection, seen: ProcessedEnvelope, at: datetime) -> bool:
    """Whether the receipts of a repeated envelope may leave once more: at most 3 times, not within 10 minutes."""
    values = {"signer": seen.provider, "id": seen.pec_msgid, "key": seen.address_key, "now": micros(at)}
    return _RESEND.run(connection, values | {"before": micros(at - RESEND_PAUSE)}) == 1


def known_receipts(connection: Connection, signed_sha256: bytes, addresses: Sequence[str]) -> frozenset[str]:
    """Those of ``addresses``, as given, for which a receipt with these signed bytes came before."""
    keys = {key for (key,) in _RECEIVED.all(connection, {"digest": signed_sha256})}
    return frozenset(address for address in addresses if address_key(clean(address)) in keys)


def record_receipt(connection: Connection, signed_sha256: bytes, address: str, at: datetime) -> bool:
    """Remember a receipt that came for ``address``; False if identical bytes came before."""
    values = {"signed_sha256": signed_sha256, "address_key": address_key(clean(address)), "at": micros(at)}
    return _RECEIPT.run(connection, values) == 1


def _row(envelope: NewProcessedEnvelope) -> dict[str, Any]:
    return {
        "provider": clean(envelope.provider),
        "pec_msgid": clean(envelope.pec_msgid),
        "address_key": address_key(clean(envelope.address)),
        "signed_sha256": envelope.signed_sha256,
        "sender": clean(envelope.sender),
        "at": micros(envelope.at),
        "end": envelope.end.value,
        "receipt_kind": None if envelope.receipt_kind is None else str(envelope.receipt_kind),
        "receipt_msgid": envelope.receipt_msgid,
        "receipt_body_id": envelope.receipt_body_id,
        "take_charge_body_id": envelope.take_charge_body_id,
        "resent": 0,
        "resent_at": None,
    }


def _processed(row: tuple[Any, ...]) -> ProcessedEnvelope:
    values = dict(zip(_TABLE.keys(), row, strict=True))
    values["signed_sha256"] = bytes(values["signed_sha256"])
    values["at"] = instant(values["at"])
    values["end"] = EnvelopeEnd(values["end"])
    values["resent_at"] = None if values["resent_at"] is None else instant(values["resent_at"])
    return ProcessedEnvelope(**values)
