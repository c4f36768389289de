"""A provider's certificate: what it says, and what it lacks of the profile of RFC 6109 section 5.5."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from providers.cms import CONTEXT_0
from providers.der import INTEGER, SEQUENCE, element, expect
from receipts.identifiers import address_key

__all__ = ["CertificateError", "CertificateFacts", "issuer_and_serial", "profile_faults", "read_certificate"]

MAX_BYTES = 64 * 1024
MAX_ADDRESSES = 64

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
Extension = TypeVar("Extension", bound=x509.ExtensionType)


class CertificateError(ValueError):
    """These bytes are no certificate that we read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a certificate says of its holder, as far as sealing and verifying ask."""

    der: bytes
    sha256: str  # hexadecimal
    subject: str  # RFC 4514
    issuer: str
    emails: tuple[str, ...]  # rfc822 names, as written
    not_before: datetime
    not_after: datetime
    digital_signature: bool  # False too if there is no key usage at all
    email_protection: bool | None  # None: no extended key usage, so every use is allowed
    public_key: PublicKey | None  # None: neither RSA nor elliptic

    @property
    def email(self) -> str | None:
        """The first address, which usually is the only one."""
        return self.emails[0] if self.emails else None

    def names(self, address: str) -> bool:
        """Whether the address stands in the certificate."""
        key = address_key(address)
        return any(address_key(email) == key for email in self.emails)


def read_certificate(der: bytes) -> CertificateFacts:
    """Read a certificate; nothing about it is verified.

    Raises:
        CertificateError: broken, or an extension that we need is.
    """
    if len(der) > MAX_BYTES:
        raise CertificateError("larger than any certificate we read")
    try:
        return _facts(x509.load_der_x509_certificate(der), der)
    except Exception as error:  # the library's own exceptions have no class in common
        raise CertificateError("not a certificate that can be read") from error


def issuer_and_serial(der: bytes) -> tuple[bytes, bytes]:
    """The issuer's Name and the serial number, as whole elements (RFC 5280 section 4.1).

    Raises:
        DerError: not a certificate.
    """
    start, end = expect(der, 0, len(der), SEQUENCE)
    at, end = expect(der, start, end, SEQUENCE)
    if der[at : at + 1] == bytes((CONTEXT_0,)):
        _, _, at = element(der, at, end)
    _, after_serial = expect(der, at, end, INTEGER)
    _, issuer = expect(der, after_serial, end, SEQUENCE)
    _, after_issuer = expect(der, issuer, end, SEQUENCE)
    return der[issuer:after_issuer], der[at:after_serial]


def profile_faults(der: bytes, provider_name: str | None = None, address: str | None = None) -> tuple[str, ...]:
    """What a certificate lacks to sign certified mail, in words; empty if it meets the profile.

    Args:
        provider_name: as in the index; checked against CN and O if given.
        address: the service address; looked for among the certificate's names if given.

    Raises:
        CertificateError: it cannot be read at all.
    """
    facts = read_certificate(der)
    certificate = x509.load_der_x509_certificate(der)
    return (
        *_subject_faults(certificate.subject, provider_name),
        *_address_faults(facts, certificate.extensions, address),
        *_extension_faults(facts, certificate.extensions),
        *_key_faults(facts.public_key),
    )


def _facts(certificate: x509.Certificate, der: bytes) -> CertificateFacts:
    extensions = certificate.extensions
    names = _extension(extensions, x509.SubjectAlternativeName)
    usage = _extension(extensions, x509.KeyUsage)
    extended = _extension(extensions, x509.ExtendedKeyUsage)
    emails = names.get_values_for_type(x509.RFC822Name) if names else []
    if len(emails) > MAX_ADDRESSES:
        raise CertificateError("more addresses than we read")
    return CertificateFacts(
        der=der,
        sha256=hashlib.sha256(der).hexdigest(),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        emails=tuple(emails),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        digital_signature=usage is not None and usage.digital_signature,
        email_protection=None if extended is None else ExtendedKeyUsageOID.EMAIL_PROTECTION in extended,
        public_key=_public_key(certificate),
    )


def _extension(extensions: x509.Extensions, kind: type[Extension]) -> Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _public_key(certificate: x509.Certificate) -> PublicKey | None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else None


def _subject_faults(subject: x509.Name, provider_name: str | None) -> Iterator[str]:
    """CRT-01, CRT-02."""
    held = [
        str(attribute.value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for attribute in subject.get_attributes_for_oid(oid)
    ]
    if not held:
        yield "the subject has neither a common name nor an organisation"
    elif provider_name is not None and provider_name not in held:
        yield f"neither common name nor organisation is the provider's name, {provider_name}"
    if subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield "the subject holds a mail address, which belongs in the alternative name alone"


def _address_faults(facts: CertificateFacts, extensions: x509.Extensions, address: str | None) -> Iterator[str]:
    """CRT-02, CRT-06."""
    if not facts.emails:
        yield "the alternative name holds no mail address"
    elif address is not None and not facts.names(address):
        yield f"the alternative name does not hold {address}"
    if _is_critical(extensions, ExtensionOID.SUBJECT_ALTERNATIVE_NAME):
        yield "the alternative name is marked critical"


def _extension_faults(facts: CertificateFacts, extensions: x509.Extensions) -> Iterator[str]:
    """CRT-03 to CRT-05, CRT-07, CRT-08; and what D5 asks of the extended key usage."""
    if not facts.digital_signature:
        yield "the key usage does not allow digital signatures"
    elif not _is_critical(extensions, ExtensionOID.KEY_USAGE):
        yield "the key usage is not marked critical"
    authority = _extension(extensions, x509.AuthorityKeyIdentifier)
    if authority is None or authority.key_identifier is None:
        yield "there is no authority key identifier"
    if _extension(extensions, x509.SubjectKeyIdentifier) is None:
        yield "there is no subject key identifier"
    if _extension(extensions, x509.BasicConstraints) is not None:
        yield "it has basic constraints, which only authorities have"
    if facts.email_protection is False:
        yield "the extended key usage leaves out e-mail protection"
    named = {ExtensionOID.KEY_USAGE, ExtensionOID.SUBJECT_ALTERNATIVE_NAME}
    for extension in extensions:
        if extension.critical and extension.oid not in named:
            yield f"the extension {extension.oid.dotted_string} is marked critical"


def _key_faults(key: PublicKey | None) -> Iterator[str]:
    if isinstance(key, rsa.RSAPublicKey):
        if not 2048 <= key.key_size <= 4096:
            yield f"the RSA key has {key.key_size} bits, not 2048 to 4096"
    elif key is None or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        yield "the key is neither RSA nor on the curves P-256 or P-384"


def _is_critical(extensions: x509.Extensions, oid: x509.ObjectIdentifier) -> bool:
    return any(extension.oid == oid and extension.critical for extension in extensions)
