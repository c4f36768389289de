"""What authorities say of certificates that they have taken back: lists (CRL, RFC 5280), answers (OCSP, RFC 6960).

Both are fetched by others; here they are asked for, believed or not, and read. Nothing is believed that the issuer of
the certificate in question did not sign, or somebody it made for that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

__all__ = [
    "Answer",
    "Means",
    "RevocationRefused",
    "Source",
    "Subject",
    "Word",
    "answer_of",
    "ocsp_request",
    "sources_of",
]

AHEAD: Final = timedelta(hours=1)
"""How far the clock of an authority may be ahead of ours."""
MAX_SOURCES: Final = 8  # of one certificate
MAX_URL_CHARACTERS: Final = 1_000
UNDERSTOOD: Final = frozenset({"2.5.29.20", "2.5.29.28", "2.5.29.35"})  # CRL number, distribution point, authority key


class RevocationRefused(ValueError):
    """A list or an answer that is not to be believed; the text says why."""


class Means(StrEnum):
    """How one asks."""

    CRL = "crl"
    OCSP = "ocsp"


class Word(StrEnum):
    """What was said about one certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Subject:
    """A certificate and who issued it, DER; that the issuer did has been verified."""

    certificate: bytes
    issuer: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """Where the certificate says that one may ask about it."""

    means: Means
    url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source says about one certificate."""

    word: Word
    said_at: datetime
    until: datetime | None  # when the next word is promised
    revoked_at: datetime | None = None


def sources_of(certificate: bytes) -> tuple[Source, ...]:
    """Where one may ask about a certificate, over HTTP; none if it names no place.

    Raises:
        ValueError: it cannot be read.
    """
    extensions = x509.load_der_x509_certificate(certificate).extensions
    found = [*_responders(extensions), *_lists(extensions)]
    return tuple(dict.fromkeys(each for each in found if _is_http(each.url)))[:MAX_SOURCES]


def ocsp_request(subject: Subject) -> bytes:
    """The question about one certificate, DER. Without a nonce: the answer serves for hours."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(*_loaded(subject), hashes.SHA1())  # noqa: S303 - as all ask
    return builder.build().public_bytes(Encoding.DER)


def answer_of(means: Means, data: bytes, subject: Subject, at: datetime) -> Answer:
    """What a list or an answer says about a certificate.

    Args:
        at: the present instant; what was said may be stale by then.

    Raises:
        RevocationRefused: see above.
    """
    try:
        return (_of_list if means is Means.CRL else _of_responder)(data, subject, at)
    except RevocationRefused:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RevocationRefused(f"it cannot be read ({type(error).__name__})") from error


def _of_list(data: bytes, subject: Subject, at: datetime) -> Answer:
    certificate, issuer = _loaded(subject)
    pem = data.lstrip()[:11] == b"-----BEGIN "
    found = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
    if found.issuer != certificate.issuer:
        raise RevocationRefused("it is the list of another issuer")
    _check_signs(issuer, "crl_sign")
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) or not found.is_signature_valid(key):
        raise RevocationRefused("its signature is not the issuer's")
    _check_scope(found, authority=_is_authority(certificate))
    said_at = _not_ahead(found.last_update_utc, at)
    entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return Answer(Word.GOOD, said_at, found.next_update_utc)
    return Answer(Word.REVOKED, said_at, found.next_update_utc, entry.revocation_date_utc)


def _check_scope(found: x509.CertificateRevocationList, *, authority: bool) -> None:
    """A list of a part of the certificates, or of the changes since another list, says nothing about the rest."""
    for extension in found.extensions:
        if extension.critical and extension.oid.dotted_string not in UNDERSTOOD:
            raise RevocationRefused(f"it has the critical extension {extension.oid.dotted_string}")
        point = extension.value
        if not isinstance(point, x509.IssuingDistributionPoint):
            continue
        partial = point.indirect_crl or point.only_some_reasons or point.only_contains_attribute_certs
        if partial or (point.only_contains_ca_certs if not authority else point.only_contains_user_certs):
            raise RevocationRefused("it is not about certificates of this kind")


def _of_responder(data: bytes, subject: Subject, at: datetime) -> Answer:
    response = ocsp.load_der_ocsp_response(data)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise RevocationRefused(f"the responder says {response.response_status.name.lower().replace('_', ' ')}")
    _check_responder(response, subject, at)
    certificate, _ = _loaded(subject)
    single = next((each for each in response.responses if _is_about(each, subject, certificate)), None)
    if single is None:
        raise RevocationRefused("it is about another certificate")
    said_at = _not_ahead(single.this_update_utc, at)
    words = {ocsp.OCSPCertStatus.GOOD: Word.GOOD, ocsp.OCSPCertStatus.REVOKED: Word.REVOKED}
    word = words.get(single.certificate_status, Word.UNKNOWN)
    return Answer(word, said_at, single.next_update_utc, single.revocation_time_utc)


def _check_responder(response: ocsp.OCSPResponse, subject: Subject, at: datetime) -> None:
    """Raises RevocationRefused unless the issuer signed it, or one to whom the issuer gave a certificate for that."""
    _, issuer = _loaded(subject)
    for signer in (issuer, *(each for each in response.certificates if _is_deputy(each, issuer, at))):
        key, algorithm = signer.public_key(), response.signature_hash_algorithm
        if algorithm is None:
            break
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
            else:
                continue
        except InvalidSignature:
            continue
        return
    raise RevocationRefused("its signature is neither the issuer's nor that of a responder of the issuer")


def _is_deputy(certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    """RFC 6960 section 4.2.2.2."""
    try:
        certificate.verify_directly_issued_by(issuer)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    valid = certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
    return valid and ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _is_about(single: ocsp.OCSPSingleResponse, subject: Subject, certificate: x509.Certificate) -> bool:
    if single.serial_number != certificate.serial_number:
        return False
    _, issuer = _loaded(subject)
    expected = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm).build()
    return (single.issuer_name_hash, single.issuer_key_hash) == (expected.issuer_name_hash, expected.issuer_key_hash)


def _check_signs(issuer: x509.Certificate, use: str) -> None:
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not getattr(usage, use):
        raise RevocationRefused("its issuer's key is not for that")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _not_ahead(said_at: datetime, at: datetime) -> datetime:
    if said_at > at + AHEAD:
        raise RevocationRefused(f"it says that it is of {said_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, which is to come")
    return said_at


def _loaded(subject: Subject) -> tuple[x509.Certificate, x509.Certificate]:
    return x509.load_der_x509_certificate(subject.certificate), x509.load_der_x509_certificate(subject.issuer)


def _responders(extensions: x509.Extensions) -> Iterator[Source]:
    try:
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return
    for each in access:
        place = each.access_location
        if each.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            place, x509.UniformResourceIdentifier
        ):
            yield Source(Means.OCSP, place.value)


def _lists(extensions: x509.Extensions) -> Iterator[Source]:
    """Whole lists of the issuer's own; parts by reason and lists of others are left out."""
    try:
        points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return
    for point in points:
        if point.reasons or point.crl_issuer:
            continue
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier):
                yield Source(Means.CRL, name.value)


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://")) and len(url) <= MAX_URL_CHARACTERS
