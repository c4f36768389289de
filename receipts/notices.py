"""The notices that tell a sender, or its provider, what could not be done (RFC 6109 chapter 3)."""

from collections.abc import Sequence

from receipts.facts import CertificationData
from receipts.notifications import notification, stated
from receipts.texts import Reason
from receipts.wire import CertificationType, ErrorKind
from receipts.writer import Boundaries, Unsealed

__all__ = ["non_acceptance_notice", "non_delivery_notice", "virus_notice"]


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
            "5.1.1 - provider - reason", ``error`` is never ``NONE``. With ``ErrorKind.VIRUS`` it is the notice about a
            virus that the recipient's provider found (3.2.4).
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


def virus_notice(
    data: CertificationData,
    *,
    service_address: str,
    to: str,
    message_id: str,
    boundaries: Boundaries,
    reasons: Sequence[Reason] = (),
) -> Unsealed:
    """Tell the sender's provider that a virus was found in a message for one of our recipients (3.2.3).

    It goes to the provider alone: the sender hears of it from there.

    Args:
        data: the facts about the message; ``delivered_to`` is the recipient, ``error_text`` names what was found.
        to: the service mailbox (``mailReceipt``) of the provider that signed the message.
        message_id: the notice's own, without angle brackets.
        reasons: what the text shows in place of ``data.error_text``.

    Raises:
        ValueError: error text or recipient are missing.
    """
    if not data.error_text or data.delivered_to is None:
        raise ValueError("a virus notice needs what was found and the recipient")
    facts = stated(
        data,
        CertificationType.VIRUS,
        error=ErrorKind.VIRUS,
        delivered_to=data.delivered_to,
        error_text=data.error_text,
    )
    return notification(
        facts,
        service_address=service_address,
        to=to,
        message_id=message_id,
        boundaries=boundaries,
        reasons=reasons,
    )
