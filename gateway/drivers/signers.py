"""Signing keys of this process, as ``providers.sealing.Signer``."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.drivers.keyfiles import KeyRefused, PrivateKey, load_certificates, load_key
from providers.sealing import SignatureAlgorithm
from receipts.errors import SigningUnavailable

__all__ = ["KeyRefused", "SoftwareSigner", "address_of", "issuers_of", "load_signer", "same_key"]


class SoftwareSigner:
    """A key in this process's memory. ``sign`` releases the GIL and may be called from several threads.

    Args:
        chain: the issuing CAs; roots are left out.

    Raises:
        KeyRefused: the certificate is over another key or names no mail address, or the key is too weak.
    """

    def __init__(self, key: PrivateKey, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...]) -> None:
        if not same_key(key, certificate):
            raise KeyRefused("the certificate is over another key")
        self._key = key
        self._algorithm = _algorithm(key)
        self._address = address_of(certificate)
        self._certificate = certificate.public_bytes(Encoding.DER)
        self._chain = issuers_of(certificate, chain)

    @property
    def certificate(self) -> bytes:
        return self._certificate

    @property
    def chain(self) -> tuple[bytes, ...]:
        return self._chain

    @property
    def address(self) -> str:
        return self._address

    @property
    def algorithm(self) -> SignatureAlgorithm:
        return self._algorithm

    def sign(self, data: bytes) -> bytes:
        try:
            if isinstance(self._key, rsa.RSAPrivateKey):
                return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            return self._key.sign(data, ec.ECDSA(hashes.SHA256()))
        except Exception as error:
            raise SigningUnavailable("the key does not sign") from error


def load_signer(
    key_file: Path,
    certificate_file: Path | None = None,
    chain_file: Path | None = None,
    password: bytes | None = None,
) -> SoftwareSigner:
    """Read a key and its certificates: PEM files, or one PKCS#12 file that may hold them all.

    Args:
        certificate_file: PEM; may be left out when the key's own file holds the certificate.
        chain_file: PEM of the issuing CAs; without it those found beside the key or behind the certificate.

    Raises:
        KeyRefused: see above.
    """
    key, certificates = load_key(key_file, password)
    if certificate_file is not None:
        certificates = [*load_certificates(certificate_file), *certificates]
    if not certificates:
        raise KeyRefused(f"{key_file}: no certificate beside the key")
    certificate, *chain = certificates
    if chain_file is not None:
        chain = load_certificates(chain_file)
    try:
        return SoftwareSigner(key, certificate, tuple(chain))
    except KeyRefused as error:
        raise KeyRefused(f"{key_file}: {error}") from error


def same_key(key: PrivateKey, certificate: x509.Certificate) -> bool:
    """Whether the certificate is over this key."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def _algorithm(key: PrivateKey) -> SignatureAlgorithm:
    if isinstance(key, rsa.RSAPrivateKey):
        if not 2048 <= key.key_size <= 4096:
            raise KeyRefused("an RSA key has 2048 to 4096 bits here")
        return SignatureAlgorithm.RSA_SHA256
    if not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise KeyRefused("an elliptic-curve key is on P-256 or P-384 here")
    return SignatureAlgorithm.ECDSA_SHA256


def issuers_of(certificate: x509.Certificate, chain: tuple[x509.Certificate, ...]) -> tuple[bytes, ...]:
    """DER of the chain as it travels inside signatures: each once, no root, not the certificate itself."""
    issuers = dict.fromkeys(each for each in chain if each.subject != each.issuer and each != certificate)
    return tuple(issuer.public_bytes(Encoding.DER) for issuer in issuers)


def address_of(certificate: x509.Certificate) -> str:
    """The first mail address in it. Raises KeyRefused if there is none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        raise KeyRefused("the certificate names no mail address") from None
    addresses = names.get_values_for_type(x509.RFC822Name)
    if not addresses:
        raise KeyRefused("the certificate names no mail address")
    return addresses[0]
