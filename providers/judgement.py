"""The judgement on one file of certified mail: what it is, who sealed it, what it certifies, whether that holds.

Every check that the incoming point makes stands here too, and those that only a reader needs: what the unsigned
header shows must be what was signed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from providers.chains import ChainCache, Trust
from providers.checks import Check, CheckName
from providers.directory import Directory, ProviderRecord
from providers.enclosures import Match, compare_hashes
from providers.likeness import Likeness, differing_fields, likeness
from providers.verification import SignatureVerdict, is_sealed, verify_signature
from receipts.facts import CertificationData
from receipts.fields import decode_words
from receipts.identifiers import address_key, domain_of, parse_address_list
from receipts.octets import Octets
from receipts.parts import Header
from receipts.recognise import Defect, Recognition, recognise
from receipts.scanner import scan, scan_header
from receipts.wire import ON_BEHALF_OF, MessageKind, ReceiptForm

__all__ = ["Judgement", "Verdict", "judge"]

ON_BEHALF_PREFIXES = (ON_BEHALF_OF.strip().lower(), "on behalf of:")
"""In practice the first; the second is how RFC 6109 prints it in 3.1.5."""
MARKER_DEFECTS = frozenset({Defect.NO_MARKER, Defect.SEVERAL_MARKERS, Defect.UNKNOWN_MARKER, Defect.OTHER_TYPE})
AUTHOR_FIELDS = ("From", "Sender", "Reply-To", "Return-Path")

_QUOTED_PAIR = re.compile(r"\\(.)")


Note = tuple[CheckName, str]


class Verdict(StrEnum):
    """The whole judgement in one word, from best to worst."""

    VALID = "valid"  # every check was done and holds
    UNTRUSTED = "untrusted"  # nothing is wrong, but chain or index could not be looked up
    INVALID = "invalid"  # something is wrong
    UNREADABLE = "unreadable"  # no mail with a CMS signature at its root


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known of one file."""

    verdict: Verdict
    recognition: Recognition | None  # None when unreadable
    signature: SignatureVerdict
    checks: tuple[Check, ...]  # those of the signature, then those of the message
    notes: tuple[Note, ...] = ()  # what a reader should know beside a check

    @property
    def annotated(self) -> tuple[Check, ...]:
        """The checks, each with its notes in its detail."""
        return tuple(
            replace(check, detail="; ".join((check.detail, *(text for name, text in self.notes if name is check.name))))
            for check in self.checks
        )


def judge(
    data: bytes,
    *,
    trust: Trust | None,
    directory: Directory | None,
    at: datetime | None = None,
    now: datetime | None = None,
    cache: ChainCache | None = None,
    original: bytes | None = None,
) -> Judgement:
    """Judge the bytes of a mail file.

    Args:
        at: when the certificate has to be valid; None takes the time that the certification data state, else that
            of the signature.
        now: for the note whether the certificate is valid today too.
        original: the message as its sender kept it, to compare the hashes of a brief receipt with.
    """
    data, notes = _with_crlf(data)
    message = Octets.of(data)
    root = scan(message)
    if not is_sealed(root):
        unsealed = verify_signature(message, root, trust=trust, directory=directory, at=at, cache=cache)
        return Judgement(
            verdict=Verdict.UNREADABLE,
            recognition=None,
            signature=unsealed,
            checks=unsealed.checks,
            notes=notes,
        )
    found = recognise(message, root)
    moment, source = _moment(at, found.data)

    def verdict_at(when: datetime | None) -> SignatureVerdict:
        return verify_signature(message, root, trust=trust, directory=directory, at=when, cache=cache)

    signature = verdict_at(moment)
    checks = (*signature.checks, *_message_checks(found, root.header, message, directory, signature.provider))
    if original is not None:
        checks = (*checks, _enclosures(found, message, _with_crlf(original)[0]))
    return Judgement(
        verdict=_verdict(checks),
        recognition=found,
        signature=signature,
        checks=checks,
        notes=(*notes, *_notes(found, signature, source, now, verdict_at)),
    )


def _with_crlf(data: bytes) -> tuple[bytes, tuple[Note, ...]]:
    """Files lose their CR in many mail programs. Only when none is left are they put back: a lost CR is a change."""
    if b"\n" in data and b"\r" not in data:
        return data.replace(b"\n", b"\r\n"), (
            (CheckName.STRUCTURE, "the lines of the file end in LF; it was checked in CRLF form"),
        )
    return data, ()


def _moment(at: datetime | None, data: CertificationData | None) -> tuple[datetime | None, str]:
    if at is not None:
        return at, "as asked"
    if data is not None:
        return data.at, "the time of the signed certification data"
    return None, "the signing time"


def _verdict(checks: Iterable[Check]) -> Verdict:
    results = [check.ok for check in checks]
    if False in results:
        return Verdict.INVALID
    return Verdict.UNTRUSTED if None in results else Verdict.VALID


def _notes(
    found: Recognition,
    signature: SignatureVerdict,
    source: str,
    now: datetime | None,
    verdict_at: Callable[[datetime], SignatureVerdict],
) -> Iterator[Note]:
    if signature.at is not None:
        yield CheckName.VALIDITY, f"judged at {signature.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {source}"
    if now is not None and signature.signer is not None:
        today = verdict_at(now)
        wrong = [
            check
            for name in (CheckName.VALIDITY, CheckName.CHAIN)
            if (check := today.check(name)) and check.ok is False
        ]
        text = f"not valid today: {wrong[0].detail}" if wrong else "valid today"
        yield CheckName.VALIDITY, text
    yield from ((CheckName.FORM, f"unusual: {deviation}") for deviation in found.soft)


def _message_checks(
    found: Recognition,
    header: Header,
    message: Octets,
    directory: Directory | None,
    provider: ProviderRecord | None,
) -> tuple[Check, ...]:
    return (
        _form(found),
        _marker(found),
        _on_behalf(found, header, message),
        _competence(found, directory, provider),
    )


def _form(found: Recognition) -> Check:
    defects = [str(defect) for defect in found.hard if defect not in MARKER_DEFECTS]
    if found.kind is MessageKind.ANOMALY and found.content and found.original is None:
        defects.append("an anomaly envelope does not hold exactly one message")
    return Check(CheckName.FORM, not defects, "; ".join(defects) or "built like a certified message")


def _marker(found: Recognition) -> Check:
    defects = [str(defect) for defect in found.hard if defect in MARKER_DEFECTS]
    if defects:
        return Check(CheckName.MARKER, False, "; ".join(defects))
    if found.data is None and found.kind is not MessageKind.ANOMALY:
        return Check(CheckName.MARKER, None, "there are no certification data to compare with")
    return Check(CheckName.MARKER, True, f"{found.marker} is what was signed")


def _on_behalf(found: Recognition, header: Header, message: Octets) -> Check:
    """Nobody signs the name in From, and people read it first."""
    name = CheckName.ON_BEHALF
    field = header.first("From")
    phrase = _phrase(decode_words(field.value)) if field else ""
    if found.kind not in {MessageKind.ENVELOPE, MessageKind.ANOMALY}:
        if "@" in phrase and address_key(phrase) != address_key(found.from_address or ""):
            return Check(name, False, f"the name in From shows another address: {phrase}")
        return Check(name, True, "the name in From shows no other address")
    prefix = next((prefix for prefix in ON_BEHALF_PREFIXES if phrase.lower().startswith(prefix)), None)
    if prefix is None:
        return Check(name, False, "the name in From does not say on whose behalf")
    shown = phrase[len(prefix) :].strip()
    senders = _senders(found, message)
    if senders and address_key(shown) not in set(map(address_key, senders)):
        return Check(name, False, f"the name in From says {shown}, signed is {senders[0]}")
    return Check(name, True, f"the name in From says {shown}" + (", as signed" if senders else ""))


def _phrase(value: str) -> str:
    """The display name before the address, without its quotes."""
    phrase = value.rpartition("<")[0].strip()
    if len(phrase) >= 2 and phrase[0] == phrase[-1] == '"':
        phrase = _QUOTED_PAIR.sub(r"\1", phrase[1:-1])
    return " ".join(phrase.split())


def _senders(found: Recognition, message: Octets) -> list[str]:
    """Who sent the original, by what is signed: the certification data, else the message in an anomaly envelope."""
    if found.data is not None:
        return [found.data.sender]
    if found.original is None:
        return []
    header = scan_header(message.slice(found.original.body_start, found.original.stop))
    author = header.first("From")
    if author is None or not parse_address_list(author.value).addresses:
        return []
    fields = (field for name in AUTHOR_FIELDS for field in header.all(name))
    return [address for field in fields for address in parse_address_list(field.value).addresses]


def _competence(found: Recognition, directory: Directory | None, provider: ProviderRecord | None) -> Check:
    """Whether the provider may certify this at all (D2)."""
    name = CheckName.COMPETENCE
    if directory is None:
        return Check(name, None, "there is no provider index to look in")
    if provider is None:
        return Check(name, None, "the provider is not known")
    if found.kind is MessageKind.ANOMALY:
        return Check(name, True, "an anomaly envelope certifies nothing")
    if found.data is None or found.kind is None:
        return Check(name, None, "there are no certification data")
    addresses, needs_all = _answered_for(found.kind, found.data)
    foreign = [address for address in addresses if domain_of(address) not in provider.managed_domains]
    if foreign and (needs_all or len(foreign) == len(addresses)):
        return Check(name, False, f"{domain_of(foreign[0])} is not managed by {provider.name}")
    return Check(name, True, f"{provider.name} manages the domain it answers for")


def _answered_for(kind: MessageKind, data: CertificationData) -> tuple[tuple[str, ...], bool]:
    """The addresses whose domain the signer has to manage, and whether all of them or one is enough."""
    recipients = tuple(recipient.address for recipient in data.recipients)
    reported = (data.delivered_to,) if data.delivered_to else recipients
    match kind:
        case MessageKind.TAKE_CHARGE:
            return (data.taken_for, True) if data.taken_for else (recipients, False)
        case MessageKind.DELIVERY | MessageKind.VIRUS:
            return reported, bool(data.delivered_to)
        case MessageKind.NON_DELIVERY:  # the sender's provider issues it too, when the way there fails
            return (*reported, data.sender), False
        case _:
            return (data.sender,), True


def _enclosures(found: Recognition, message: Octets, original: bytes) -> Check:
    name = CheckName.ENCLOSURES
    if found.original is None:
        return Check(name, True, "the message holds no copy of the original, so there is nothing to compare")
    copy = message.slice(found.original.body_start, found.original.stop)
    sent = Octets.of(original)
    compared = compare_hashes(copy, sent)
    if not compared:
        return _whole(copy, sent)
    good = all(each.match in {Match.ENCODED, Match.DECODED} for each in compared)
    brief = found.data is not None and found.data.receipt_form is ReceiptForm.BRIEF
    if not good and not brief:  # files that are called like hash files, in a whole copy
        return _whole(copy, sent)
    return Check(name, good, "; ".join(f"{each.name}: {each.match}" for each in compared))


def _whole(copy: Octets, sent: Octets) -> Check:
    """A copy without hashes is the whole message: a complete receipt, an envelope, a brief receipt without files."""
    name = CheckName.ENCLOSURES
    body, fields = likeness(copy, sent), differing_fields(copy, sent)
    if body is Likeness.DIFFERENT:
        return Check(name, False, "the copy of the original is not this message: its body differs")
    if fields:
        return Check(name, False, f"the copy of the original has other header fields: {', '.join(fields)}")
    return Check(name, True, f"the copy of the original is this message, {body}, but for its identifiers")
