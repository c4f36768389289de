"""Which certificates are to be asked about: those of the index and our own, each with the authorities above it."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from providers.chains import Chain, Trust, verify_chain
from providers.directory import Directory
from providers.revocation import Source, Subject, sources_of

__all__ = ["CertificatePath", "Paths", "Question"]

MOST: Final = 5_000  # certificates; an index of today has some dozens


@dataclass(frozen=True, slots=True)
class Question:
    """One source asked about one certificate."""

    source: Source
    subject: Subject

    @property
    def name(self) -> str:
        """Its name among the downloads. A list serves all certificates of an issuer, an answer serves one."""
        about = self.subject.issuer if self.source.means == "crl" else self.subject.certificate
        return f"{self.source.means}:{hashlib.sha256(about).hexdigest()[:32]}:{self.source.url}"


@dataclass(frozen=True, slots=True)
class CertificatePath:
    """A signing certificate, and what is to be asked about it and about each authority between it and our trust."""

    sha256: str  # of the signing certificate, hexadecimal
    owner: str  # for people
    steps: tuple[tuple[Question, ...], ...]  # from the signing certificate upwards


class Paths:
    """The paths of the moment, found again when the index changes or a new issuing authority was met.

    Only certificates below our trust are looked into: nobody else's URLs are ever asked.

    Args:
        own: the certificate we sign with, and its issuers.
        met: the intermediate authorities of messages verified lately; the index itself holds none.
    """

    def __init__(
        self,
        directory: Callable[[], Directory],
        trust: Trust,
        own: tuple[bytes, ...],
        met: Callable[[], Iterable[bytes]],
    ) -> None:
        self._directory = directory
        self._trust = trust
        self._own = own[0]
        self._met = met
        self._authorities: dict[bytes, None] = dict.fromkeys(own[1:])
        self._found: tuple[CertificatePath, ...] = ()
        self._of: tuple[str, int] | None = None

    def at(self, now: datetime) -> tuple[CertificatePath, ...]:
        """All paths; takes some milliseconds when something has changed. Raises IndexUnknown."""
        directory = self._directory()
        if len(self._authorities) < MOST:
            self._authorities.update(dict.fromkeys(self._met()))
        if self._of != (directory.version, len(self._authorities)):
            self._found = tuple(self._find(directory, now))
            self._of = directory.version, len(self._authorities)
        return self._found

    def _find(self, directory: Directory, now: datetime) -> Iterable[CertificatePath]:
        owners = {der: record.name for record in directory.records for der in record.certificates}
        owners = {self._own: "our own"} | owners | {self._own: "our own"}  # first, and so named
        for der, owner in list(owners.items())[:MOST]:
            chain = verify_chain(der, self._authorities, self._trust, now)
            if chain.ok:
                yield CertificatePath(hashlib.sha256(der).hexdigest(), owner, tuple(_steps(chain)))


def _steps(chain: Chain) -> Iterable[tuple[Question, ...]]:
    """The authority that is trusted itself is not asked about."""
    for certificate, issuer in zip(chain.path, chain.path[1:], strict=False):
        subject = Subject(certificate, issuer)
        yield tuple(Question(source, subject) for source in sources_of(certificate))
