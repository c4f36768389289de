"""The acceptance receipt: the message has entered certified mail (RFC 6109 section 3.1.4)."""

from receipts.facts import CertificationData
from receipts.notifications import notification, stated
from receipts.wire import CertificationType
from receipts.writer import Boundaries, Unsealed

__all__ = ["acceptance_receipt"]


def acceptance_receipt(
    data: CertificationData, *, service_address: str, message_id: str, boundaries: Boundaries
) -> Unsealed:
    """Tell the sender that the message was accepted, and for each recipient whether its domain is certified.

    Args:
        data: the facts about the message, of any type: those that an acceptance receipt does not state are left out.
        message_id: the receipt's own, without angle brackets.
    """
    return notification(
        stated(data, CertificationType.ACCEPTANCE),
        service_address=service_address,
        to=data.sender,
        message_id=message_id,
        boundaries=boundaries,
    )
