"""The provider's seal: CMS SignedData in DER, and the multipart/signed message around unsealed bytes.

CAdES-BES attributes, SHA-256, leaf and issuing CA inside (RFC 6109 sections 2.1 and 4.3). Object models of ASN.1
reach a hundred signatures a second; these few elements are written directly.
"""

import hashlib
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, Protocol

from providers.certificates import issuer_and_serial
from providers.cms import (
    CONTEXT_0,
    CONTEXT_1,
    GENERALIZED_TIME,
    ID_ALGORITHM_PROTECTION,
    ID_CONTENT_TYPE,
    ID_DATA,
    ID_MESSAGE_DIGEST,
    ID_SIGNED_DATA,
    ID_SIGNING_CERTIFICATE_V2,
    ID_SIGNING_TIME,
    UTC_TIME,
)
from providers.der import (
    INTEGER,
    NULL,
    OCTET_STRING,
    SEQUENCE,
    SET,
    object_identifier,
    tlv,
)
from receipts.octets import Octets
from receipts.wire import SIGNATURE_NAME
from receipts.writer import Unsealed, base64_lines

__all__ = ["SignatureAlgorithm", "Signer", "seal", "signed_data"]

VERSION_1 = tlv(INTEGER, b"\x01")
SHA256 = tlv(SEQUENCE, object_identifier("2.16.840.1.101.3.4.2.1"))


class SignatureAlgorithm(Enum):
    """How a key signs; the value is the AlgorithmIdentifier."""

    RSA_SHA256 = tlv(SEQUENCE, object_identifier("1.2.840.113549.1.1.11"), NULL)
    ECDSA_SHA256 = tlv(SEQUENCE, object_identifier("1.2.840.10045.4.3.2"))


class Signer(Protocol):
    """A provider's signing key, wherever it is kept, and what it needs to be believed."""

    @property
    def certificate(self) -> bytes:
        """DER of the certificate over the key."""
        ...

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER of the certificates between it and the root, without the root."""
        ...

    @property
    def address(self) -> str:
        """The mail address in the certificate: From of everything sealed with it."""
        ...

    @property
    def algorithm(self) -> SignatureAlgorithm: ...

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``.

        Raises:
            SigningUnavailable: the key cannot be used now.
        """
        ...


def seal(unsealed: Unsealed, signer: Signer, *, at: datetime, boundary: str) -> Octets:
    """Sign the content and put it, as it is, into a multipart/signed message.

    The content is read once, in pieces, and its spans stay spans.

    Args:
        boundary: must stand nowhere in the content (D19).

    Raises:
        SigningUnavailable: the key cannot be used now.
        ValueError: the boundary stands in the content.
    """
    digest = _digest(unsealed.content, boundary.encode())
    signature = signed_data(signer, digest, at)
    return Octets.of(_head(unsealed.headers, boundary), unsealed.content, _tail(signature, boundary))


def signed_data(signer: Signer, digest: bytes, at: datetime, *, content: bytes | None = None) -> bytes:
    """CMS SignedData in DER over the content with this SHA-256.

    Args:
        at: becomes the signing time.
        content: put inside, as the provider index is; left out, the signature is detached.
    """
    standing = _standing(signer.certificate, tuple(signer.chain), signer.algorithm)
    attributes = b"".join(
        sorted(
            (
                *standing.attributes,
                _attribute(ID_SIGNING_TIME, _time(at)),
                _attribute(ID_MESSAGE_DIGEST, tlv(OCTET_STRING, digest)),
            )
        )
    )
    signer_info = tlv(
        SEQUENCE,
        standing.signer,
        tlv(CONTEXT_0, attributes),
        signer.algorithm.value,
        tlv(OCTET_STRING, signer.sign(tlv(SET, attributes))),
    )
    inside = b"" if content is None else tlv(CONTEXT_0, tlv(OCTET_STRING, content))
    body = tlv(
        SEQUENCE,
        VERSION_1,
        tlv(SET, SHA256),
        tlv(SEQUENCE, ID_DATA, inside),
        standing.certificates,
        tlv(SET, signer_info),
    )
    return tlv(SEQUENCE, ID_SIGNED_DATA, tlv(CONTEXT_0, body))


class _Standing(NamedTuple):
    """What is the same in every signature of one signer."""

    signer: bytes  # the beginning of SignerInfo: version, issuer and serial number, digest algorithm
    certificates: bytes
    attributes: tuple[bytes, ...]


@lru_cache(maxsize=16)
def _standing(certificate: bytes, chain: tuple[bytes, ...], algorithm: SignatureAlgorithm) -> _Standing:
    """The attributes of CAdES-BES, and algorithm protection (RFC 6211), in no order yet; DER sorts them as a set."""
    certificate_id = tlv(SEQUENCE, tlv(OCTET_STRING, hashlib.sha256(certificate).digest()))
    protection = tlv(SEQUENCE, SHA256, _retagged(algorithm.value, CONTEXT_1))
    return _Standing(
        signer=VERSION_1 + tlv(SEQUENCE, *issuer_and_serial(certificate)) + SHA256,
        certificates=tlv(CONTEXT_0, *sorted((certificate, *chain))),
        attributes=(
            _attribute(ID_CONTENT_TYPE, ID_DATA),
            _attribute(ID_SIGNING_CERTIFICATE_V2, tlv(SEQUENCE, tlv(SEQUENCE, certificate_id))),
            _attribute(ID_ALGORITHM_PROTECTION, protection),
        ),
    )


def _attribute(name: bytes, value: bytes) -> bytes:
    return tlv(SEQUENCE, name, tlv(SET, value))


def _retagged(whole: bytes, tag: int) -> bytes:
    """An element under an implicit tag."""
    return bytes((tag,)) + whole[1:]


def _time(at: datetime) -> bytes:
    """UTCTime until 2049, GeneralizedTime from 2050 (RFC 5652 section 11.3)."""
    at = at.astimezone(UTC)
    text = f"{at.year:04}{at.month:02}{at.day:02}{at.hour:02}{at.minute:02}{at.second:02}Z".encode()
    return tlv(UTC_TIME, text[2:]) if 1950 <= at.year < 2050 else tlv(GENERALIZED_TIME, text)


def _digest(content: Octets, boundary: bytes) -> bytes:
    """SHA-256 of the content, which is searched for the boundary on the way."""
    digest = hashlib.sha256()
    tail = b""
    for piece in content.pieces():
        digest.update(piece)
        if boundary in piece or boundary in tail + piece[: len(boundary)]:
            raise ValueError("the boundary stands in the content")
        tail = (tail + piece)[-len(boundary) :] if len(piece) < len(boundary) else piece[-len(boundary) :]
    return digest.digest()


def _head(headers: bytes, boundary: str) -> bytes:
    return headers + (
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        f' micalg=sha-256; boundary="{boundary}"\r\n'
        "\r\n"
        f"--{boundary}\r\n"
    ).encode("ascii")


def _tail(signature: bytes, boundary: str) -> bytes:
    head = (
        f"\r\n--{boundary}\r\n"
        f'Content-Type: application/pkcs7-signature; name="{SIGNATURE_NAME}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{SIGNATURE_NAME}"\r\n'
        "\r\n"
    ).encode("ascii")
    return b"".join((head, base64_lines(signature), f"\r\n--{boundary}--\r\n".encode("ascii")))
