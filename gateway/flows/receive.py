"""One message through the incoming point: verified, decided, kept, in one transaction (RFC 6109 section 2.2.2, D23)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows.effects import Effects, Handover, Lease, Leased
from gateway.flows.inspection import Inspection, Inspector
from gateway.flows.issue import Issuer
from gateway.flows.outcomes import Arrival, ReceiveOutcome, Refusal, Refused, Taken
from gateway.flows.repeat_envelope import repeat_answers
from gateway.flows.take_anomaly import wrap_anomaly
from gateway.flows.take_envelope import Answers, answer_envelope
from gateway.flows.take_receipt import Filed, file_receipt
from gateway.flows.trace_fields import received_at_arrival
from gateway.flows.work import deliberate, until_settled
from gateway.points import incoming
from gateway.points.faults import Fault
from gateway.points.incoming import ArrivalKind
from gateway.storage import accounts, certified, content, received
from gateway.storage.accounts import MailboxRef
from gateway.storage.engine import Storage
from gateway.storage.received import ProcessedEnvelope
from gateway.storage.register import Event, RegisterEntry
from receipts.errors import TemporaryError
from receipts.identifiers import address_key
from receipts.octets import Octets

__all__ = ["ReceiveFlow", "ReceiveSettings"]

MAX_RECEIVED_FIELDS = 50  # D8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveSettings:
    host: str  # by which name Received calls us
    ordinary_mail: Literal["wrap", "refuse"]
    max_envelope_age: timedelta
    max_envelope_ahead: timedelta
    receipt_expiry: timedelta  # how long receipts and notices wait for a server (D8)
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What storage says about an arrival, before anything is decided."""

    boxes: Mapping[str, MailboxRef]
    service_box: MailboxRef | None
    processed: Mapping[str, ProcessedEnvelope]
    sent: Octets | None  # the original as we sealed it


class ReceiveFlow:
    """The incoming and delivery points of one provider.

    Args:
        handover: is told of new outbox rows after their commit.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        inspector: Inspector,
        issuer: Issuer,
        clock: Clock,
        ids: Ids,
        handover: Handover,
        settings: ReceiveSettings,
    ) -> None:
        self._storage = storage
        self._inspector = inspector
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._settings = settings

    async def __call__(self, arrival: Arrival) -> ReceiveOutcome:
        """Decide on a message for local recipients; what is decided is on disk when this returns.

        Raises:
            TemporaryError: something that a correct act needs is unavailable; nothing was kept.
        """
        return await until_settled(lambda: self._attempt(arrival))

    async def _attempt(self, arrival: Arrival) -> ReceiveOutcome:
        at = self._clock.now()
        inspection = await deliberate(arrival.message.size, lambda: self._inspector.inspect(arrival, at))
        if len(inspection.root.header.all("Received")) > MAX_RECEIVED_FIELDS:
            return Refused(Refusal.LOOP)
        known = await self._storage.read(lambda connection: self._look_up(connection, inspection))
        if inspection.kind is ArrivalKind.ORDINARY_MAIL:
            refusal = self._refusal(known)
            if refusal is not None:
                return Refused(refusal)
        taking = await deliberate(arrival.message.size, lambda: self._decide(inspection, known))
        self._handover(await self._storage.write(taking.keep, size=taking.effects.size))
        return Taken()

    def _look_up(self, connection: Connection, inspection: Inspection) -> _Known:
        data, kind = inspection.recognition.data, inspection.kind
        processed: Mapping[str, ProcessedEnvelope] = {}
        sent = None
        paths = inspection.arrival.forward_paths
        if data is not None and kind is ArrivalKind.TRANSPORT_ENVELOPE:
            processed = received.processed(connection, inspection.provider.name, data.pec_msgid, paths)
        elif data is not None and kind is ArrivalKind.RECEIPT and inspection.original is not None:
            message = certified.find_message(connection, data.pec_msgid)
            sent = None if message is None else content.load(connection, message.original_body_id)
        return _Known(
            boxes=accounts.mailboxes_of(connection, paths),
            service_box=accounts.mailbox_of(connection, self._issuer.identity.service_address)
            if kind is ArrivalKind.SERVICE_RECEIPT
            else None,
            processed=processed,
            sent=sent,
        )

    def _refusal(self, known: _Known) -> Refusal | None:
        """Why ordinary mail is not taken at all (D7)."""
        if not known.boxes:
            return Refusal.UNKNOWN_RECIPIENT
        return Refusal.POLICY if self._settings.ordinary_mail == "refuse" else None

    def _decide(self, inspection: Inspection, known: _Known) -> "_Taking":
        effects = Effects(at=inspection.at, ids=self._ids)
        taking = _Taking(inspection, effects, self._settings, self._issuer.identity.service_address)
        if inspection.kind is ArrivalKind.TRANSPORT_ENVELOPE:
            self._envelope(taking, known)
        elif inspection.kind in (ArrivalKind.RECEIPT, ArrivalKind.SERVICE_RECEIPT):
            self._receipt(taking, known)
        else:
            proven = inspection.kind is ArrivalKind.DAMAGED
            reason = incoming.BAD_FORMAT if proven else incoming.BAD_SIGNATURE
            self._wrap(taking, known, inspection.arrival.forward_paths, reason)
        _register_deviations(inspection, effects)
        return taking

    def _envelope(self, taking: "_Taking", known: _Known) -> None:
        """Sort the recipients: repeated, mis-addressed, right; each group gets what it is due."""
        inspection = taking.inspection
        data = inspection.recognition.data
        assert data is not None
        fault = incoming.transaction_fault(
            data,
            inspection.provider,
            inspection.arrival.reverse_path,
            at=inspection.at,
            max_age=self._settings.max_envelope_age,
            max_ahead=self._settings.max_envelope_ahead,
        )
        right: list[str] = []
        wrong: dict[Fault, list[str]] = {}
        for path in _each_once(inspection.arrival.forward_paths):
            reason = fault or incoming.address_fault(data, path)
            seen = known.processed.get(path)
            if reason is None and seen is not None:
                if seen.signed_sha256 == inspection.signed_sha256:
                    taking.repeated.append(seen)
                    continue
                reason = incoming.OTHER_BYTES
            if reason is None:
                right.append(path)
            else:
                wrong.setdefault(reason, []).append(path)
        if right:
            taking.answers = answer_envelope(
                inspection,
                self._issuer,
                taking.effects,
                paths=right,
                boxes=known.boxes,
                received_field=self._received(inspection),
                receipt_expiry=self._settings.receipt_expiry,
            )
        for reason, paths in wrong.items():
            self._wrap(taking, known, paths, reason)
            if reason is incoming.OTHER_BYTES:
                taking.effects.register(
                    RegisterEntry(
                        event=Event.ALARM,
                        at=inspection.at,
                        pec_msgid=data.pec_msgid,
                        sender=data.sender,
                        recipients=tuple(paths),
                        provider=inspection.provider.name,
                        detail=reason.english,
                    )
                )

    def _receipt(self, taking: "_Taking", known: _Known) -> None:
        service_box = known.service_box
        if taking.inspection.kind is ArrivalKind.SERVICE_RECEIPT and service_box is None:
            raise TemporaryError("there is no service mailbox; make one with `ceralacca account add --kind service`")
        taking.filed = file_receipt(
            taking.inspection,
            taking.effects,
            boxes=known.boxes,
            service_box=service_box,
            sent=known.sent,
            received_field=self._received(taking.inspection),
        )

    def _wrap(self, taking: "_Taking", known: _Known, paths: Sequence[str], reason: Fault) -> None:
        wrap_anomaly(
            taking.inspection,
            self._issuer,
            taking.effects,
            paths=paths,
            boxes=known.boxes,
            reason=reason,
            received=self._received(taking.inspection),
        )

    def _received(self, inspection: Inspection) -> bytes:
        return received_at_arrival(
            inspection.arrival.peer, by=self._settings.host, token=self._ids.token(), at=inspection.at
        )


@dataclass(slots=True)
class _Taking:
    """A decided arrival: what will be kept, and the facts that must still hold when it is."""

    inspection: Inspection
    effects: Effects
    settings: ReceiveSettings
    service_address: str
    answers: Answers | None = None
    filed: Filed | None = None
    repeated: list[ProcessedEnvelope] = field(default_factory=list)

    def keep(self, connection: Connection) -> tuple[Leased, ...]:
        """The transaction. Raises Conflict if a fact that was decided on holds no longer."""
        if self.filed is not None and not self.filed.is_new(connection):
            return ()
        kept = self.effects.perform(connection, self.settings.lease)
        if self.answers is not None:
            self.answers.remember(connection, kept)
        if self.filed is not None:
            self.filed.track(connection)
        if self.repeated:
            repeat_answers(
                connection,
                self.repeated,
                service_address=self.service_address,
                mail_receipt=self.inspection.provider.mail_receipt,
                at=self.inspection.at,
                expiry=self.settings.receipt_expiry,
            )
        return kept.leased


def _each_once(paths: Sequence[str]) -> tuple[str, ...]:
    """The forward paths without those that differ only in spelling from an earlier one."""
    return tuple({address_key(path): path for path in reversed(paths)}.values())[::-1]


def _register_deviations(inspection: Inspection, effects: Effects) -> None:
    """Soft faults of a certified message, and clear text on the way: a register row, nothing else (D3)."""
    data = inspection.recognition.data
    if inspection.kind in (ArrivalKind.ORDINARY_MAIL, ArrivalKind.DAMAGED) or data is None:
        return
    found = list(inspection.recognition.soft)
    if not inspection.arrival.peer.tls:
        found.append("it came in clear text")
    if found:
        effects.register(
            RegisterEntry(
                event=Event.DEVIATION,
                at=inspection.at,
                pec_msgid=data.pec_msgid,
                sender=data.sender,
                provider=inspection.provider.name,
                detail="; ".join(found),
            )
        )
