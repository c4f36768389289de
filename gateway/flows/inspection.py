"""What has arrived: taken apart, verified, recognised, named (RFC 6109 section 2.2.2, IP-01 to IP-06)."""

from collections.abc import Callable
from datetime import datetime

from gateway.flows.outcomes import Arrival
from gateway.flows.work import LARGE
from gateway.points.incoming import ArrivalKind, arrival_kind
from providers.chains import ChainCache, Trust
from providers.checks import Check, CheckName
from providers.directory import Directory, ProviderRecord
from providers.standing import Standings
from providers.verification import SignatureVerdict, verify_signature
from receipts.errors import TemporaryError
from receipts.identifiers import domain_of
from receipts.octets import InMemory, Octets
from receipts.parts import BodyError, Part, body_of
from receipts.recognise import Recognition, recognise
from receipts.records import record
from receipts.scanner import scan
from receipts.wire import MessageKind

__all__ = ["Inspection", "Inspector", "original_in"]


class StandingUnknown(TemporaryError):
    """Nobody can say now whether a provider's certificate was revoked, and the provider wants to know."""


ENCODED = frozenset({"base64", "quoted-printable"})
FORM = frozenset({CheckName.STRUCTURE, CheckName.EMAIL})
"""Checks of the signature that a message must pass to conform (D3); the others prove where it comes from."""


@record(kw_only=True)
class Inspection:
    """An arrival and everything that was found out about it."""

    arrival: Arrival
    at: datetime
    message: Octets  # the arrival's bytes; an original inside is a span of its own, to be shared
    root: Part
    verdict: SignatureVerdict
    recognition: Recognition
    kind: ArrivalKind
    original: Octets | None  # the message inside; that of an envelope decoded, if the other provider encoded it
    faults: tuple[str, ...]  # for the operator: why what claims to be certified is not taken so

    @property
    def provider(self) -> ProviderRecord:
        """Who signed it. Only for arrivals whose origin is proven."""
        assert self.verdict.provider is not None
        return self.verdict.provider

    @property
    def signed_sha256(self) -> bytes:
        """The digest of the signed part. Only for arrivals whose origin is proven."""
        assert self.verdict.content_sha256 is not None
        return self.verdict.content_sha256


class Inspector:
    """Verifies with the trust of one provider and the index as known at the moment."""

    def __init__(
        self,
        trust: Trust,
        directory: Callable[[], Directory],
        *,
        standings: Callable[[], Standings] | None = None,
        wait_for_standing: bool = False,
    ) -> None:
        """Beside trust and index:

        Args:
            standings: what is known of revoked certificates; without it nothing is.
            wait_for_standing: put off what a provider signed whose certificate may have been revoked.
        """
        self._trust = trust
        self._directory = directory
        self._standings = standings
        self._wait_for_standing = wait_for_standing
        self._cache = ChainCache()

    def authorities_met(self) -> tuple[bytes, ...]:
        """DER of the authorities between our trust and those who signed lately."""
        return self._cache.authorities()

    def is_certified(self, address: str) -> bool:
        """Whether the domain of an address is a certified provider's. Raises TemporaryError as ``inspect`` does."""
        return self._directory().is_certified(domain_of(address))

    def inspect(self, arrival: Arrival, at: datetime) -> Inspection:
        """Raises TemporaryError while what is needed is not known: then nothing may be judged (promise 5)."""
        directory = self._directory()
        root = scan(arrival.message)
        verdict = verify_signature(
            arrival.message,
            root,
            trust=self._trust,
            directory=directory,
            at=at,
            cache=self._cache,
            standings=None if self._standings is None else self._standings(),
        )
        if self._wait_for_standing and verdict.proven:
            _wait_for(verdict)
        recognition = recognise(arrival.message, root)
        message, original = _split(arrival.message, recognition.original)
        faults = _formal_faults(verdict, recognition)
        if recognition.original is not None and recognition.kind is MessageKind.ENVELOPE:
            try:
                original = original or body_of(recognition.original, message)
            except BodyError as error:
                faults.append(f"the message inside: {error}")
        return Inspection(
            arrival=arrival,
            at=at,
            message=message,
            root=root,
            verdict=verdict,
            recognition=recognition,
            kind=arrival_kind(proven=verdict.proven, kind=recognition.kind, conforms=not faults),
            original=original,
            faults=tuple(faults if verdict.proven else _doubts(verdict, recognition)),
        )


def original_in(message: Octets, recognition: Recognition) -> Octets:
    """The message inside an envelope that conforms."""
    assert recognition.original is not None
    _, original = _split(message, recognition.original)
    return original or body_of(recognition.original, message)


def _wait_for(verdict: SignatureVerdict) -> None:
    check = verdict.check(CheckName.REVOCATION)
    if check is not None and check.ok is None:
        raise StandingUnknown(check.detail)


def _formal_faults(verdict: SignatureVerdict, recognition: Recognition) -> list[str]:
    failed = [check for check in verdict.checks if check.name in FORM and check.ok is not True]
    return [*recognition.hard, *map(_said, failed)]


def _doubts(verdict: SignatureVerdict, recognition: Recognition) -> list[str]:
    """Why the origin of a message that claims to be certified is not proven."""
    return [] if recognition.marker is None else [_said(check) for check in verdict.checks if check.ok is False]


def _said(check: Check) -> str:
    return f"{check.name}: {check.detail}"


def _split(message: Octets, part: Part | None) -> tuple[Octets, Octets | None]:
    """The message with the original inside it as a span of its own, and that original, unless it is encoded."""
    if part is None or part.encoding in ENCODED:
        return message, None
    original = message.slice(part.body_start, part.stop)
    if message.size > LARGE or not original.size:
        return message, original
    original = Octets.whole(InMemory.of(original.read()))
    return Octets.of(message.read(0, part.body_start), original, message.read(part.stop)), original
