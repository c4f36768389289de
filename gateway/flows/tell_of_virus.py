"""The last step of a virus found elsewhere: our own user hears that the message was not delivered (RFC 6109 3.2.4)."""

from gateway.drivers.sources import Ids
from gateway.flows.effects import Effects, stored_form
from gateway.flows.entries import emission, entry_about
from gateway.flows.inspection import Inspection
from gateway.flows.issue import Issuer
from gateway.flows.take_receipt import Follows, nothing_follows
from gateway.points.incoming import may_report_on
from gateway.storage.accounts import MailboxRef
from gateway.storage.certified import CertifiedMessage
from gateway.storage.register import Event
from receipts.facts import CertificationData, Recipient
from receipts.wire import CertificationType, ErrorKind

__all__ = ["telling_of_virus"]

UNNAMED = "virus"
LONGEST = 300
"""Characters of another provider's words that stand in our notice."""


def telling_of_virus(
    inspection: Inspection,
    issuer: Issuer,
    ids: Ids,
    effects: Effects,
    *,
    sent: CertifiedMessage | None,
    box: MailboxRef | None,
) -> Follows:
    """What follows a virus notice, recipient by recipient, if the state of that recipient changes by it.

    What nobody can be told of is an alarm in ``effects``; that our own scanner let something pass is one too (VIR-06).

    Args:
        sent: the message it speaks of, if that is one of ours.
        box: of its sender.
    """
    data = inspection.recognition.data
    assert data is not None
    name, provider = (data.error_text or UNNAMED)[:LONGEST], inspection.provider

    def alarm(address: str, detail: str) -> None:
        effects.register(
            entry_about(
                data, Event.ALARM, at=inspection.at, provider=provider.name, recipients=(address,), detail=detail
            )
        )

    def follows(address: str) -> Effects | None:
        addressed = None if sent is None else sent.recipient(address)
        if sent is None or addressed is None:
            alarm(address, "virus notice about a message or a recipient that is not ours")
            return None
        alarm(address, f"{provider.name} found in a message of ours what we let pass: {name}")
        if box is None:
            alarm(address, "nobody to tell of a virus")
            return None
        return _told(_facts(inspection, issuer, sent, addressed.address, name), issuer, ids, box)

    if data.delivered_to is None or not may_report_on(data.delivered_to, provider):
        return nothing_follows  # it is an alarm already, or speaks of nobody
    return follows


def _facts(
    inspection: Inspection, issuer: Issuer, sent: CertifiedMessage, address: str, name: str
) -> CertificationData:
    """Of the message as we know it: another provider's notice adds what was found, and where."""
    return CertificationData(
        type=CertificationType.NON_DELIVERY,
        error=ErrorKind.VIRUS,
        sender=sent.sender,
        recipients=tuple(Recipient(address=each.address, kind=each.kind) for each in sent.recipients),
        reply_to=sent.reply_to,
        subject=sent.subject,
        provider=issuer.identity.name,
        at=inspection.at,
        pec_msgid=sent.pec_msgid,
        msgid=sent.msgid,
        delivered_to=address,
        error_text=name,
    )


def _told(facts: CertificationData, issuer: Issuer, ids: Ids, box: MailboxRef) -> Effects:
    """The notice in the sender's mailbox, and the register's word of it."""
    effects, ours = Effects(at=facts.at, ids=ids), issuer.identity
    issued = issuer.non_delivery(facts)
    effects.file(
        box.id,
        stored_form(issued.message, ours.service_address),
        kind=issued.kind,
        reverse_path=ours.service_address,
        pec_msgid=facts.pec_msgid,
    )
    effects.register(emission(facts, issued, at=facts.at, provider=ours.name, recipients=(facts.delivered_to or "",)))
    return effects
