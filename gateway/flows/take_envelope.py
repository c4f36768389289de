"""A correct transport envelope: taken charge of, delivered, and answered for each recipient (RFC 6109 3.2.1, 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.flows.effects import Effects, Kept, stored_form
from gateway.flows.inspection import Inspection
from gateway.flows.issue import Issued, Issuer
from gateway.points.delivery import delivery_receipt_form, non_delivery_text, role_of
from gateway.points.faults import Fault
from gateway.storage import received
from gateway.storage.accounts import BoxKind, MailboxRef
from gateway.storage.received import EnvelopeEnd, NewProcessedEnvelope
from gateway.storage.register import Event, RegisterEntry
from receipts.brief import brief_copy
from receipts.facts import CertificationData
from receipts.identifiers import address_key, parse_address_list
from receipts.octets import Octets
from receipts.recognise import receipt_form
from receipts.scanner import scan
from receipts.wire import ErrorKind, MessageKind, ReceiptForm

__all__ = ["Answers", "answer_envelope"]

NO_MAILBOX = Fault("indirizzo non valido", "invalid address")


@dataclass(frozen=True, slots=True)
class _Answer:
    path: str
    end: EnvelopeEnd
    issued: Issued


@dataclass(slots=True)
class Answers:
    """The receipts an envelope earned; remembered in the same commit, so that it never earns them again (D4)."""

    inspection: Inspection
    data: CertificationData
    take_charge: Issued | None = None
    answers: list[_Answer] = field(default_factory=list)

    def remember(self, connection: Connection, kept: Kept) -> None:
        """Raises Conflict if another flow has processed this envelope meanwhile."""
        take_charge = None if self.take_charge is None else kept.body_id(self.take_charge.message)
        received.record_envelopes(
            connection,
            [
                NewProcessedEnvelope(
                    provider=self.inspection.provider.name,
                    pec_msgid=self.data.pec_msgid,
                    address=answer.path,
                    signed_sha256=self.inspection.signed_sha256,
                    sender=self.data.sender,
                    at=self.inspection.at,
                    end=answer.end,
                    receipt_kind=answer.issued.kind,
                    receipt_msgid=answer.issued.message_id,
                    receipt_body_id=kept.body_id(answer.issued.message),
                    take_charge_body_id=take_charge,
                )
                for answer in self.answers
            ],
        )


def answer_envelope(
    inspection: Inspection,
    issuer: Issuer,
    effects: Effects,
    *,
    paths: Sequence[str],
    boxes: Mapping[str, MailboxRef],
    received_field: bytes,
    receipt_expiry: timedelta,
) -> Answers:
    """Take charge of the envelope for ``paths``, deliver it where there is a mailbox, and issue what is due.

    The take-charge receipt covers all of them; each gets a delivery receipt or a non-delivery notice. The service
    mailbox takes everything and answers nothing (D8).
    """
    data = inspection.recognition.data
    assert data is not None
    answers = Answers(inspection, data)
    post = _Post(effects, issuer.identity.service_address, data.pec_msgid, effects.at + receipt_expiry)
    stored = stored_form(Octets.of(received_field, inspection.message), inspection.arrival.reverse_path)
    for box_id in dict.fromkeys(boxes[path].id for path in paths if path in boxes):
        effects.file(
            box_id,
            stored,
            kind=MessageKind.ENVELOPE,
            reverse_path=inspection.arrival.reverse_path,
            pec_msgid=data.pec_msgid,
        )
    answered = [path for path in paths if path not in boxes or boxes[path].kind is not BoxKind.SERVICE]
    if answered:
        _take_charge(inspection, issuer, post, answers, answered)
    forms = _Forms(inspection)
    for path in answered:
        facts = replace(data, provider=issuer.identity.name, at=inspection.at, delivered_to=path)
        if path in boxes:
            form = forms.of(path)
            answer = _Answer(path, EnvelopeEnd.DELIVERED, issuer.delivery(facts, form, forms.copy(form)))
        else:
            answer = _Answer(path, EnvelopeEnd.NOT_DELIVERED, _not_delivered(facts, issuer))
        answers.answers.append(answer)
        post.send(answer.issued, data.sender)
        event = Event.DELIVERY if answer.end is EnvelopeEnd.DELIVERED else Event.FAILURE
        effects.register(_entry(inspection, data, event, (path,), answer.issued.message_id, answer.issued.kind))
    return answers


def _take_charge(inspection: Inspection, issuer: Issuer, post: "_Post", answers: Answers, paths: Sequence[str]) -> None:
    data = answers.data
    facts = replace(data, provider=issuer.identity.name, at=inspection.at, taken_for=tuple(paths))
    to = inspection.provider.mail_receipt
    answers.take_charge = issuer.take_charge(facts, to)
    post.send(answers.take_charge, to)
    post.effects.register(
        _entry(inspection, data, Event.RECEPTION, tuple(paths), answers.take_charge.message_id, MessageKind.ENVELOPE)
    )


def _not_delivered(facts: CertificationData, issuer: Issuer) -> Issued:
    text = non_delivery_text("5.1.1", issuer.identity.name, NO_MAILBOX.italian)
    return issuer.non_delivery(replace(facts, error=ErrorKind.NO_RECIPIENT, error_text=text))


@dataclass(frozen=True, slots=True)
class _Post:
    """Sends what this provider issues about one envelope."""

    effects: Effects
    service_address: str
    pec_msgid: str
    expires_at: datetime

    def send(self, issued: Issued, to: str) -> None:
        self.effects.send(
            issued.message,
            kind=issued.kind,
            reverse_path=self.service_address,
            forward_path=to,
            certified=True,
            pec_msgid=self.pec_msgid,
            expires_at=self.expires_at,
        )


def _entry(
    inspection: Inspection,
    data: CertificationData,
    event: Event,
    recipients: tuple[str, ...],
    issued: str,
    detail: str,
) -> RegisterEntry:
    return RegisterEntry(
        event=event,
        at=inspection.at,
        pec_msgid=data.pec_msgid,
        msgid=data.msgid,
        sender=data.sender,
        recipients=recipients,
        subject=data.subject,
        provider=inspection.provider.name,
        related=(issued,),
        detail=detail,
    )


class _Forms:
    """Which form of delivery receipt each recipient earns, and the copy of the original that goes with it."""

    def __init__(self, inspection: Inspection) -> None:
        assert inspection.original is not None
        self._original = inspection.original
        self._root = scan(self._original)
        self._requested = receipt_form(inspection.recognition)
        self._to = self._keys("To")
        self._cc = self._keys("Cc")
        self._brief: Octets | None = None

    def of(self, path: str) -> ReceiptForm:
        return delivery_receipt_form(self._requested, role_of(address_key(path), self._to, self._cc))

    def copy(self, form: ReceiptForm) -> Octets | None:
        if form is ReceiptForm.CONCISE:
            return None
        if form is ReceiptForm.COMPLETE:
            return self._original
        if self._brief is None:
            self._brief = brief_copy(self._original, self._root)
        return self._brief

    def _keys(self, name: str) -> frozenset[str]:
        fields = self._root.header.all(name)
        return frozenset(address_key(one) for field in fields for one in parse_address_list(field.value).addresses)
