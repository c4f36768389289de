"""What has arrived: taken apart, verified, recognised, named (RFC 6109 section 2.2.2, IP-01 to IP-06)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.flows.outcomes import Arrival
from gateway.flows.work import LARGE
from gateway.points.incoming import ArrivalKind, arrival_kind
from providers.chains import ChainCache, Trust
from providers.checks import CheckName
from providers.directory import Directory, ProviderRecord
from providers.verification import SignatureVerdict, verify_signature
from receipts.octets import InMemory, Octets
from receipts.parts import Part, decode_body
from receipts.recognise import Recognition, recognise
from receipts.scanner import scan

__all__ = ["Inspection", "Inspector"]

ENCODED = frozenset({"base64", "quoted-printable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """An arrival and everything that was found out about it."""

    arrival: Arrival
    at: datetime
    message: Octets  # the arrival's bytes; an original inside is a span of its own, to be shared
    root: Part
    verdict: SignatureVerdict
    recognition: Recognition
    kind: ArrivalKind
    original: Octets | None  # the message inside, decoded if the other provider encoded it

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

    def __init__(self, trust: Trust, directory: Callable[[], Directory]) -> None:
        self._trust = trust
        self._directory = directory
        self._cache = ChainCache()

    def inspect(self, arrival: Arrival, at: datetime) -> Inspection:
        """Raises TemporaryError while the index is not known: then nothing may be judged (promise 5)."""
        directory = self._directory()
        root = scan(arrival.message)
        verdict = verify_signature(
            arrival.message, root, trust=self._trust, directory=directory, at=at, cache=self._cache
        )
        recognition = recognise(arrival.message, root)
        conforms = recognition.conforms and _holds(verdict, CheckName.STRUCTURE) and _holds(verdict, CheckName.EMAIL)
        kind = arrival_kind(proven=verdict.proven, kind=recognition.kind, conforms=conforms)
        message, original = _split(arrival.message, recognition.original)
        return Inspection(
            arrival=arrival,
            at=at,
            message=message,
            root=root,
            verdict=verdict,
            recognition=recognition,
            kind=kind,
            original=original,
        )


def _holds(verdict: SignatureVerdict, name: CheckName) -> bool:
    check = verdict.check(name)
    return check is not None and check.ok is True


def _split(message: Octets, part: Part | None) -> tuple[Octets, Octets | None]:
    """The message with the original inside it as a span of its own, and that original."""
    if part is None:
        return message, None
    if part.encoding in ENCODED:
        return message, Octets.of(decode_body(part, message))
    original = message.slice(part.body_start, part.stop)
    if message.size <= LARGE and original.size:
        original = Octets.whole(InMemory.of(original.read()))
    return Octets.of(message.slice(0, part.body_start), original, message.slice(part.stop)), original
