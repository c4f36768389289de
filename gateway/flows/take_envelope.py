"""A correct transport envelope: taken charge of, delivered, and answered for each recipient (RFC 6109 3.2.1, 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Connection

from gateway.flows.effects import Effects, Kept, stored_form
from gateway.flows.entries import emission, entry_about
from gateway.flows.fullness import is_full, most_of
from gateway.flows.inspection import Inspection
from gateway.flows.issue import Issued, Issuer
from gateway.points import relay
from gateway.points.box import Capacity
from gateway.points.delivery import delivery_receipt_form, role_of
from gateway.points.faults import Fault
from gateway.storage import accounts, received
from gateway.storage.accounts import BoxKind, MailboxRef
from gateway.storage.errors import Conflict
from gateway.storage.handovers import Due
from gateway.storage.received import EnvelopeEnd, NewProcessedEnvelope
from gateway.storage.register import Event
from receipts.brief import brief_copy
from receipts.facts import CertificationData
from receipts.identifiers import address_key, parse_address_list
from receipts.octets import Octets
from receipts.recognise import Recognition, receipt_form
from receipts.records import record
from receipts.scanner import scan, scan_header
from receipts.wire import ErrorKind, MessageKind, ReceiptForm

__all__ = ["Answers", "Forms", "answer_envelope", "isolate_envelope"]

NO_SUCH_MAILBOX = "5.1.1"  # RFC 3463 3.2
MAILBOX_FULL = "5.2.2"  # RFC 3463 3.3


@record()
class _Answer:
    path: str
    end: EnvelopeEnd
    issued: Issued | None  # None: the service mailbox, which answers nothing (D8), or an end that is yet to come


@dataclass(slots=True)
class Answers:
    """The receipts an envelope earned; remembered in the same commit, so that it never earns them again (D4)."""

    inspection: Inspection
    data: CertificationData
    take_charge: Issued | None = None
    answers: list[_Answer] = field(default_factory=list)
    full: frozenset[str] = frozenset()  # forward paths whose mailboxes have no room

    def check(self, connection: Connection) -> None:
        """Raises Conflict if a recipient who was said to have no mailbox has one by now."""
        lost = [
            answer.path
            for answer in self.answers
            if answer.end is EnvelopeEnd.NOT_DELIVERED and answer.path not in self.full
        ]
        if lost and accounts.mailboxes_of(connection, lost):
            raise Conflict("a mailbox was made meanwhile")

    def remember(self, connection: Connection, kept: Kept) -> None:
        """Raises Conflict if another flow has processed this envelope meanwhile."""
        received.record_envelopes(connection, [self._processed(answer, kept) for answer in self.answers])

    def _processed(self, answer: _Answer, kept: Kept) -> NewProcessedEnvelope:
        issued, take_charge = answer.issued, self.take_charge
        return NewProcessedEnvelope(
            provider=self.inspection.provider.name,
            pec_msgid=self.data.pec_msgid,
            address=answer.path,
            signed_sha256=self.inspection.signed_sha256,
            sender=self.data.sender,
            at=self.inspection.at,
            end=answer.end,
            receipt_kind=None if issued is None else issued.kind,
            receipt_msgid=None if issued is None else issued.message_id,
            receipt_body_id=None if issued is None else kept.body_id(issued.message),
            take_charge_body_id=None
            if take_charge is None or (issued is None and answer.end is not EnvelopeEnd.HANDING_OVER)
            else kept.body_id(take_charge.message),
        )


def answer_envelope(
    inspection: Inspection,
    issuer: Issuer,
    effects: Effects,
    *,
    paths: Sequence[str],
    boxes: Mapping[str, MailboxRef],
    capacity: Capacity,
    received_field: bytes,
    receipt_expiry: timedelta,
) -> Answers:
    """Take charge of the envelope for ``paths``, deliver it where there is a mailbox, and issue what is due.

    A mailbox without room, its reserve used up too, is as good as none (D13). The take-charge receipt covers all of
    them; each gets a delivery receipt or a non-delivery notice: at once, or where another server keeps the mailbox,
    when that has confirmed it (``hand_over``). The service mailbox takes everything and answers nothing (D8).
    """
    data = inspection.recognition.data
    assert data is not None
    taking = _Taking(inspection, issuer, effects, data, receipt_expiry)
    full = frozenset(
        path for path in paths if path in boxes and is_full(boxes[path], inspection.message.size, capacity)
    )
    taking.answers.full = full
    open_to = {boxes[path].id: boxes[path] for path in paths if path in boxes and path not in full}
    elsewhere = [path for path in paths if path in boxes and boxes[path].store is not None]
    taking.file(
        {box.id: most_of(box, capacity) for box in open_to.values()},
        received_field,
        due={boxes[path].id: [each for each in elsewhere if boxes[each].id == boxes[path].id] for path in elsewhere},
    )
    taking.register(Event.RECEPTION, paths, MessageKind.ENVELOPE)
    silent = [path for path in paths if path in boxes and boxes[path].kind is BoxKind.SERVICE]
    answered = [path for path in paths if path not in silent]
    if answered:
        taking.take_charge(answered)
    if silent:
        taking.register(Event.DEVIATION, silent, "an envelope for the service mailbox: kept")
    assert inspection.original is not None
    forms = Forms(inspection.recognition, inspection.original)
    for path in elsewhere:
        taking.waits(path)
        answered.remove(path)
    for path in silent:
        taking.delivered(path, None)
    for path in answered:
        facts = replace(data, provider=issuer.identity.name, at=inspection.at, delivered_to=path)
        if path in boxes and path not in full:
            form = forms.of(path)
            taking.delivered(path, issuer.delivery(facts, form, forms.copy(form)))
        else:
            why = relay.reason(MAILBOX_FULL if path in full else NO_SUCH_MAILBOX, issuer.identity.name)
            error = ErrorKind.OTHER if path in full else ErrorKind.NO_RECIPIENT
            facts = replace(facts, error=error, error_text=why.italian)
            taking.not_delivered(path, issuer.non_delivery(facts, (why,)))
    return taking.answers


def isolate_envelope(
    inspection: Inspection,
    issuer: Issuer,
    effects: Effects,
    *,
    paths: Sequence[str],
    boxes: Mapping[str, MailboxRef],
    found: Fault,
    receipt_expiry: timedelta,
) -> Answers:
    """Answer an infected envelope that is right for ``paths``: no mailbox gets it, and its sender hears nothing of us.

    It still is a correct envelope, so the take-charge receipt covers all of them (A12); then each gives a virus notice,
    whether there is such a mailbox or not (B2, VIR-04, VIR-07).
    """
    data = inspection.recognition.data
    assert data is not None
    taking = _Taking(inspection, issuer, effects, data, receipt_expiry)
    taking.register(Event.RECEPTION, paths, MessageKind.ENVELOPE)
    answered = [path for path in paths if path not in boxes or boxes[path].kind is not BoxKind.SERVICE]
    if answered:
        taking.take_charge(answered)
    facts = replace(data, provider=issuer.identity.name, at=inspection.at, error_text=found.italian)
    for path in paths:
        notice = None
        if path in answered:
            notice = issuer.virus(replace(facts, delivered_to=path), inspection.provider.mail_receipt, (found,))
        taking.isolated(path, notice)
    return taking.answers


class _Taking:
    """Carries out what is decided about one envelope: effects, answers and register rows."""

    def __init__(
        self,
        inspection: Inspection,
        issuer: Issuer,
        effects: Effects,
        data: CertificationData,
        receipt_expiry: timedelta,
    ) -> None:
        self.answers = Answers(inspection, data)
        self._inspection = inspection
        self._issuer = issuer
        self._effects = effects
        self._data = data
        self._receipt_expiry = receipt_expiry

    def file(
        self, mailboxes: Mapping[int, int | None], received_field: bytes, *, due: Mapping[int, Sequence[str]]
    ) -> None:
        """Into each of the mailboxes once, however many of its addresses the envelope names; to what each may hold.

        Args:
            due: forward paths that get their receipts later, by the mailboxes that other servers keep.
        """
        reverse_path = self._inspection.arrival.reverse_path
        stored = stored_form(Octets.of(received_field, self._inspection.message), reverse_path)
        for mailbox_id, most in mailboxes.items():
            self._effects.file(
                mailbox_id,
                stored,
                kind=MessageKind.ENVELOPE,
                reverse_path=reverse_path,
                pec_msgid=self._data.pec_msgid,
                most=most,
                elsewhere=mailbox_id in due,
                due=Due(self._inspection.provider.name, tuple(due[mailbox_id])) if mailbox_id in due else None,
            )

    def take_charge(self, paths: Sequence[str]) -> None:
        facts = replace(self._data, provider=self._issuer.identity.name, at=self._inspection.at, taken_for=tuple(paths))
        to = self._inspection.provider.mail_receipt
        self.answers.take_charge = self._issuer.take_charge(facts, to)
        self._send(self.answers.take_charge, to, paths)

    def waits(self, path: str) -> None:
        """Its end comes when the server that keeps the mailbox has answered."""
        self.answers.answers.append(_Answer(path, EnvelopeEnd.HANDING_OVER, None))

    def delivered(self, path: str, receipt: Issued | None) -> None:
        self._answer(_Answer(path, EnvelopeEnd.DELIVERED, receipt), Event.DELIVERY, self._data.sender)

    def not_delivered(self, path: str, notice: Issued) -> None:
        self._answer(_Answer(path, EnvelopeEnd.NOT_DELIVERED, notice), Event.FAILURE, self._data.sender)

    def isolated(self, path: str, notice: Issued | None) -> None:
        self._answer(_Answer(path, EnvelopeEnd.ISOLATED, notice), Event.FAILURE, self._inspection.provider.mail_receipt)

    def register(self, event: Event, paths: Sequence[str], detail: str, related: tuple[str, ...] = ()) -> None:
        self._effects.register(
            entry_about(
                self._data,
                event,
                at=self._inspection.at,
                provider=self._inspection.provider.name,
                recipients=paths,
                related=related,
                detail=detail,
            )
        )

    def _answer(self, answer: _Answer, event: Event, to: str) -> None:
        self.answers.answers.append(answer)
        related = () if answer.issued is None else (answer.issued.message_id,)
        self.register(event, (answer.path,), MessageKind.ENVELOPE, related)
        if answer.issued is not None:
            self._send(answer.issued, to, (answer.path,))

    def _send(self, issued: Issued, to: str, about: Sequence[str]) -> None:
        at = self._inspection.at
        self._effects.send(
            issued.message,
            kind=issued.kind,
            reverse_path=self._issuer.identity.service_address,
            forward_path=to,
            certified=True,
            about=self._data,
            expires_at=at + self._receipt_expiry,
        )
        provider = self._inspection.provider.name
        self._effects.register(emission(self._data, issued, at=at, provider=provider, recipients=about))


class Forms:
    """Which form of delivery receipt each recipient earns, and the copy of the original that goes with it."""

    def __init__(self, recognition: Recognition, original: Octets) -> None:
        self._original = original
        self._header = scan_header(self._original)
        self._requested = receipt_form(recognition)
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
            self._brief = brief_copy(self._original, scan(self._original))
        return self._brief

    def _keys(self, name: str) -> frozenset[str]:
        fields = self._header.all(name)
        return frozenset(address_key(one) for field in fields for one in parse_address_list(field.value).addresses)
