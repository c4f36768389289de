"""A decided submission: what will be kept of it, and the facts that must still hold when it is (D23)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.flows.effects import Effects, Lease, Leased, stored_form
from gateway.flows.entries import REPEATED, emission, entry_about
from gateway.flows.issue import Identity, Issued
from gateway.flows.journal import allowed, entry_of
from gateway.flows.outcomes import Accepted, NotAccepted, RightWithdrawn, Submission, SubmitOutcome
from gateway.points.marks import Mark
from gateway.points.sharing import Act
from gateway.points.tracking import RecipientState
from gateway.storage import appends, certified, journal, register
from gateway.storage.certified import NewCertifiedMessage, NewRecipient
from gateway.storage.errors import Conflict
from gateway.storage.mailboxes import Folder, sent_token
from gateway.storage.quarantine import NewQuarantined
from gateway.storage.register import Event, RegisterEntry
from providers.directory import Directory
from receipts.facts import CertificationData, Recipient
from receipts.identifiers import address_key, domain_of
from receipts.octets import Octets
from receipts.original import Original
from receipts.wire import MessageKind, RecipientKind

__all__ = ["SENT", "Draft"]

REPEATED_WITHIN = timedelta(hours=24)  # D4
SENT = "sent"
"""Kind of the sender's own copy in a mailbox."""
MOST_SUBJECT = 200  # characters in the journal of a shared box
MOST_RECIPIENTS = 100  # named there
SUBMISSION = "submission"
"""Kind of a holder's message in the virus store."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """Exactly one of ``accept``, ``refuse`` and ``isolate`` is called before ``keep``."""

    submission: Submission
    original: Original
    facts: CertificationData
    directory: Directory
    identity: Identity
    effects: Effects
    lease: Lease
    digest: bytes  # of the submission, to know it again (D4)
    travels: Octets  # the original as it is kept: as sealed, if it is accepted
    envelope: Octets | None = None  # None: not accepted
    decided: bool = False

    @property
    def _person(self) -> str | None:
        visit = self.submission.holder.visit
        return None if visit is None else visit.person

    def refuse(self, notice: Issued) -> None:
        """File the notice; nothing else happens to the message (AP-17)."""
        self.decided = True
        self.effects.keep_message(self.travels)
        self._file_receipt(notice)
        self._register(Event.REFUSAL, (notice,), self.facts.error_text)

    def isolate(self, notice: Issued, infected: Octets, found: str) -> None:
        """File the notice and keep the message apart, as it was handed in; nobody else hears of it (VIR-01, VIR-02).

        Args:
            found: the name of the virus, or why the message counts as infected.
        """
        self.refuse(notice)
        self.effects.isolate(
            NewQuarantined(
                at=self.facts.at,
                kind=SUBMISSION,
                virus=found,
                pec_msgid=self.facts.pec_msgid,
                sender=self.submission.reverse_path,
                recipients=self.submission.forward_paths,
                subject=self.facts.subject,
                provider=self.identity.name,
                message=infected,
            )
        )
        self.remark(f"{found}; kept in the virus store")

    def remark(self, detail: str) -> None:
        """Register what a scanner said."""
        self._register(Event.SCAN, (), detail)

    def accept(
        self, receipt: Issued, envelope: Issued, travels: Octets, copy: Octets, ordinary_expiry: datetime
    ) -> None:
        """File the receipt and the sender's copy, send the envelope to each recipient.

        Args:
            travels: the original as it stands inside the envelope.
            copy: the original as the sender handed it in.
            ordinary_expiry: until when the envelope waits for the servers of ordinary recipients.
        """
        self.decided = True
        self.travels, self.envelope = travels, envelope.message
        self.effects.keep_message(travels)
        self._file_receipt(receipt)
        self.effects.file(
            self.submission.holder.mailbox_id,
            copy,
            kind=SENT,
            folder=Folder.SENT,
            flags=Mark.SEEN | Mark.CERTIFIED | Mark.ACCEPTED,
            reverse_path=self.submission.reverse_path,
            pec_msgid=self.facts.pec_msgid,
            token=sent_token(self.facts.pec_msgid),
        )
        for recipient in self.facts.recipients:
            in_index = recipient.kind is RecipientKind.CERTIFIED
            self.effects.send(
                envelope.message,
                kind=MessageKind.ENVELOPE,
                reverse_path=self.submission.reverse_path,
                forward_path=recipient.address,
                certified=in_index,
                about=self.facts,
                expires_at=None if in_index else ordinary_expiry,
            )
        self._register(Event.SUBMISSION, (receipt, envelope), None)

    def keep(self, connection: Connection) -> tuple[SubmitOutcome, tuple[Leased, ...]]:
        """The transaction. Raises Conflict if a fact that was decided on holds no longer."""
        holder, at = self.submission.holder, self.facts.at
        there = appends.sender_of(connection, holder.account_id, holder.mailbox_id, self.facts.msgid, at)
        if there is None:
            raise Conflict("the account is no longer active")
        since = at - REPEATED_WITHIN
        earlier = certified.find_submission(connection, holder.account_id, self.digest, since)
        if earlier is not None:
            register.append(connection, [self._repeated(earlier)])
            return _outcome_of(connection, earlier), ()
        kept = self.effects.perform(connection, self.lease, without=self._kept_by_client(connection, there.appended))
        certified.record_submission(connection, holder.account_id, self.digest, self.facts.pec_msgid, at, since)
        certified.add_message(connection, self._message(kept.body_id))
        return _outcome(self.facts.pec_msgid, accepted=self.envelope is not None), kept.leased

    def keep_for_person(self, connection: Connection) -> tuple[SubmitOutcome, tuple[Leased, ...]]:
        """The transaction in a box that is shared (D35). Raises RightWithdrawn too."""
        holder, visit = self.submission.holder, self.submission.holder.visit
        assert visit is not None
        if not allowed(connection, visit, Act.SEND):
            raise RightWithdrawn("no right to send any more")
        outcome, leased = self.keep(connection)
        facts = {
            "pec_msgid": outcome.pec_msgid,
            "accepted": isinstance(outcome, Accepted),
            "subject": (self.facts.subject or "")[:MOST_SUBJECT],
            "recipients": [recipient.address for recipient in self.facts.recipients[:MOST_RECIPIENTS]],
            "recipients_in_all": len(self.facts.recipients),
        }
        journal.add(connection, entry_of(visit, holder.mailbox_id, Act.SEND, self.facts.at, facts=facts))
        return outcome, leased

    def _kept_by_client(self, connection: Connection, appended: str | None) -> str | None:
        """The opaque id of our copy for Sent, if the client has put its own there: then that one is ours (D35)."""
        pec_msgid = self.facts.pec_msgid
        if appended is None or self.envelope is None:
            return None
        marks = Mark.CERTIFIED | Mark.ACCEPTED
        taken = appends.become_sent(connection, self.submission.holder.mailbox_id, appended, pec_msgid, marks)
        return sent_token(pec_msgid) if taken else None

    def _repeated(self, pec_msgid: str) -> RegisterEntry:
        """That the holder handed the same message in again, which makes nothing new (D4)."""
        return entry_about(
            replace(self.facts, pec_msgid=pec_msgid),
            Event.SUBMISSION,
            at=self.facts.at,
            provider=self.identity.name,
            account=self.submission.holder.address,
            detail=REPEATED,
            person=self._person,
        )

    def _message(self, body_id: Callable[[Octets], int]) -> NewCertifiedMessage:
        primary = {address_key(address) for address in self.original.to}
        recipients = () if self.envelope is None else self.facts.recipients
        return NewCertifiedMessage(
            pec_msgid=self.facts.pec_msgid,
            msgid=self.facts.msgid,
            account_id=self.submission.holder.account_id,
            sender=self.facts.sender,
            reply_to=self.facts.reply_to,
            subject=self.facts.subject,
            receipt_form=self.original.requested_form,
            at=self.facts.at,
            original_body_id=body_id(self.travels),
            envelope_body_id=None if self.envelope is None else body_id(self.envelope),
            recipients=tuple(
                self._recipient(recipient, "to" if address_key(recipient.address) in primary else "cc")
                for recipient in recipients
            ),
        )

    def _recipient(self, recipient: Recipient, role: str) -> NewRecipient:
        provider = self.directory.by_domain(domain_of(recipient.address))
        return NewRecipient(
            address=recipient.address,
            kind=recipient.kind,
            role=role,
            provider=None if provider is None else provider.name,
            state=RecipientState.ACCEPTED if recipient.kind is RecipientKind.CERTIFIED else RecipientState.EXTERNAL,
        )

    def _file_receipt(self, issued: Issued) -> None:
        self.effects.file(
            self.submission.holder.mailbox_id,
            stored_form(issued.message, self.identity.service_address),
            kind=issued.kind,
            reverse_path=self.identity.service_address,
            pec_msgid=self.facts.pec_msgid,
        )

    def _register(self, event: Event, issued: tuple[Issued, ...], detail: str | None) -> None:
        at, provider = self.facts.at, self.identity.name
        entry = entry_about(
            self.facts,
            event,
            at=at,
            provider=provider,
            related=tuple(each.message_id for each in issued),
            account=self.submission.holder.address,
            detail=detail,
            person=self._person,
        )
        self.effects.register(entry)
        for each in issued:
            self.effects.register(emission(self.facts, each, at=at, provider=provider))


def _outcome_of(connection: Connection, pec_msgid: str) -> SubmitOutcome:
    """What an earlier submission was told."""
    earlier = certified.find_message(connection, pec_msgid)
    return _outcome(pec_msgid, accepted=earlier is not None and earlier.envelope_body_id is not None)


def _outcome(pec_msgid: str, *, accepted: bool) -> SubmitOutcome:
    return Accepted(pec_msgid) if accepted else NotAccepted(pec_msgid)
