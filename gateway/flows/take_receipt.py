"""Receipts and notices that arrive: tracked, then filed for the user or the provider they are for (B3, B4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.flows.effects import Effects, stored_form
from gateway.flows.inspection import Inspection
from gateway.points.incoming import may_report_on
from gateway.points.tracking import CHANGES
from gateway.storage import certified, received
from gateway.storage.accounts import BoxKind, MailboxRef
from gateway.storage.register import Event, RegisterEntry
from receipts.facts import CertificationData
from receipts.identifiers import address_key
from receipts.octets import Octets
from receipts.wire import MessageKind

__all__ = ["Filed", "file_receipt", "reported_on"]


@dataclass(frozen=True, slots=True)
class Filed:
    """A receipt that is about to be filed: the changes it may make, tried inside the transaction."""

    inspection: Inspection
    kind: MessageKind
    data: CertificationData
    competent: tuple[str, ...]  # the recipients it reports on, of those its signer manages

    def is_new(self, connection: Connection) -> bool:
        """Whether any of its forward paths has not had these very bytes before (D4)."""
        fresh = [
            received.record_receipt(connection, self.inspection.signed_sha256, path, self.inspection.at)
            for path in sorted(self.inspection.arrival.forward_paths, key=address_key)
        ]
        return any(fresh)

    def track(self, connection: Connection) -> tuple[str, ...]:
        """Change the state of the recipients it reports on; those whose state did change."""
        if self.kind not in CHANGES:
            return ()
        to, from_states = CHANGES[self.kind]
        return tuple(
            address
            for address in sorted(self.competent, key=address_key)
            if certified.advance(
                connection,
                self.data.pec_msgid,
                address,
                to,
                self.inspection.at,
                from_states=from_states,
                detail=self.data.error_text,
            )
        )


def reported_on(kind: MessageKind, data: CertificationData) -> tuple[str, ...]:
    """The recipients a receipt speaks of: ``ricezione`` of a take-charge receipt, ``consegna`` of all others."""
    if kind is MessageKind.TAKE_CHARGE:
        return data.taken_for
    return () if data.delivered_to is None else (data.delivered_to,)


def file_receipt(
    inspection: Inspection,
    effects: Effects,
    *,
    boxes: Mapping[str, MailboxRef],
    service_box: MailboxRef | None,
    sent: Octets | None,
    received_field: bytes,
) -> Filed:
    """File a receipt where it belongs.

    Args:
        boxes: the mailboxes of the forward paths.
        service_box: where take-charge receipts and virus notices go, whoever they are addressed to (RC-09); None
            for all others.
        sent: the original as we sealed it, if the receipt carries a copy of one of ours: its bytes are then shared.
    """
    kind, data = inspection.recognition.kind, inspection.recognition.data
    assert kind is not None
    assert data is not None
    addresses = reported_on(kind, data)
    competent = tuple(address for address in addresses if may_report_on(address, inspection.provider))
    stored = stored_form(Octets.of(received_field, _sharing(inspection, sent)), inspection.arrival.reverse_path)
    for_users = [boxes[path] for path in inspection.arrival.forward_paths if path in boxes]
    targets = for_users if service_box is None else [service_box]
    for mailbox_id in dict.fromkeys(box.id for box in targets):
        effects.file(
            mailbox_id,
            stored,
            kind=kind,
            reverse_path=inspection.arrival.reverse_path,
            pec_msgid=data.pec_msgid,
        )
    _register(inspection, effects, kind, data, addresses, competent, boxes)
    return Filed(inspection, kind, data, competent)


def _register(
    inspection: Inspection,
    effects: Effects,
    kind: MessageKind,
    data: CertificationData,
    addresses: tuple[str, ...],
    competent: tuple[str, ...],
    boxes: Mapping[str, MailboxRef],
) -> None:
    def entry(event: Event, recipients: tuple[str, ...], detail: str) -> RegisterEntry:
        return RegisterEntry(
            event=event,
            at=inspection.at,
            pec_msgid=data.pec_msgid,
            msgid=data.msgid,
            sender=data.sender,
            recipients=recipients,
            subject=data.subject,
            provider=inspection.provider.name,
            detail=detail,
        )

    effects.register(entry(Event.RECEPTION, addresses, kind))
    foreign = tuple(address for address in addresses if address not in competent)
    if foreign:
        effects.register(entry(Event.ALARM, foreign, f"{kind} from a provider that does not manage the recipient"))
    paths = inspection.arrival.forward_paths
    lost = tuple(path for path in paths if path not in boxes)
    if lost:
        effects.register(entry(Event.ALARM, lost, f"{kind} for a mailbox that does not exist"))
    elif kind in (MessageKind.TAKE_CHARGE, MessageKind.VIRUS) and any(
        boxes[path].kind is not BoxKind.SERVICE for path in paths
    ):
        effects.register(entry(Event.DEVIATION, paths, f"{kind} addressed to a user; filed in the service mailbox"))


def _sharing(inspection: Inspection, sent: Octets | None) -> Octets:
    """The arrived message; an original inside it that equals the one we keep becomes a part of that one (D26)."""
    message, part = inspection.message, inspection.recognition.original
    if sent is None or part is None or not message.slice(part.body_start, part.stop).equals(sent):
        return message
    return Octets.of(message.slice(0, part.body_start), sent, message.slice(part.stop))
