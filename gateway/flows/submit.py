"""One message through the access point: checked, sealed, kept, in one transaction (RFC 6109 section 3.1, D23)."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.drivers.sources import Clock, Ids
from gateway.flows.draft import Draft
from gateway.flows.effects import Effects, Handover, Lease
from gateway.flows.issue import Issuer
from gateway.flows.outcomes import Submission, SubmitOutcome
from gateway.flows.screening import OneScan, Screening
from gateway.flows.trace_fields import received_at_submission
from gateway.flows.work import LARGE, deliberate, until_settled
from gateway.points.access import AccessRequest, formal_faults
from gateway.points.faults import Fault, in_italian
from gateway.points.screening import Finding
from gateway.storage.engine import Storage
from gateway.storage.sink import ContentSink
from providers.directory import Directory
from receipts.facts import CertificationData, Recipient
from receipts.identifiers import address_key, domain_of
from receipts.octets import WINDOW, InMemory, Octets
from receipts.original import Original, as_seven_bit, read_original, reidentified, seven_bit_pieces
from receipts.scanner import scan
from receipts.wire import CertificationType, ErrorKind, RecipientKind
from receipts.writer import is_seven_bit

__all__ = ["SubmitFlow", "SubmitSettings"]


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
        screening: says whether a message that passed the formal checks is infected; None: nobody looks.
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
        screening: Screening | None = None,
    ) -> None:
        self._storage = storage
        self._directory = directory
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._settings = settings
        self._screening = screening

    async def __call__(self, submission: Submission) -> SubmitOutcome:
        """Accept the message, or file a notice that says why not; both are on disk when this returns.

        Raises:
            TemporaryError: something that a correct act needs is unavailable; nothing was kept.
        """
        ready = replace(submission, message=await self._encoded(submission.message))
        scan = OneScan(self._screening)
        return await until_settled(lambda: self._attempt(ready, submission.message, scan))

    async def _encoded(self, message: Octets) -> Octets:
        """A large message as ``_original`` wants it, written anew to storage: it never stands in memory whole (D20)."""
        if message.size <= LARGE or await asyncio.to_thread(is_seven_bit, message):
            return message
        pieces = _gathered(seven_bit_pieces(message, await asyncio.to_thread(scan, message)))
        sink = ContentSink(self._storage, self._clock.now)
        try:
            while piece := await asyncio.to_thread(next, pieces, b""):
                await sink.write(piece)
            return Octets.whole(await sink.finish())
        except BaseException:
            await sink.abort()
            raise

    async def _attempt(self, submission: Submission, handed_in: Octets, scan: OneScan) -> SubmitOutcome:
        size = submission.message.size
        draft = await deliberate(size, lambda: self._decide(submission))
        if not draft.decided:
            found = await scan.of(draft.original.message)
            await deliberate(size, lambda: self._conclude(draft, found, handed_in))
        keep = draft.keep if submission.holder.visit is None else draft.keep_for_person
        outcome, leased = await self._storage.write(keep, size=draft.effects.size)
        self._handover(leased)
        return outcome

    def _decide(self, submission: Submission) -> Draft:
        at, pec_msgid = self._clock.now(), self._issuer.new_message_id()  # before anything else (AP-05)
        directory = self._directory()
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
        draft = Draft(
            submission=submission,
            original=original,
            facts=self._facts(submission, original, directory, at, pec_msgid),
            directory=directory,
            identity=self._issuer.identity,
            effects=Effects(at=at, ids=self._ids),
            lease=self._settings.lease,
            digest=_repetition_digest(submission, original),
            travels=original.message,
        )
        if faults:
            self._refuse(draft, faults)
        elif self._screening is None:
            self._accept(draft)
        return draft

    def _conclude(self, draft: Draft, found: Finding, handed_in: Octets) -> None:
        """What follows once the scanner has spoken (D15: formal checks first)."""
        if found.reason is not None:
            draft.facts = replace(draft.facts, error=ErrorKind.VIRUS, error_text=found.reason.italian)
            notice = self._issuer.non_acceptance(draft.facts, (found.reason,))
            draft.isolate(notice, handed_in, found.reason.english)
            return
        self._accept(draft)
        if found.remark:
            draft.remark(found.remark)

    def _facts(
        self, submission: Submission, original: Original, directory: Directory, at: datetime, pec_msgid: str
    ) -> CertificationData:
        return CertificationData(
            type=CertificationType.ACCEPTANCE,
            sender=submission.reverse_path,
            recipients=tuple(
                Recipient(address=address, kind=_kind(address, directory))
                for address in _in_order_shown(submission, original)
            ),
            reply_to=original.reply_to or submission.reverse_path,
            subject=original.subject,
            provider=self._issuer.identity.name,
            at=at,
            pec_msgid=pec_msgid,
            msgid=original.msgid,
            receipt_form=original.requested_form,
        )

    def _refuse(self, draft: Draft, faults: tuple[Fault, ...]) -> None:
        draft.facts = replace(draft.facts, error=ErrorKind.OTHER, error_text=in_italian(faults))
        draft.refuse(self._issuer.non_acceptance(draft.facts, faults))

    def _accept(self, draft: Draft) -> None:
        facts, at = draft.facts, draft.facts.at
        received = received_at_submission(
            draft.submission.peer,
            by=self._settings.host,
            token=facts.pec_msgid.partition("@")[0],
            at=at,
            show_address=self._settings.show_address,
        )
        travels = _shared(reidentified(draft.original, facts.pec_msgid, received))
        draft.accept(
            self._issuer.acceptance(facts),
            self._issuer.envelope(facts, travels, draft.original.header, received),
            travels=travels,
            copy=_copy_for_sender(draft.original, travels),
            ordinary_expiry=at + self._settings.ordinary_expiry,
        )


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces worth a thread each."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= WINDOW:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def _original(message: Octets) -> Original:
    """The message as it will be sealed: 8-bit leaves encoded once, before anything is hashed (D12)."""
    root = scan(message)
    if not is_seven_bit(message):
        message = as_seven_bit(message, root)
        root = scan(message)
    return read_original(message, root)


def _kind(address: str, directory: Directory) -> RecipientKind:
    certified = directory.is_certified(domain_of(address))
    return RecipientKind.CERTIFIED if certified else RecipientKind.EXTERNAL


def _in_order_shown(submission: Submission, original: Original) -> tuple[str, ...]:
    """Each forward path once, those in To first, then those in Cc, then what stands in neither (AP-25)."""
    routed: dict[str, str] = {}
    for address in submission.forward_paths:
        routed.setdefault(address_key(address), address)
    shown = [address_key(address) for address in (*original.to, *original.cc)]
    keys = dict.fromkeys([*(key for key in shown if key in routed), *routed])
    return tuple(routed[key] for key in keys)


def _repetition_digest(submission: Submission, original: Original) -> bytes:
    """What makes two submissions of one account the same: msgid, paths and bytes (D4).

    The reverse path counts, for a message refused under one address may well be accepted under another.
    """
    digest = hashlib.sha256(original.message.sha256())
    recipients = sorted(map(address_key, submission.forward_paths))
    for word in (original.msgid or "", address_key(submission.reverse_path), *recipients):
        digest.update(b"\0" + word.encode("utf-8", "surrogateescape"))
    return digest.digest()


def _shared(message: Octets) -> Octets:
    """A small message as a content of its own, so that envelope, Sent and complete receipts can share it."""
    if message.size > LARGE:
        return message
    return Octets.whole(InMemory.of(message.read()))


def _copy_for_sender(original: Original, travels: Octets) -> Octets:
    """The client's own bytes; the body is shared with the original as it travels, whose header alone differs (D35)."""
    body = original.message.size - original.header.stop
    if original.message.size > LARGE:
        return original.message
    return Octets.of(original.message.slice(0, original.header.stop), travels.slice(travels.size - body))
