"""The two envelopes: transport envelope (RFC 6109 section 3.1.5) and anomaly envelope (section 3.2.2)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from receipts.daticert import write_daticert
from receipts.facts import CertificationData
from receipts.headers import RawField, copied, date, line, mailbox, visible
from receipts.identifiers import is_smtp_address
from receipts.notifications import reference_field, stated, subject_field
from receipts.octets import Octets
from receipts.texts import Reason, anomaly_text, text_of
from receipts.wire import (
    ON_BEHALF_OF,
    X_TIPO_RICEVUTA,
    X_TRASPORTO,
    CertificationType,
    MessageKind,
    ReceiptForm,
    Transport,
)
from receipts.writer import Boundaries, Unsealed, unsealed

__all__ = ["anomaly_envelope", "transport_envelope"]


class Fields(Protocol):
    """The header of a message as it was read."""

    def all(self, name: str) -> Sequence[RawField]: ...


def transport_envelope(
    data: CertificationData,
    *,
    service_address: str,
    original: Octets,
    original_header: Fields,
    received: bytes,
    boundaries: Boundaries,
) -> Unsealed:
    """Wrap an accepted message; all recipients get the same bytes.

    Args:
        data: the facts about the message, of any type: those that an envelope does not state are left out.
        original: the message as ``reidentified`` left it.
        original_header: the header of the original, for the fields that are copied as they stand.
        received: our own Received line, the one that stands on top of ``original``.
    """
    form = data.receipt_form or ReceiptForm.COMPLETE
    facts = stated(data, CertificationType.ENVELOPE, receipt_form=form)
    headers = (
        received,
        _copied(original_header, "Received", "Return-Path"),
        date(data.at),
        _from(data.sender, service_address),
        _reply_to(original_header, data.reply_to),
        _copied(original_header, "To", "Cc"),
        line("Message-ID", f"<{data.pec_msgid}>"),
        subject_field(MessageKind.ENVELOPE, data.subject),
        line(X_TRASPORTO, Transport.ENVELOPE),
        line(X_TIPO_RICEVUTA, form),
        reference_field(data.msgid),
    )
    return unsealed(
        headers,
        text_of(MessageKind.ENVELOPE, facts),
        certification=write_daticert(facts),
        original=original,
        boundaries=boundaries,
    )


def anomaly_envelope(
    *,
    at: datetime,
    service_address: str,
    sender: str,
    recipients: Sequence[str],
    subject: str | None,
    reason: Reason,
    arrived: Octets,
    arrived_header: Fields,
    reverse_path: str,
    boundaries: Boundaries,
    notes: Sequence[Reason] = (),
) -> Unsealed:
    """Wrap what arrived without being correct certified mail; nothing about it is certified.

    Args:
        sender: the author's address if it has one, else the reverse path; shown to people, whatever it holds.
        subject: the decoded subject of the arrived message.
        reason: why the data are not certified.
        arrived: the whole message as it arrived, with our own trace line on top.
        arrived_header: its header, for the fields that are copied as they stand.
        reverse_path: of the SMTP transaction, empty for the null path; it becomes the Return-Path.
        notes: what else its reader should know.
    """
    headers = (
        line("Return-Path", f"<{reverse_path}>"),
        _copied(arrived_header, "Received"),
        date(at),
        _from(visible(sender)[:_LONGEST_SHOWN], service_address),
        _reply_to(arrived_header, sender),
        _copied(arrived_header, "To", "Cc", "Message-ID"),
        subject_field(MessageKind.ANOMALY, subject),
        line(X_TRASPORTO, Transport.ANOMALY),
    )
    text = anomaly_text(at=at, subject=subject, sender=sender, recipients=recipients, reason=reason, notes=notes)
    return unsealed(headers, text, certification=None, original=arrived, boundaries=boundaries)


_LONGEST_SHOWN = 320  # characters; the longest path of RFC 5321 4.5.3.1 has 256


def _from(sender: str, service_address: str) -> bytes:
    return mailbox("From", service_address, f"{ON_BEHALF_OF}{sender}")


def _copied(header: Fields, *names: str) -> bytes:
    return b"".join([copied(field) for name in names for field in header.all(name)])


def _reply_to(header: Fields, author: str) -> bytes:
    """The message's own Reply-To; one is made of the author where it says nothing."""
    if any(field.value.strip() for field in header.all("Reply-To")):
        return _copied(header, "Reply-To")
    return line("Reply-To", author) if is_smtp_address(author) else b""
