"""What this provider issues: facts to sealed messages, in the transaction's one instant.

The flows decide that a receipt or envelope is due; here it is written and sealed. Nothing is stored or sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.drivers.sources import Ids
from gateway.points.faults import Fault
from providers.sealing import Signer, seal
from receipts.acceptance import acceptance_receipt
from receipts.delivery import delivery_receipt
from receipts.envelopes import anomaly_envelope, transport_envelope
from receipts.facts import CertificationData, Deadline
from receipts.notices import non_acceptance_notice, non_delivery_notice, virus_notice
from receipts.octets import EMPTY, Octets
from receipts.records import record
from receipts.scanner import Header
from receipts.takecharge import take_charge_receipt
from receipts.timeout import timeout_notice
from receipts.wire import ErrorKind, MessageKind, ReceiptForm
from receipts.writer import Boundaries, Unsealed, is_clear

__all__ = ["Identity", "Issued", "Issuer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this provider is, on everything it issues."""

    name: str  # providerName, "gestore-emittente"
    domain: str  # its mail domain: what its message identifiers end with
    service_address: str  # From of everything it seals; stands in its certificate


@record()
class Issued:
    """A sealed message, its kind and its own Message-ID without angle brackets."""

    kind: MessageKind
    message_id: str
    message: Octets


class Issuer:
    """The provider's pen and seal. Every method raises SigningUnavailable when the key cannot be used."""

    def __init__(self, identity: Identity, signer: Signer, ids: Ids) -> None:
        self.identity = identity
        self._signer = signer
        self._ids = ids

    def new_message_id(self) -> str:
        """An alphanumeric string, never used before, at our mail domain (MID-01)."""
        return f"{self._ids.token()}@{self.identity.domain}"

    def acceptance(self, data: CertificationData) -> Issued:
        """T1: the message has entered certified mail."""
        receipt = self._blank(MessageKind.ACCEPTANCE, data.at)
        return receipt.sealed(
            acceptance_receipt(
                data,
                service_address=self.identity.service_address,
                message_id=receipt.message_id,
                boundaries=receipt.boundaries,
            )
        )

    def non_acceptance(self, data: CertificationData, faults: Sequence[Fault]) -> Issued:
        """T2: the message was not accepted, and every reason. T3 if ``data.error`` is a virus."""
        virus = data.error is ErrorKind.VIRUS
        notice = self._blank(MessageKind.NON_ACCEPTANCE_VIRUS if virus else MessageKind.NON_ACCEPTANCE, data.at)
        return notice.sealed(
            non_acceptance_notice(
                data,
                service_address=self.identity.service_address,
                message_id=notice.message_id,
                boundaries=notice.boundaries,
                reasons=faults,
            )
        )

    def envelope(self, data: CertificationData, original: Octets, header: Header, received: bytes) -> Issued:
        """T4: one envelope for all recipients; its Message-ID is the PEC msgid.

        Args:
            original: the message as it travels, ``received`` on top.
            header: of the message as it was handed in.
        """
        envelope = self._blank(MessageKind.ENVELOPE, data.at, original, data.pec_msgid)
        return envelope.sealed(
            transport_envelope(
                data,
                service_address=self.identity.service_address,
                original=original,
                original_header=header,
                received=received,
                boundaries=envelope.boundaries,
            )
        )

    def take_charge(self, data: CertificationData, to: str) -> Issued:
        """T5: we answer for ``data.taken_for``; ``to`` is the service mailbox of the sender's provider."""
        receipt = self._blank(MessageKind.TAKE_CHARGE, data.at)
        return receipt.sealed(
            take_charge_receipt(
                data,
                service_address=self.identity.service_address,
                to=to,
                message_id=receipt.message_id,
                boundaries=receipt.boundaries,
            )
        )

    def anomaly(
        self,
        *,
        at: datetime,
        sender: str,
        recipients: Sequence[str],
        subject: str | None,
        reason: Fault,
        arrived: Octets,
        header: Header,
        reverse_path: str,
        notes: Sequence[Fault] = (),
    ) -> Issued:
        """T6: what arrived, wrapped; nothing about it is certified."""
        envelope = self._blank(MessageKind.ANOMALY, at, arrived)
        return envelope.sealed(
            anomaly_envelope(
                at=at,
                service_address=self.identity.service_address,
                sender=sender,
                recipients=recipients,
                subject=subject,
                reason=reason,
                arrived=arrived,
                arrived_header=header,
                reverse_path=reverse_path,
                boundaries=envelope.boundaries,
                notes=notes,
            )
        )

    def delivery(self, data: CertificationData, form: ReceiptForm, original: Octets | None) -> Issued:
        """T9: the envelope stands in the mailbox of ``data.delivered_to``."""
        receipt = self._blank(MessageKind.DELIVERY, data.at, original or EMPTY)
        return receipt.sealed(
            delivery_receipt(
                data,
                form=form,
                original=original,
                service_address=self.identity.service_address,
                message_id=receipt.message_id,
                boundaries=receipt.boundaries,
            )
        )

    def non_delivery(self, data: CertificationData, reasons: Sequence[Fault] = ()) -> Issued:
        """T10: the envelope did not reach ``data.delivered_to``. T8 if ``data.error`` is a virus."""
        virus = data.error is ErrorKind.VIRUS
        notice = self._blank(MessageKind.NON_DELIVERY_VIRUS if virus else MessageKind.NON_DELIVERY, data.at)
        return notice.sealed(
            non_delivery_notice(
                data,
                service_address=self.identity.service_address,
                message_id=notice.message_id,
                boundaries=notice.boundaries,
                reasons=reasons,
            )
        )

    def virus(self, data: CertificationData, to: str, reasons: Sequence[Fault] = ()) -> Issued:
        """T7: a virus was found in what was for ``data.delivered_to``; ``to`` is its provider's service mailbox."""
        notice = self._blank(MessageKind.VIRUS, data.at)
        return notice.sealed(
            virus_notice(
                data,
                service_address=self.identity.service_address,
                to=to,
                message_id=notice.message_id,
                boundaries=notice.boundaries,
                reasons=reasons,
            )
        )

    def timeout(self, data: CertificationData, deadline: Deadline, reasons: Sequence[Fault] = ()) -> Issued:
        """T11: nothing was heard of ``data.delivered_to`` by one of the two deadlines."""
        notice = self._blank(MessageKind.TIMEOUT, data.at)
        return notice.sealed(
            timeout_notice(
                data,
                deadline,
                service_address=self.identity.service_address,
                message_id=notice.message_id,
                boundaries=notice.boundaries,
                reasons=reasons,
            )
        )

    def _blank(
        self, kind: MessageKind, at: datetime, inside: Octets = EMPTY, message_id: str | None = None
    ) -> "_Blank":
        """A sheet with identifiers that stand nowhere in the bytes it will hold (D19)."""
        token = next(token for token in self._tokens() if is_clear(token, inside))
        return _Blank(kind, at, message_id or self.new_message_id(), Boundaries(token), self._signer)

    def _tokens(self) -> Iterator[str]:
        while True:
            yield self._ids.token()


@record()
class _Blank:
    kind: MessageKind
    at: datetime
    message_id: str
    boundaries: Boundaries
    signer: Signer

    def sealed(self, unsealed: Unsealed) -> Issued:
        message = seal(unsealed, self.signer, at=self.at, boundary=self.boundaries.signed)
        return Issued(self.kind, self.message_id, message)
