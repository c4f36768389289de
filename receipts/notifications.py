"""What all receipts and notices have in common: their header and which certification data each kind states."""

from collections.abc import Sequence
from dataclasses import replace

from receipts.daticert import write_daticert
from receipts.facts import CertificationData, Deadline
from receipts.headers import date, line, unstructured, visible
from receipts.identifiers import is_msgid
from receipts.octets import Octets
from receipts.texts import Reason, text_of
from receipts.wire import (
    SUBJECT_PREFIX,
    X_MITTENTE,
    X_RICEVUTA,
    X_RIFERIMENTO_MESSAGE_ID,
    X_VERIFICA_SICUREZZA,
    CertificationType,
    ErrorKind,
    MessageKind,
    ReceiptForm,
    SecurityCheck,
)
from receipts.writer import Boundaries, Unsealed, unsealed

__all__ = ["notification", "reference_field", "stated", "subject_field"]


def notification(
    data: CertificationData,
    *,
    service_address: str,
    to: str,
    message_id: str,
    boundaries: Boundaries,
    form: ReceiptForm = ReceiptForm.COMPLETE,
    deadline: Deadline = Deadline.FIRST,
    reasons: Sequence[Reason] = (),
    original: Octets | None = None,
) -> Unsealed:
    """A receipt or notice of the kind that ``data`` name (RFC 6109 sections 2.1.1.1 and 3).

    Args:
        to: the only recipient: the sender as in the reverse path, or a provider's service mailbox.
        message_id: without angle brackets; a fresh one, for clients drop what they have already seen.

    Raises:
        ValueError: the data name no kind, or an address or identifier cannot stand in a header.
    """
    kind = data.kind
    if kind is None:
        raise ValueError(f"{data.type} with error {data.error} is no kind of certified mail")
    headers = (
        date(data.at),
        line("From", service_address),
        line("To", to),
        line("Message-ID", f"<{message_id}>"),
        subject_field(kind, data.subject),
        line(X_RICEVUTA, data.type),
        line(X_VERIFICA_SICUREZZA, SecurityCheck.ERROR) if kind in _ABOUT_VIRUSES else b"",
        line(X_MITTENTE, data.sender) if kind is MessageKind.VIRUS else b"",
        reference_field(data.msgid),
    )
    text = text_of(kind, data, form=form, deadline=deadline, reasons=reasons)
    return unsealed(headers, text, certification=write_daticert(data), original=original, boundaries=boundaries)


def subject_field(kind: MessageKind, original: str | None) -> bytes:
    """The Subject field: the kind's prefix, then the whole original subject in one line."""
    return unstructured("Subject", visible(original or ""), prefix=SUBJECT_PREFIX[kind])


def reference_field(msgid: str | None) -> bytes:
    """The field that repeats the client's own Message-ID; nothing if it gave none that a header can hold."""
    return b"" if msgid is None or not is_msgid(msgid) else line(X_RIFERIMENTO_MESSAGE_ID, msgid)


def stated(
    data: CertificationData,
    certification: CertificationType,
    *,
    error: ErrorKind = ErrorKind.NONE,
    receipt_form: ReceiptForm | None = None,
    delivered_to: str | None = None,
    taken_for: tuple[str, ...] = (),
    error_text: str | None = None,
) -> CertificationData:
    """The data about the same message for another kind: what is not named here does not stand in it."""
    return replace(
        data,
        type=certification,
        error=error,
        receipt_form=receipt_form,
        delivered_to=delivered_to,
        taken_for=taken_for,
        error_text=error_text,
    )


_ABOUT_VIRUSES = frozenset({MessageKind.NON_ACCEPTANCE_VIRUS, MessageKind.NON_DELIVERY_VIRUS})
