"""The take-charge receipt, from provider to provider: we answer for these recipients now (RFC 6109 section 3.2.1)."""

from receipts.facts import CertificationData
from receipts.notifications import notification, stated
from receipts.wire import CertificationType
from receipts.writer import Boundaries, Unsealed

__all__ = ["take_charge_receipt"]


def take_charge_receipt(
    data: CertificationData, *, service_address: str, to: str, message_id: str, boundaries: Boundaries
) -> Unsealed:
    """Tell the sending provider which recipients of one SMTP transaction are in our hands.

    Args:
        data: the facts about the message; ``taken_for`` are the local recipients of the transaction.
        to: the service mailbox (``mailReceipt``) of the sending provider; users never see this receipt.
        message_id: the receipt's own, without angle brackets.

    Raises:
        ValueError: ``data.taken_for`` is empty.
    """
    if not data.taken_for:
        raise ValueError("a take-charge receipt needs the recipients it covers")
    return notification(
        stated(data, CertificationType.TAKE_CHARGE, taken_for=data.taken_for),
        service_address=service_address,
        to=to,
        message_id=message_id,
        boundaries=boundaries,
    )
