"""One message through the access point: checked, sealed, kept, in one transaction (RFC 6109 section 3.1, D23)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows.effects import Effects, Handover, Lease, Leased, stored_form
from gateway.flows.issue import Issuer
from gateway.flows.outcomes import Accepted, NotAccepted, Submission, SubmitOutcome
from gateway.flows.trace_fields import received_at_submission
from gateway.flows.work import LARGE, deliberate, until_settled
from gateway.points.access import AccessRequest, formal_faults
from gateway.points.faults import Fault, in_italian
from gateway.points.tracking import RecipientState
from gateway.storage import accounts, certified
from gateway.storage.certified import NewCertifiedMessage, NewRecipient
from gateway.storage.engine import Storage
from gateway.storage.errors import Conflict
from gateway.storage.mailboxes import Folder
from gateway.storage.register import Event, RegisterEntry
from providers.directory import Directory
from receipts.facts import CertificationData, Recipient
from receipts.identifiers import address_key, domain_of
from receipts.octets import InMemory, Octets
from receipts.original import Original, as_seven_bit, read_original, reidentified
from receipts.scanner import scan
from receipts.wire import CertificationType, ErrorKind, MessageKind, RecipientKind
from receipts.writer import is_seven_bit

__all__ = ["SENT", "SubmitFlow", "SubmitSettings"]

REPEATED_WITHIN = timedelta(hours=24)  # D4
SENT = "sent"
"""Kind of the sender's own copy in a mailbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitSettings:
    host: str  # by which name Received calls us
    max_total_bytes: int
    show_address: bool  # of the holder, in Received
    lease: Lease
    ordinary_expiry: timedelta  # how long a copy for an ordinary recipient waits for its server


class SubmitFlow:
    """The access point of one provider.

    Args:
        directory: gives the certified providers as known now; raises TemporaryError while they are not known.
        handover: is told of new outbox rows after their commit.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        directory: Callable[[], Directory],
        issuer: Issuer,
        clock: Clock,
        ids: Ids,
        handover: Handover,
        settings: SubmitSettings,
    ) -> None:
        self._storage = storage
        self._directory = directory
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._settings = settings

    async def __call__(self, submission: Submission) -> SubmitOutcome:
        """Accept the message, or file a notice that says why not; both are on disk when this returns.

        Raises:
            TemporaryError: something that a correct act needs is unavailable; nothing was kept.
        """
        return await until_settled(lambda: self._attempt(submission))

    async def _attempt(self, submission: Submission) -> SubmitOutcome:
        draft = await deliberate(submission.message.size, lambda: self._decide(submission))
        outcome, leased = await self._storage.write(draft.keep, size=draft.effects.size)
        self._handover(leased)
        return outcome

    def _decide(self, submission: Submission) -> "_Draft":
        at = self._clock.now()
        original = _original(submission.message)
        faults = formal_faults(
            AccessRequest(
                header=original.header,
                reverse_path=submission.reverse_path,
                forward_paths=submission.forward_paths,
                size=original.message.size,
                max_total_bytes=self._settings.max_total_bytes,
            )
        )
        facts = self._facts(submission, original, at)
        draft = _Draft(
            submission=submission,
            original=original,
            facts=facts,
            directory=self._directory(),
            effects=Effects(at=at, ids=self._ids),
            lease=self._settings.lease,
            digest=_repetition_digest(submission, original),
        )
        if faults:
            self._refuse(draft, faults)
        else:
            self._accept(draft)
        return draft

    def _facts(self, submission: Submission, original: Original, at: datetime) -> CertificationData:
        directory = self._directory()
        return CertificationData(
            type=CertificationType.ACCEPTANCE,
            sender=submission.reverse_path,
            recipients=tuple(
                Recipient(
                    address=address,
                    kind=RecipientKind.CERTIFIED
                    if directory.is_certified(domain_of(address))
                    else RecipientKind.EXTERNAL,
                )
                for address in _in_order_shown(submission, original)
            ),
            reply_to=original.reply_to or submission.reverse_path,
            subject=original.subject,
            provider=self._issuer.identity.name,
            at=at,
            pec_msgid=self._issuer.new_message_id(),
            msgid=original.msgid,
            receipt_form=original.requested_form,
        )

    def _refuse(self, draft: "_Draft", faults: tuple[Fault, ...]) -> None:
        facts = replace(draft.facts, error=ErrorKind.OTHER, error_text=in_italian(faults))
        notice = self._issuer.non_acceptance(facts, faults)
        draft.refused(notice.kind, notice.message_id, notice.message, self._issuer.identity.service_address)

    def _accept(self, draft: "_Draft") -> None:
        facts, at = draft.facts, draft.facts.at
        received = received_at_submission(
            draft.submission.peer,
            by=self._settings.host,
            token=facts.pec_msgid.partition("@")[0],
            at=at,
            show_address=self._settings.show_address,
        )
        sealed = _shared(reidentified(draft.original, facts.pec_msgid, received))
        receipt = self._issuer.acceptance(facts)
        envelope = self._issuer.envelope(facts, sealed, draft.original.header, received)
        draft.accepted(
            receipt=receipt.message,
            receipt_id=receipt.message_id,
            envelope=envelope.message,
            sealed=sealed,
            service_address=self._issuer.identity.service_address,
            ordinary_expiry=at + self._settings.ordinary_expiry,
        )


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A decided submission: what will be kept, and the facts that must still hold when it is."""

    submission: Submission
    original: Original
    facts: CertificationData
    directory: Directory
    effects: Effects
    lease: Lease
    digest: bytes
    sealed: Octets | None = None  # the original as it travels
    envelope: Octets | None = None  # None: not accepted

    def refused(self, kind: MessageKind, notice_id: str, notice: Octets, service_address: str) -> None:
        self.sealed = self.original.message
        self._file(notice, kind, service_address)
        self._register(Event.REFUSAL, (notice_id,), self.facts.error_text)

    def accepted(
        self,
        *,
        receipt: Octets,
        receipt_id: str,
        envelope: Octets,
        sealed: Octets,
        service_address: str,
        ordinary_expiry: datetime,
    ) -> None:
        self.sealed, self.envelope = sealed, envelope
        self._file(receipt, MessageKind.ACCEPTANCE, service_address)
        self.effects.file(
            self.submission.holder.mailbox_id,
            _copy_for_sender(self.original, sealed),
            kind=SENT,
            folder=Folder.SENT,
            reverse_path=self.submission.reverse_path,
            pec_msgid=self.facts.pec_msgid,
        )
        for recipient in self.facts.recipients:
            certified_domain = recipient.kind is RecipientKind.CERTIFIED
            self.effects.send(
                envelope,
                kind=MessageKind.ENVELOPE,
                reverse_path=self.submission.reverse_path,
                forward_path=recipient.address,
                certified=certified_domain,
                pec_msgid=self.facts.pec_msgid,
                expires_at=None if certified_domain else ordinary_expiry,
            )
        self._register(Event.SUBMISSION, (receipt_id, self.facts.pec_msgid), None)

    def keep(self, connection: Connection) -> tuple[SubmitOutcome, tuple[Leased, ...]]:
        """The transaction. Raises Conflict if a fact that was decided on holds no longer."""
        holder = self.submission.holder
        if not accounts.is_active(connection, holder.account_id):
            raise Conflict("the account is no longer active")
        since = self.facts.at - REPEATED_WITHIN
        earlier = certified.find_submission(connection, holder.account_id, self.digest, since)
        if earlier is not None:
            return _outcome(earlier, accepted=self.envelope is not None), ()
        kept = self.effects.perform(connection, self.lease)
        certified.record_submission(
            connection, holder.account_id, self.digest, self.facts.pec_msgid, self.facts.at, since
        )
        certified.add_message(connection, self._message(kept.body_id))
        return _outcome(self.facts.pec_msgid, accepted=self.envelope is not None), kept.leased

    def _message(self, body_id: Callable[[Octets], int]) -> NewCertifiedMessage:
        assert self.sealed is not None
        return NewCertifiedMessage(
            pec_msgid=self.facts.pec_msgid,
            msgid=self.facts.msgid,
            account_id=self.submission.holder.account_id,
            sender=self.facts.sender,
            reply_to=self.facts.reply_to,
            subject=self.facts.subject,
            receipt_form=self.original.requested_form,
            at=self.facts.at,
            original_body_id=body_id(self.sealed),
            envelope_body_id=None if self.envelope is None else body_id(self.envelope),
            recipients=() if self.envelope is None else tuple(self._recipient(one) for one in self.facts.recipients),
        )

    def _recipient(self, recipient: Recipient) -> NewRecipient:
        primary = {address_key(address) for address in self.original.to}
        provider = self.directory.by_domain(domain_of(recipient.address))
        return NewRecipient(
            address=recipient.address,
            kind=recipient.kind,
            role="to" if address_key(recipient.address) in primary else "cc",
            provider=None if provider is None else provider.name,
            state=RecipientState.ACCEPTED if recipient.kind is RecipientKind.CERTIFIED else RecipientState.EXTERNAL,
        )

    def _file(self, message: Octets, kind: MessageKind, service_address: str) -> None:
        assert self.sealed is not None
        self.effects.keep_message(self.sealed)
        self.effects.file(
            self.submission.holder.mailbox_id,
            stored_form(message, service_address),
            kind=kind,
            reverse_path=service_address,
            pec_msgid=self.facts.pec_msgid,
        )

    def _register(self, event: Event, related: tuple[str, ...], detail: str | None) -> None:
        self.effects.register(
            RegisterEntry(
                event=event,
                at=self.facts.at,
                pec_msgid=self.facts.pec_msgid,
                msgid=self.facts.msgid,
                sender=self.facts.sender,
                recipients=tuple(recipient.address for recipient in self.facts.recipients),
                subject=self.facts.subject,
                provider=self.facts.provider,
                related=related,
                account=self.submission.holder.address,
                detail=detail,
            )
        )


def _outcome(pec_msgid: str, *, accepted: bool) -> SubmitOutcome:
    return Accepted(pec_msgid) if accepted else NotAccepted(pec_msgid)


def _original(message: Octets) -> Original:
    """The message as it will be sealed: 8-bit leaves encoded once, before anything is hashed (D12)."""
    root = scan(message)
    if not is_seven_bit(message):
        message = as_seven_bit(message, root)
        root = scan(message)
    return read_original(message, root)


def _in_order_shown(submission: Submission, original: Original) -> tuple[str, ...]:
    """Each forward path once, those in To first, then those in Cc, then what stands in neither (AP-25)."""
    routed: dict[str, str] = {}
    for address in submission.forward_paths:
        routed.setdefault(address_key(address), address)
    shown = [address_key(address) for address in (*original.to, *original.cc)]
    keys = dict.fromkeys([*(key for key in shown if key in routed), *routed])
    return tuple(routed[key] for key in keys)


def _repetition_digest(submission: Submission, original: Original) -> bytes:
    """What makes two submissions of one account the same: msgid, recipients and bytes (D4)."""
    digest = hashlib.sha256(original.message.sha256())
    for word in (original.msgid or "", *sorted(map(address_key, submission.forward_paths))):
        digest.update(b"\0" + word.encode("utf-8", "surrogateescape"))
    return digest.digest()


def _shared(message: Octets) -> Octets:
    """A small message as a content of its own, so that envelope, Sent and complete receipts can share it."""
    if message.size > LARGE:
        return message
    return Octets.whole(InMemory.of(message.read()))


def _copy_for_sender(original: Original, sealed: Octets) -> Octets:
    """The client's own bytes; the body is shared with the sealed original, whose header alone differs (D35)."""
    body = original.message.size - original.header.stop
    if original.message.size > LARGE:
        return original.message
    return Octets.of(original.message.slice(0, original.header.stop), sealed.slice(sealed.size - body))
