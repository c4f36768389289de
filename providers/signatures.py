"""One CMS signature against content and certificate (RFC 5652 section 5.6): digest, attributes, key.

SHA-1 is read, because providers still sent it in December 2024; nothing is ever signed with it.
"""

import hashlib
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from providers.certificates import CertificateFacts, issuer_and_serial
from providers.cms import (
    CONTEXT_0,
    CONTEXT_1,
    ID_ALGORITHM_PROTECTION,
    ID_CONTENT_TYPE,
    ID_SIGNING_CERTIFICATE,
    ID_SIGNING_CERTIFICATE_V2,
    Algorithm,
    SignerInfo,
    algorithm,
)
from providers.der import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    DerError,
    children,
    expect,
    object_identifier,
    tlv,
)
from receipts.records import record

__all__ = ["DigestName", "Finding", "check_digest", "check_signature", "digest_names", "signer_certificate"]

DigestName = str
"""As ``hashlib`` names it."""

MIN_RSA_BITS = 1024  # the certificates of RFC 6109 itself, and one provider's in 2014

_HASHES: Mapping[DigestName, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_DIGESTS: Mapping[bytes, DigestName] = {
    object_identifier("1.3.14.3.2.26"): "sha1",
    object_identifier("2.16.840.1.101.3.4.2.1"): "sha256",
    object_identifier("2.16.840.1.101.3.4.2.2"): "sha384",
    object_identifier("2.16.840.1.101.3.4.2.3"): "sha512",
}
RSA_ENCRYPTION = object_identifier("1.2.840.113549.1.1.1")  # the digest is the digest algorithm's
RSA_PSS = object_identifier("1.2.840.113549.1.1.10")
MGF1 = object_identifier("1.2.840.113549.1.1.8")
_RSA: Mapping[bytes, DigestName] = {
    object_identifier("1.2.840.113549.1.1.5"): "sha1",
    object_identifier("1.2.840.113549.1.1.11"): "sha256",
    object_identifier("1.2.840.113549.1.1.12"): "sha384",
    object_identifier("1.2.840.113549.1.1.13"): "sha512",
}
_ECDSA: Mapping[bytes, DigestName] = {
    object_identifier("1.2.840.10045.4.1"): "sha1",
    object_identifier("1.2.840.10045.4.3.2"): "sha256",
    object_identifier("1.2.840.10045.4.3.3"): "sha384",
    object_identifier("1.2.840.10045.4.3.4"): "sha512",
}


@record()
class Finding:
    """The answer to one question, and why."""

    ok: bool
    detail: str


class _Wrong(Exception):
    """A signature that is not good; the text says why."""


def digest_names(signers: tuple[SignerInfo, ...]) -> set[DigestName]:
    """The digests of the content that these signatures ask for, as far as we know them."""
    return {name for info in signers if (name := _DIGESTS.get(info.digest_algorithm.oid))}


def signer_certificate(info: SignerInfo, certificates: tuple[bytes, ...]) -> bytes | None:
    """The certificate, among those sent along, that the signature says is its own."""
    for der in certificates:
        try:
            if info.key_identifier is not None:
                identifier = tlv(OCTET_STRING, info.key_identifier)
                if SUBJECT_KEY_IDENTIFIER + tlv(OCTET_STRING, identifier) in der:
                    return der
            elif _may_be(info, der) and issuer_and_serial(der) == (info.issuer, info.serial):
                return der
        except DerError:
            continue
    return None


def _may_be(info: SignerInfo, der: bytes) -> bool:
    """Whether issuer and serial number stand in the certificate at all: cheaper to find out than where."""
    return info.serial is not None and info.serial in der and info.issuer is not None and info.issuer in der


SUBJECT_KEY_IDENTIFIER = object_identifier("2.5.29.14")


def check_digest(info: SignerInfo, content_type: bytes, digests: Mapping[DigestName, bytes]) -> Finding:
    """Whether the signature speaks of this content."""
    name = _DIGESTS.get(info.digest_algorithm.oid)
    if name is None:
        return Finding(False, "a digest that is not accepted")
    if info.signed is None:
        return Finding(True, f"{_shown(name)}, signed without attributes")
    if info.attributes.get(ID_CONTENT_TYPE) != content_type:
        return Finding(False, "the signed attributes name another type of content")
    if info.message_digest != digests[name]:
        return Finding(False, f"the content is not the one that was signed ({_shown(name)})")
    return Finding(True, _shown(name))


def check_signature(info: SignerInfo, certificate: CertificateFacts, digests: Mapping[DigestName, bytes]) -> Finding:
    """Whether the certificate's key made the signature."""
    name = _DIGESTS.get(info.digest_algorithm.oid)
    if name is None:
        return Finding(False, "a digest that is not accepted")
    try:
        _check_attributes(info, certificate)
        how = _check_key(info, certificate, name, digests[name])
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return Finding(False, "the signature is not by the certificate's key")
    except _Wrong as wrong:
        return Finding(False, str(wrong))
    return Finding(True, how)


def _check_attributes(info: SignerInfo, certificate: CertificateFacts) -> None:
    """What the signed attributes bind: the certificate (RFC 5035) and the algorithms (RFC 6211)."""
    for name in (ID_SIGNING_CERTIFICATE, ID_SIGNING_CERTIFICATE_V2):
        value = info.attributes.get(name)
        if value is not None and not _names_certificate(value, certificate.der, name):
            raise _Wrong("the signed attributes name another certificate")
    protection = info.attributes.get(ID_ALGORITHM_PROTECTION)
    if protection is not None and not _protects(protection, info):
        raise _Wrong("the signed attributes name other algorithms")


def _names_certificate(value: bytes, certificate: bytes, attribute: bytes) -> bool:
    """Whether the first ESSCertID or ESSCertIDv2 holds the certificate's hash."""
    start, end = expect(value, 0, len(value), SEQUENCE)
    start, end = expect(value, start, end, SEQUENCE)
    start, end = expect(value, start, end, SEQUENCE)
    name: DigestName | None = "sha1" if attribute == ID_SIGNING_CERTIFICATE else "sha256"
    for tag, _, body, stop in children(value, start, end):
        if tag == SEQUENCE:
            name = _DIGESTS.get(algorithm(value, body, stop).oid)
        elif tag == OCTET_STRING:
            return (
                name is not None and value[body:stop] == hashlib.new(name, certificate, usedforsecurity=False).digest()
            )
    return False


def _protects(value: bytes, info: SignerInfo) -> bool:
    start, end = expect(value, 0, len(value), SEQUENCE)
    body, stop = expect(value, start, end, SEQUENCE)
    digest = algorithm(value, body, stop)
    body, stop = expect(value, stop, end, CONTEXT_1)
    return _same(digest, info.digest_algorithm) and _same(algorithm(value, body, stop), info.signature_algorithm)


def _same(one: Algorithm, other: Algorithm) -> bool:
    return one == other or (one.oid == other.oid and one.is_bare and other.is_bare)


def _check_key(info: SignerInfo, certificate: CertificateFacts, name: DigestName, digest: bytes) -> str:
    """Verify with the public key; the answer says how it was signed."""
    key, oid = certificate.public_key, info.signature_algorithm.oid
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise _Wrong(f"an RSA key of {key.key_size} bits proves nothing")
        scheme, used = _rsa_scheme(info.signature_algorithm, name)
        data, algorithm_used = _signed(info, name, used, digest)
        key.verify(info.signature, data, scheme, algorithm_used)
        return f"RSA, {key.key_size} bits, {_shown(used)}"
    if isinstance(key, ec.EllipticCurvePublicKey) and oid in _ECDSA:
        used = _ECDSA[oid]
        data, algorithm_used = _signed(info, name, used, digest)
        key.verify(info.signature, data, ec.ECDSA(algorithm_used))
        return f"ECDSA, {key.curve.name}, {_shown(used)}"
    raise _Wrong("the key and the signature are of different kinds")


def _signed(
    info: SignerInfo, name: DigestName, used: DigestName, digest: bytes
) -> tuple[bytes, hashes.HashAlgorithm | Prehashed]:
    """What was signed: the attributes, or without them the content, of which we have the digest."""
    if info.signed is not None:
        return info.signed, _HASHES[used]
    if used != name:
        raise _Wrong("digest and signature name different hashes")
    return digest, Prehashed(_HASHES[used])


def _rsa_scheme(found: Algorithm, name: DigestName) -> tuple[padding.AsymmetricPadding, DigestName]:
    if found.oid == RSA_ENCRYPTION:
        return padding.PKCS1v15(), name
    if found.oid in _RSA:
        return padding.PKCS1v15(), _RSA[found.oid]
    if found.oid == RSA_PSS and found.parameters is not None:
        return _pss(found.parameters)
    raise _Wrong("the key and the signature are of different kinds")


def _pss(parameters: bytes) -> tuple[padding.PSS, DigestName]:
    """RSASSA-PSS-params (RFC 4055 section 3.1), each with its default."""
    used, masked, salt = "sha1", "sha1", 20
    start, end = expect(parameters, 0, len(parameters), SEQUENCE)
    for tag, _, body, stop in children(parameters, start, end):
        if tag == CONTEXT_0:
            used = _digest_named(_inner(parameters, body, stop))
        elif tag == CONTEXT_1:
            mask = _inner(parameters, body, stop)
            if mask.oid != MGF1 or mask.parameters is None:
                raise _Wrong("a mask that is not accepted")
            masked = _digest_named(_inner(mask.parameters, 0, len(mask.parameters)))
        elif tag == CONTEXT_0 + 2:
            first, last = expect(parameters, body, stop, INTEGER)
            salt = int.from_bytes(parameters[first:last], "big")
        elif parameters[body:stop] != TRAILER_FIELD:
            raise _Wrong("parameters that are not accepted")
    return padding.PSS(padding.MGF1(_HASHES[masked]), salt), used


TRAILER_FIELD = tlv(INTEGER, b"\x01")


def _inner(data: bytes, start: int, end: int) -> Algorithm:
    """The AlgorithmIdentifier that stands, whole, between ``start`` and ``end``."""
    return algorithm(data, *expect(data, start, end, SEQUENCE))


def _digest_named(found: Algorithm) -> DigestName:
    name = _DIGESTS.get(found.oid)
    if name is None or not found.is_bare:
        raise _Wrong("a digest that is not accepted")
    return name


def _shown(name: DigestName) -> str:
    return name.upper().replace("SHA", "SHA-")
