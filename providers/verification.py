"""A message's signature, checked to a verdict that keeps every check and its result (RFC 6109 section 2.2.2).

Who certifies what is judged elsewhere: here it is only proven, or not, that a certified provider sealed these bytes.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from providers.certificates import CertificateError, CertificateFacts
from providers.chains import ChainCache, Trust
from providers.checks import (
    Check,
    CheckName,
    check_chain,
    check_email,
    check_from_domain,
    check_index,
    check_key_usage,
    check_revocation,
    check_validity,
)
from providers.cms import MAX_DETACHED_BYTES, CmsError, SignedData, SignerInfo, read_signed_data
from providers.directory import Directory, ProviderRecord
from providers.signatures import DigestName, Finding, check_digest, check_signature, digest_names, signer_certificate
from providers.standing import Standings
from receipts.identifiers import parse_address_list
from receipts.octets import Octets
from receipts.parts import BodyError, Part, decode_body
from receipts.records import record
from receipts.wire import PKCS7_SIGNATURE_TYPES

__all__ = ["Check", "CheckName", "SignatureVerdict", "from_address", "is_sealed", "verify_signature"]


PROOF = frozenset(
    {
        CheckName.DIGEST,
        CheckName.SIGNATURE,
        CheckName.CHAIN,
        CheckName.VALIDITY,
        CheckName.KEY_USAGE,
        CheckName.INDEX,
    }
)
"""What has to hold for a message to come from a provider (IP-01 to IP-03). The form of the rest is another question."""


@record(kw_only=True)
class SignatureVerdict:
    """What was checked about a signature, and what is known of who made it."""

    checks: tuple[Check, ...]
    signer: CertificateFacts | None = None
    provider: ProviderRecord | None = None  # whose certificate it is, by the index
    content_sha256: bytes | None = None  # of the signed part (D4)
    signing_time: datetime | None = None  # what the signer says; for information
    at: datetime | None = None  # the time at which chain and validity were judged

    def check(self, name: CheckName) -> Check | None:
        return next((check for check in self.checks if check.name is name), None)

    @property
    def proven(self) -> bool:
        """Whether a certified provider signed these bytes: IP-01, IP-02 and IP-03 all pass, and no certificate is known
        to be revoked.
        """
        revoked = any(check.name is CheckName.REVOCATION and check.ok is False for check in self.checks)
        return not revoked and all(any(check.name is name and check.ok for check in self.checks) for name in PROOF)

    @property
    def ok(self) -> bool:
        """Whether every check was done and holds."""
        return all(check.ok for check in self.checks)


def is_sealed(root: Part) -> bool:
    """Whether the message claims to be signed with CMS: a ``multipart/signed`` whose second part is a signature."""
    return (
        root.type == "multipart/signed" and len(root.children) >= 2 and root.children[1].type in PKCS7_SIGNATURE_TYPES
    )


def verify_signature(
    message: Octets,
    root: Part,
    *,
    trust: Trust | None,
    directory: Directory | None,
    at: datetime | None,
    cache: ChainCache | None = None,
    standings: Standings | None = None,
) -> SignatureVerdict:
    """Check the signature of a scanned message. The content is read once.

    Args:
        trust: the authorities; None leaves the chain unjudged.
        directory: the provider index; None leaves out what needs it.
        at: when chain and certificate have to be valid; None takes the time that the signer states.
        cache: kept by the caller from message to message; without one everything is read anew.
        standings: what is known of revoked certificates; None leaves that check out.
    """
    if not is_sealed(root):
        return _unsealed("no multipart/signed with a CMS signature")
    content, envelope = root.children[:2]
    cache = cache or ChainCache()
    try:
        data = read_signed_data(decode_body(envelope, message, 2 * MAX_DETACHED_BYTES))
    except (CmsError, BodyError) as error:
        return _unsealed(f"the signature cannot be read: {error}")
    if not data.signers:
        return _unsealed("nobody signed")
    digests = _digests(message.slice(content.start, content.stop), {"sha256", *digest_names(data.signers)})
    subject = _best(data, digests, cache)
    at = at or subject.info.signing_time
    provider = directory.by_certificate(subject.certificate.der) if directory and subject.certificate else None
    checks = (
        _structure(root, data, digests["sha256"]),
        Check(CheckName.DIGEST, subject.digest.ok, subject.digest.detail),
        Check(CheckName.SIGNATURE, subject.signature.ok, subject.signature.detail),
        *_certificate_checks(subject.certificate, data, trust, at, cache),
        *_revocation_checks(subject.certificate, standings, at),
        *_provider_checks(subject.certificate, from_address(root), directory, provider),
    )
    return SignatureVerdict(
        checks=checks,
        signer=subject.certificate,
        provider=provider,
        content_sha256=digests["sha256"],
        signing_time=subject.info.signing_time,
        at=at,
    )


def from_address(root: Part) -> str | None:
    """The one address of the one From field; None if there is not exactly one of each."""
    fields = root.header.all("From")
    if len(fields) != 1:
        return None
    found = parse_address_list(fields[0].value)
    return found.addresses[0] if len(found.addresses) == 1 and not found.faults else None


@record()
class _Subject:
    """One signature of the message and what was found about it."""

    info: SignerInfo
    certificate: CertificateFacts | None
    digest: Finding
    signature: Finding


def _unsealed(why: str) -> SignatureVerdict:
    names = [name for name in CheckName if name in PROOF or name in {CheckName.EMAIL, CheckName.FROM_DOMAIN}]
    rest = (Check(name, None, "there is no signature to check") for name in names)
    return SignatureVerdict(checks=(Check(CheckName.STRUCTURE, False, why), *rest))


def _digests(content: Octets, names: set[DigestName]) -> dict[DigestName, bytes]:
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    for piece in content.pieces():
        for digest in hashes.values():
            digest.update(piece)
    return {name: digest.digest() for name, digest in hashes.items()}


def _best(data: SignedData, digests: Mapping[DigestName, bytes], cache: ChainCache) -> _Subject:
    """The first signature that is good, else the first: more than one is a fault of form, not of proof."""
    subjects = (_subject(info, data, digests, cache) for info in data.signers)
    seen = []
    for subject in subjects:
        seen.append(subject)
        if subject.digest.ok and subject.signature.ok:
            return subject
    return seen[0]


def _subject(info: SignerInfo, data: SignedData, digests: Mapping[DigestName, bytes], cache: ChainCache) -> _Subject:
    digest = check_digest(info, data.content_type, digests)
    der = signer_certificate(info, data.certificates)
    if der is None:
        return _Subject(info, None, digest, Finding(False, "the signer's certificate is not inside"))
    try:
        certificate = cache.certificate(der)
    except CertificateError as error:
        return _Subject(info, None, digest, Finding(False, f"the signer's certificate is {error}"))
    return _Subject(info, certificate, digest, check_signature(info, certificate, digests))


def _structure(root: Part, data: SignedData, sha256: bytes) -> Check:
    """Content inside the signature is tolerated when it repeats the signed part: openssl's -stream leaves it there."""
    wrong = []
    if len(root.children) != 2:
        wrong.append(f"{len(root.children)} parts instead of two")
    if root.params.get("protocol", "application/pkcs7-signature").lower() not in PKCS7_SIGNATURE_TYPES:
        wrong.append("it names another kind of signature")
    if len(data.signers) != 1:
        wrong.append(f"{len(data.signers)} signatures instead of one")
    if data.content is not None and hashlib.sha256(data.content).digest() != sha256:
        wrong.append("the signature brings content of its own")
    return Check(CheckName.STRUCTURE, not wrong, "; ".join(wrong) or "content and one CMS signature")


def _certificate_checks(
    certificate: CertificateFacts | None,
    data: SignedData,
    trust: Trust | None,
    at: datetime | None,
    cache: ChainCache,
) -> tuple[Check, ...]:
    names = (CheckName.CHAIN, CheckName.VALIDITY, CheckName.KEY_USAGE)
    if certificate is None:
        return tuple(Check(name, None, "there is no certificate to check") for name in names)
    return (
        check_chain(certificate, data.certificates, trust, at, cache),
        check_validity(certificate, at),
        check_key_usage(certificate),
    )


def _revocation_checks(
    certificate: CertificateFacts | None, standings: Standings | None, at: datetime | None
) -> tuple[Check, ...]:
    if certificate is None or standings is None or at is None:
        return ()
    return (check_revocation(certificate, standings, at),)


def _provider_checks(
    certificate: CertificateFacts | None,
    sender: str | None,
    directory: Directory | None,
    provider: ProviderRecord | None,
) -> tuple[Check, ...]:
    return (
        check_index(certificate, directory, provider),
        check_email(certificate, sender),
        check_from_domain(sender, directory, provider),
    )
