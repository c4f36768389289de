"""The facts that certified mail states: frozen, complete, named (RFC 6109 sections 1.2.3 and 4.4)."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto

from receipts.records import record
from receipts.wire import CertificationType, ErrorKind, MessageKind, ReceiptForm, RecipientKind

__all__ = ["KIND_OF", "CertificationData", "Deadline", "Recipient"]

KIND_OF: Mapping[tuple[CertificationType, bool], MessageKind] = {
    (CertificationType.ACCEPTANCE, False): MessageKind.ACCEPTANCE,
    (CertificationType.NON_ACCEPTANCE, False): MessageKind.NON_ACCEPTANCE,
    (CertificationType.NON_ACCEPTANCE, True): MessageKind.NON_ACCEPTANCE_VIRUS,
    (CertificationType.TAKE_CHARGE, False): MessageKind.TAKE_CHARGE,
    (CertificationType.DELIVERY, False): MessageKind.DELIVERY,
    (CertificationType.ENVELOPE, False): MessageKind.ENVELOPE,
    (CertificationType.NON_DELIVERY, False): MessageKind.NON_DELIVERY,
    (CertificationType.NON_DELIVERY, True): MessageKind.NON_DELIVERY_VIRUS,
    (CertificationType.TIMEOUT, False): MessageKind.TIMEOUT,
    (CertificationType.VIRUS, True): MessageKind.VIRUS,
}
"""Which kind of message a certification type and "is the error a virus" name, where the two go together."""


class Deadline(Enum):
    """Which of the two deadlines of RFC 6109 section 3.1.6 a timeout notice is about; the header is the same."""

    FIRST = auto()  # neither taken in charge nor delivered in the first 12 hours
    SECOND = auto()  # not delivered within 24 hours: the end


@record(kw_only=True)
class Recipient:
    """One SMTP forward path and whether its domain is certified (``destinatari``)."""

    address: str
    kind: RecipientKind


@record(kw_only=True)
class CertificationData:
    """What a certified message states about an original message: the content of ``daticert.xml``.

    Raises:
        ValueError: ``at`` is naive, or there is no recipient.
    """

    type: CertificationType
    error: ErrorKind = ErrorKind.NONE
    sender: str  # SMTP reverse path, not "From:" (2.1)
    recipients: tuple[Recipient, ...]  # SMTP forward paths, first those in To, then those in Cc (2.1)
    reply_to: str  # "risposte": the original's Reply-To, else its From; may be empty when read from others
    subject: str | None  # decoded, without prefix
    provider: str  # "gestore-emittente": the name of the provider that certifies
    at: datetime  # aware, in the zone to be written; the transaction's one time value (4.1)
    pec_msgid: str  # "identificativo": without angle brackets
    msgid: str | None = None  # the client's Message-ID with its angle brackets, if it set one
    receipt_form: ReceiptForm | None = None  # what the sender asked for
    delivered_to: str | None = None  # "consegna": where delivery was made or tried
    taken_for: tuple[str, ...] = ()  # "ricezione": the recipients a take-charge receipt covers
    error_text: str | None = None  # "errore-esteso"

    def __post_init__(self) -> None:
        if self.at.utcoffset() is None:
            raise ValueError("certification data needs an aware datetime")
        if not self.recipients:
            raise ValueError("certification data needs a recipient")

    @property
    def kind(self) -> MessageKind | None:
        """The kind of message these data belong to; None for a pairing of type and error that has no name."""
        virus = self.error is ErrorKind.VIRUS
        kind = KIND_OF.get((self.type, virus))
        return kind if kind is not None else KIND_OF.get((self.type, not virus))
