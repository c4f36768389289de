"""The index of certified providers (RFC 6109 section 4.5): who manages a domain, whose certificate this is.

What it holds decides what is certified mail at all, so the file comes signed, and its signature is checked at every
load (D6).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from providers.certificates import CertificateError, read_certificate
from providers.chains import Trust, verify_chain
from providers.cms import CmsError, SignedData, SignerInfo, read_signed_data
from providers.ldif import LdifFault, read_ldif
from providers.records import ProviderRecord, RecordRefused, is_provider, read_record, write_ldif
from providers.sealing import Signer, signed_data
from providers.signatures import check_digest, check_signature, digest_names, signer_certificate
from receipts.identifiers import domain_of

__all__ = [
    "MAX_INDEX_BYTES",
    "Directory",
    "IndexRefused",
    "ProviderRecord",
    "Refusal",
    "read_directory",
    "read_signed_index",
    "sign_index",
    "write_ldif",
]

MAX_INDEX_BYTES = 64 * 1_000_000


class IndexRefused(ValueError):
    """This index is not to be used: its signature is not good, or it holds no provider."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that was left out, and why."""

    record: str  # its distinguished name; empty when it could not be read
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The providers of one index."""

    records: tuple[ProviderRecord, ...]
    refused: tuple[Refusal, ...]
    version: str  # SHA-256 of the LDIF, hexadecimal
    signed_at: datetime | None  # None when it was read without its signature
    domains: Mapping[str, ProviderRecord]  # lower-case A-label -> who manages it
    certificates: Mapping[bytes, ProviderRecord]  # SHA-1 of the certificate -> whose it is

    def by_domain(self, domain: str) -> ProviderRecord | None:
        """Who manages exactly this domain, however it is spelt (DIR-11)."""
        return self.domains.get(domain_of(f"@{domain}"))

    def by_certificate(self, der: bytes) -> ProviderRecord | None:
        """Whose certificate this is: found by hash, then compared byte by byte (DIR-10)."""
        record = self.certificates.get(hashlib.sha1(der, usedforsecurity=False).digest())
        return record if record is not None and der in record.certificates else None

    def is_certified(self, domain: str) -> bool:
        return self.by_domain(domain) is not None


def read_directory(ldif: bytes, *, previous: Directory | None = None, signed_at: datetime | None = None) -> Directory:
    """Read the LDIF of the whole index. What is wrong with a record costs that record alone.

    A domain or certificate belongs to one provider. When two claim it, the newer claim's record is refused: the one
    that ``previous`` does not know, else the one that stands later in the file (D6, DIR-14).

    Args:
        previous: the index used until now.
    """
    found, refused = _read_records(ldif)
    book = _Book()
    for _, record in sorted(enumerate(found), key=lambda each: (_takes(each[1], previous), each[0])):
        reason = book.conflict(record)
        if reason:
            refused.append(Refusal(record.dn, reason))
        else:
            book.enter(record)
    return Directory(
        records=tuple(record for record in found if record in book.records),
        refused=tuple(refused),
        version=hashlib.sha256(ldif).hexdigest(),
        signed_at=signed_at,
        domains=book.domains,
        certificates=book.certificates,
    )


def read_signed_index(
    p7m: bytes, anchors: tuple[bytes, ...], at: datetime | None, *, previous: Directory | None = None
) -> Directory:
    """Check the signature of an index as it is published (``.p7m``, DER), and read it.

    Args:
        anchors: DER of the authorities that may certify who signs the index.
        at: when the signer's certificate has to be valid; None takes the time at which it says it signed, which is
            for looking into the past only.

    Raises:
        IndexRefused: see above; keep the last good one.
    """
    try:
        data = read_signed_data(p7m, MAX_INDEX_BYTES)
    except CmsError as error:
        raise IndexRefused(f"not signed data: {error}") from error
    if data.content is None or len(data.signers) != 1:
        raise IndexRefused("it must hold its content and one signature")
    signed_at = data.signers[0].signing_time
    moment = at or signed_at
    if moment is None:
        raise IndexRefused("it does not say when it was signed")
    _check_signature(data, data.content, Trust(anchors), moment)
    directory = read_directory(data.content, previous=previous, signed_at=signed_at)
    if not directory.records:
        raise IndexRefused("it holds no provider")
    return directory


def sign_index(ldif: bytes, signer: Signer, at: datetime) -> bytes:
    """The index as it is published: CMS SignedData in DER with the LDIF and the certificates inside (DIR-04).

    Raises:
        SigningUnavailable: the key cannot be used now.
    """
    return signed_data(signer, hashlib.sha256(ldif).digest(), at, content=ldif)


def _check_signature(data: SignedData, content: bytes, trust: Trust, at: datetime) -> None:
    info: SignerInfo = data.signers[0]
    digests = {name: hashlib.new(name, content, usedforsecurity=False).digest() for name in digest_names(data.signers)}
    der = signer_certificate(info, data.certificates)
    if der is None:
        raise IndexRefused("the signer's certificate is not inside")
    try:
        certificate = read_certificate(der)
    except CertificateError as error:
        raise IndexRefused(f"the signer's certificate is {error}") from error
    for finding in (check_digest(info, data.content_type, digests), check_signature(info, certificate, digests)):
        if not finding.ok:
            raise IndexRefused(finding.detail)
    if not certificate.digital_signature:
        raise IndexRefused("the signer's certificate is not for signatures")
    chain = verify_chain(der, data.certificates, trust, at)
    if not chain.ok:
        raise IndexRefused(f"the signer's certificate is not trusted: {chain.detail}")


def _read_records(ldif: bytes) -> tuple[list[ProviderRecord], list[Refusal]]:
    found: list[ProviderRecord] = []
    refused: list[Refusal] = []
    for record in read_ldif(ldif):
        if isinstance(record, LdifFault):
            refused.append(Refusal("", str(record)))
        elif is_provider(record):
            try:
                found.append(read_record(record))
            except RecordRefused as error:
                refused.append(Refusal(record.dn, str(error)))
    return found, refused


def _takes(record: ProviderRecord, previous: Directory | None) -> bool:
    """Whether the record claims what was another provider's until now."""
    if previous is None:
        return False
    holders = [previous.domains.get(domain) for domain in record.managed_domains]
    holders += [previous.by_certificate(certificate) for certificate in record.certificates]
    return any(holder is not None and holder.owner != record.owner for holder in holders)


class _Book:
    """The records entered so far, by what they claim."""

    def __init__(self) -> None:
        self.records: set[ProviderRecord] = set()
        self.domains: dict[str, ProviderRecord] = {}
        self.certificates: dict[bytes, ProviderRecord] = {}

    def conflict(self, record: ProviderRecord) -> str | None:
        """Why the record cannot be entered."""
        for domain in sorted(record.managed_domains):
            holder = self.domains.get(domain)
            if holder is not None and holder.owner != record.owner:
                return f"{domain} is managed by {holder.name}"
        for certificate in record.certificates:
            holder = self.certificates.get(_sha1(certificate))
            if holder is not None and holder.owner != record.owner:
                return f"it has a certificate of {holder.name}"
        return None

    def enter(self, record: ProviderRecord) -> None:
        """A main record and its secondary environments may share domains and certificates: the first has the
        domain, and a shared certificate answers for the domains of all of them.
        """
        self.records.add(record)
        for domain in record.managed_domains:
            self.domains.setdefault(domain, record)
        for certificate in record.certificates:
            sha1 = _sha1(certificate)
            first = self.certificates.get(sha1)
            shared = record if first is None else _with_domains(first, record.managed_domains)
            self.certificates[sha1] = shared


def _with_domains(record: ProviderRecord, domains: frozenset[str]) -> ProviderRecord:
    return replace(record, managed_domains=record.managed_domains | domains)


def _sha1(certificate: bytes) -> bytes:
    return hashlib.sha1(certificate, usedforsecurity=False).digest()
