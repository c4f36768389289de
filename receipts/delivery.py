"""The delivery receipt in its three forms: complete, brief, concise (RFC 6109 section 3.3.2)."""

from receipts.facts import CertificationData
from receipts.notifications import notification, stated
from receipts.octets import Octets
from receipts.wire import CertificationType, ReceiptForm
from receipts.writer import Boundaries, Unsealed

__all__ = ["delivery_receipt"]


def delivery_receipt(
    data: CertificationData,
    *,
    form: ReceiptForm,
    original: Octets | None,
    service_address: str,
    message_id: str,
    boundaries: Boundaries,
) -> Unsealed:
    """Tell the sender that the message stands in one recipient's mailbox.

    Args:
        data: the facts about the message; ``delivered_to`` is the recipient, ``receipt_form`` what the sender asked
            for, which may be another form than the one issued.
        form: the form issued.
        original: for the complete form the message inside the envelope, for the brief one its ``brief_copy``; the
            concise form carries none, whatever is given.
        message_id: the receipt's own, without angle brackets.

    Raises:
        ValueError: the recipient is missing, or the original where the form needs one.
    """
    if data.delivered_to is None:
        raise ValueError("a delivery receipt needs the recipient")
    if form is ReceiptForm.CONCISE:
        original = None
    elif original is None:
        raise ValueError(f"a delivery receipt of the form {form} needs the original message")
    facts = stated(
        data,
        CertificationType.DELIVERY,
        receipt_form=data.receipt_form or ReceiptForm.COMPLETE,
        delivered_to=data.delivered_to,
    )
    return notification(
        facts,
        service_address=service_address,
        to=data.sender,
        message_id=message_id,
        boundaries=boundaries,
        form=form,
        original=original,
    )
