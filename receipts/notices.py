"""The notices that tell a sender what could not be done (RFC 6109 sections 3.1.2, 3.1.3, 3.2.4 and 3.3.3)."""

from collections.abc import Sequence

from receipts.facts import CertificationData
from receipts.notifications import notification, stated
from receipts.texts import Reason
from receipts.wire import CertificationType, ErrorKind
from receipts.writer import Boundaries, Unsealed

__all__ = ["non_acceptance_notice", "non_delivery_notice"]


def non_acceptance_notice(
    data: CertificationData,
    *,
    service_address: str,
    message_id: str,
    boundaries: Boundaries,
    reasons: Sequence[Reason] = (),
) -> Unsealed:
    """Tell the sender that the message was not accepted, and why; nobody receives it.

    Args:
        data: the facts about the message; ``error_text`` goes into the certification data. With ``ErrorKind.VIRUS``
            it is the notice about a virus, with any other error the one about formal checks.
        message_id: the notice's own, without angle brackets.
        reasons: every fault, in words the sender can act on; without them the text shows ``data.error_text``.

    Raises:
        ValueError: ``data.error_text`` is missing.
    """
    if not data.error_text:
        raise ValueError("a non-acceptance notice needs its reason")
    error = ErrorKind.VIRUS if data.error is ErrorKind.VIRUS else ErrorKind.OTHER
    return notification(
        stated(data, CertificationType.NON_ACCEPTANCE, error=error, error_text=data.error_text),
        service_address=service_address,
        to=data.sender,
        message_id=message_id,
        boundaries=boundaries,
        reasons=reasons,
    )


def non_delivery_notice(
    data: CertificationData,
    *,
    service_address: str,
    message_id: str,
    boundaries: Boundaries,
    reasons: Sequence[Reason] = (),
) -> Unsealed:
    """Tell the sender that the message could not be delivered to one recipient.

    Args:
        data: the facts about the message; ``delivered_to`` is the recipient, ``error_text`` has the form
            "5.1.1 - provider - reason", ``error`` is never ``NONE``.
        message_id: the notice's own, without angle brackets.
        reasons: what the text shows in place of ``data.error_text``.

    Raises:
        ValueError: error, error text or recipient are missing.
    """
    if data.error is ErrorKind.NONE or not data.error_text or data.delivered_to is None:
        raise ValueError("a non-delivery notice needs an error, its text and the recipient")
    facts = stated(
        data,
        CertificationType.NON_DELIVERY,
        error=data.error,
        delivered_to=data.delivered_to,
        error_text=data.error_text,
    )
    return notification(
        facts,
        service_address=service_address,
        to=data.sender,
        message_id=message_id,
        boundaries=boundaries,
        reasons=reasons,
    )
