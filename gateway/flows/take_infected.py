"""What arrived infected from a provider: kept apart, and reported to that provider (RFC 6109 2.2.2, 3.2.3; B2, B6)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from gateway.flows.effects import Effects
from gateway.flows.entries import emission, entry_about
from gateway.flows.inspection import Inspection
from gateway.flows.issue import Issuer
from gateway.flows.take_anomaly import Said
from gateway.points.faults import Fault
from gateway.points.incoming import ArrivalKind
from gateway.storage.quarantine import NewQuarantined
from gateway.storage.register import Event, RegisterEntry
from receipts.facts import CertificationData, Recipient
from receipts.identifiers import is_smtp_address
from receipts.wire import CertificationType, MessageKind, RecipientKind

__all__ = ["entry_of_scan", "keep_apart", "report"]


def keep_apart(inspection: Inspection, effects: Effects, *, paths: Sequence[str], found: Fault) -> None:
    """Put the arrival into the virus store, as it came, once for all of its recipients."""
    said, data = Said.by(inspection), inspection.recognition.data
    effects.isolate(
        NewQuarantined(
            at=inspection.at,
            kind=inspection.recognition.kind or inspection.kind.name.lower(),
            virus=found.english,
            pec_msgid=said.pec_msgid,
            sender=inspection.arrival.reverse_path,
            recipients=tuple(paths),
            subject=said.subject if data is None else data.subject,
            provider=said.provider,
            message=inspection.message,
        )
    )
    effects.register(entry_of_scan(inspection, paths, f"{found.english}; kept in the virus store"))


def report(
    inspection: Inspection,
    issuer: Issuer,
    effects: Effects,
    *,
    paths: Sequence[str],
    found: Fault,
    expiry: timedelta,
) -> None:
    """Tell the provider that signed it of the virus, for each of ``paths`` by itself.

    No notice answers a notice: two scanners that take each other's words for a virus would write for ever. And none is
    written of what has no identifier, for the other provider could make nothing of it. Both are alarms all the same.
    """
    facts = _facts(inspection, paths, found)
    detail = f"infected {inspection.recognition.kind or 'message'}: {found.english}"
    effects.register(entry_of_scan(inspection, paths, detail, Event.ALARM))
    if facts is None or inspection.recognition.kind is MessageKind.VIRUS:
        return
    for path in paths:
        to, name = inspection.provider.mail_receipt, issuer.identity.name
        issued = issuer.virus(replace(facts, provider=name, delivered_to=path), to, (found,))
        effects.send(
            issued.message,
            kind=issued.kind,
            reverse_path=issuer.identity.service_address,
            forward_path=to,
            certified=True,
            about=facts,
            expires_at=inspection.at + expiry,
        )
        effects.register(
            emission(facts, issued, at=inspection.at, provider=inspection.provider.name, recipients=(path,))
        )


def entry_of_scan(
    inspection: Inspection, paths: Sequence[str], detail: str, event: Event = Event.SCAN
) -> RegisterEntry:
    """What a scanner said of an arrival, by its certified data if its origin is proven."""
    data = inspection.recognition.data
    if data is None or inspection.kind is ArrivalKind.ORDINARY_MAIL:
        return Said.by(inspection).entry(event, paths, detail=detail)
    provider = inspection.provider.name
    return entry_about(data, event, at=inspection.at, provider=provider, recipients=paths, detail=detail)


def _facts(inspection: Inspection, paths: Sequence[str], found: Fault) -> CertificationData | None:
    """What a virus notice says of the message: what is certified of it, else what it says of itself."""
    said, data = Said.by(inspection), inspection.recognition.data
    sender = said.sender if data is None else data.sender
    if not is_smtp_address(sender):  # it goes into a header
        sender = inspection.provider.mail_receipt
    if data is not None:
        return replace(data, sender=sender, at=inspection.at, error_text=found.italian)
    if not said.msgid:
        return None
    return CertificationData(
        type=CertificationType.VIRUS,
        sender=sender,
        recipients=tuple(Recipient(address=path, kind=RecipientKind.CERTIFIED) for path in paths),
        reply_to=sender,
        subject=said.subject,
        provider=inspection.provider.name,
        at=inspection.at,
        pec_msgid=said.msgid.strip("<> "),
        error_text=found.italian,
    )
