"""Rows of the register about a certified message: what LOG-01 asks for, taken from its certification data."""

from collections.abc import Sequence
from datetime import datetime

from gateway.flows.issue import Issued
from gateway.storage.register import Event, RegisterEntry
from receipts.facts import CertificationData

__all__ = ["REPEATED", "emission", "entry_about"]

REPEATED = "it came before: nothing is done again"


def entry_about(
    data: CertificationData,
    event: Event,
    *,
    at: datetime,
    provider: str,
    recipients: Sequence[str] | None = None,
    related: tuple[str, ...] = (),
    account: str | None = None,
    detail: str | None = None,
    person: str | None = None,
) -> RegisterEntry:
    """One event in the life of a message.

    Args:
        at: the instant of the transaction, which is not that of ``data`` when these came from elsewhere.
        provider: who sent what the event is about.
        recipients: those whom the event concerns; all of the message if left out.
        related: identifiers of the messages that the event made.
        account: that acted.
        person: who acted for it, where several may.
    """
    everybody = tuple(recipient.address for recipient in data.recipients)
    return RegisterEntry(
        event=event,
        at=at,
        pec_msgid=data.pec_msgid,
        msgid=data.msgid,
        sender=data.sender,
        recipients=everybody if recipients is None else tuple(recipients),
        subject=data.subject,
        provider=provider,
        related=related,
        account=account,
        detail=detail,
        person=person,
    )


def emission(
    data: CertificationData, issued: Issued, *, at: datetime, provider: str, recipients: Sequence[str] | None = None
) -> RegisterEntry:
    """That a receipt, notice or envelope about the message was issued (LOG-03)."""
    return entry_about(
        data,
        Event.EMISSION,
        at=at,
        provider=provider,
        recipients=recipients,
        related=(issued.message_id,),
        detail=issued.kind,
    )
