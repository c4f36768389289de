"""Private keys in files: made, written for their owner alone, read only when nobody else can (D33)."""

import os
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from providers.chains import Trust
from receipts.errors import SigningUnavailable

__all__ = [
    "KeyKind",
    "KeyRefused",
    "PrivateKey",
    "key_pem",
    "load_certificates",
    "load_key",
    "load_trust",
    "new_key",
    "refuse_readable_by_others",
    "write_secret",
]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

MAX_FILE_BYTES = 1_000_000
OTHERS = 0o007
GROUP_WRITE = 0o020
PEM_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
PEM_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class KeyRefused(SigningUnavailable):
    """A key file is missing, open to others, or does not hold what it should. Its text names the file, no secret."""


class KeyKind(StrEnum):
    """The keys that a provider may sign with."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"


_MAKERS: dict[KeyKind, Callable[[], PrivateKey]] = {
    KeyKind.RSA_2048: lambda: rsa.generate_private_key(65537, 2048),
    KeyKind.RSA_3072: lambda: rsa.generate_private_key(65537, 3072),
    KeyKind.RSA_4096: lambda: rsa.generate_private_key(65537, 4096),
    KeyKind.EC_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyKind.EC_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
}


def new_key(kind: KeyKind) -> PrivateKey:
    return _MAKERS[kind]()


def key_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    """PKCS#8 in PEM, encrypted if there is a password."""
    encryption: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def write_secret(file: Path, data: bytes) -> None:
    """Write a new file that only its owner can read.

    Raises:
        FileExistsError: the file is there already; a key is never overwritten.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(descriptor)


def load_key(file: Path, password: bytes | None = None) -> tuple[PrivateKey, list[x509.Certificate]]:
    """Read a PEM or PKCS#12 file: the key, and the certificates that stand beside it, its own first.

    Raises:
        KeyRefused: see above.
    """
    refuse_readable_by_others(file)
    data = _read(file)
    return _pem(data, password, file) if PEM_PRIVATE_KEY.search(data) else _pkcs12(data, password, file)


def load_certificates(file: Path) -> list[x509.Certificate]:
    """Read the certificates of a PEM file, in order; at least one.

    Raises:
        KeyRefused: see above.
    """
    try:
        return x509.load_pem_x509_certificates(_read(file))
    except ValueError:
        raise KeyRefused(f"{file}: no certificates in PEM") from None


def load_trust(file: Path) -> Trust:
    """The authorities of a PEM file. Raises KeyRefused as ``load_certificates`` does."""
    return Trust(tuple(certificate.public_bytes(Encoding.DER) for certificate in load_certificates(file)))


def refuse_readable_by_others(file: Path) -> None:
    """A secret that everybody on the machine can read is none.

    Raises:
        KeyRefused: others may read or write it, the group may write it, or it cannot be looked at.
    """
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise KeyRefused(f"{file}: {error.strerror}") from error
    if mode & (OTHERS | GROUP_WRITE):
        raise KeyRefused(f"{file}: open to others (mode {mode & 0o777:04o}); make it 0600 or 0640")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyRefused(f"{file}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise KeyRefused(f"{file}: too large for a key or certificates")
    return data


def _pem(data: bytes, password: bytes | None, file: Path) -> tuple[PrivateKey, list[x509.Certificate]]:
    try:
        key = load_pem_private_key(data, password)
        certificates = x509.load_pem_x509_certificates(data) if PEM_CERTIFICATE in data else []
    except (ValueError, TypeError) as error:  # TypeError: a password is missing, or given for nothing
        raise KeyRefused(f"{file}: cannot be read; is the password right?") from error
    return _supported(key, file), certificates


def _pkcs12(data: bytes, password: bytes | None, file: Path) -> tuple[PrivateKey, list[x509.Certificate]]:
    try:
        bundle = load_pkcs12(data, password)
    except ValueError as error:
        raise KeyRefused(f"{file}: neither a PEM key nor PKCS#12 that this password opens") from error
    found = ([bundle.cert] if bundle.cert else []) + bundle.additional_certs
    return _supported(bundle.key, file), [each.certificate for each in found]


def _supported(key: object, file: Path) -> PrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyRefused(f"{file}: neither an RSA nor an elliptic-curve key")
    return key
