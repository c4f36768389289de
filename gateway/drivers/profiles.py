"""Configuration profiles signed with the certificate of the servers, which programs trust already."""

from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from gateway.drivers.keyfiles import load_certificates, load_key

__all__ = ["sign_profile"]


def sign_profile(profile: bytes, certificate_file: Path, key_file: Path) -> bytes:
    """The profile inside CMS SignedData, in DER, with the issuers that stand in the certificate's file.

    Never with the key that seals receipts: what it signs is a legal act.

    Raises:
        KeyRefused: key or certificate cannot be used.
    """
    key, _ = load_key(key_file, None)
    leaf, *issuers = load_certificates(certificate_file)
    builder = PKCS7SignatureBuilder().set_data(profile).add_signer(leaf, key, SHA256())
    for issuer in issuers:
        builder = builder.add_certificate(issuer)
    return builder.sign(Encoding.DER, [PKCS7Options.Binary])
