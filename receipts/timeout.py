"""The timeout notice: nothing was heard of a message by one of its two deadlines (RFC 6109 section 3.1.6)."""

from collections.abc import Sequence

from receipts.facts import CertificationData, Deadline
from receipts.notifications import notification, stated
from receipts.texts import Reason
from receipts.wire import CertificationType, ErrorKind
from receipts.writer import Boundaries, Unsealed

__all__ = ["timeout_notice"]


def timeout_notice(
    data: CertificationData,
    deadline: Deadline,
    *,
    service_address: str,
    message_id: str,
    boundaries: Boundaries,
    reasons: Sequence[Reason] = (),
) -> Unsealed:
    """Tell the sender that one recipient's provider has confirmed nothing yet, or that it counts as failed now.

    It goes to the sender: the RFC prints the recipient in its place, against its own section 2.1.

    Args:
        data: the facts about the message; ``delivered_to`` is the recipient, ``error_text`` has the form
            "5.4.1 - provider - reason". The ``errore`` is always ``altro``: the DTD names none for this type.
        deadline: the one that has passed; text and error text tell the two notices apart, the header does not.
        message_id: the notice's own, without angle brackets.
        reasons: what the text shows in place of ``data.error_text``.

    Raises:
        ValueError: error text or recipient are missing.
    """
    if not data.error_text or data.delivered_to is None:
        raise ValueError("a timeout notice needs the recipient and its error text")
    facts = stated(
        data,
        CertificationType.TIMEOUT,
        error=ErrorKind.OTHER,
        delivered_to=data.delivered_to,
        error_text=data.error_text,
    )
    return notification(
        facts,
        service_address=service_address,
        to=data.sender,
        message_id=message_id,
        boundaries=boundaries,
        deadline=deadline,
        reasons=reasons,
    )
