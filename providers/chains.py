"""Certificate chains: from a leaf to the authorities that we trust, at a given time (D5).

OpenSSL builds and judges them, because the real authority of today's providers has critical name constraints with
directory names, which the path validation of ``cryptography`` refuses. Key usage is not judged here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.crypto import (
    FILETYPE_ASN1,
    X509,
    X509Store,
    X509StoreContext,
    X509StoreContextError,
    X509StoreFlags,
    load_certificate,
)
from OpenSSL.crypto import Error as OpenSslError

from providers.certificates import CertificateFacts, read_certificate
from providers.der import DerError, element
from receipts.records import record

__all__ = ["Chain", "ChainCache", "Trust", "verify_chain"]

MAX_CACHED = 512
MAX_CACHED_BYTES = 8 * 1024
"""A larger certificate is read anew each time, so that the cache stays small whoever fills it."""
NEVER = datetime.min.replace(tzinfo=UTC)

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Trust:
    """The authorities we trust, DER. ``fingerprint`` names the set."""

    anchors: tuple[bytes, ...]
    fingerprint: bytes = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(b"".join(hashlib.sha256(anchor).digest() for anchor in self.anchors))
        object.__setattr__(self, "fingerprint", digest.digest())

    @classmethod
    def of_pem(cls, *files: bytes) -> "Trust":
        """The certificates of PEM files.

        Raises:
            ValueError: a file holds none, or a broken one.
        """
        found = [certificate for data in files for certificate in x509.load_pem_x509_certificates(data)]
        return cls(tuple(certificate.public_bytes(Encoding.DER) for certificate in found))


@record()
class Chain:
    """Whether a leaf reaches a trusted authority, why not, and how long the answer holds."""

    ok: bool
    detail: str
    valid_from: datetime = NEVER
    valid_until: datetime = NEVER
    path: tuple[bytes, ...] = ()  # DER of a good chain, from the leaf to the authority that is trusted


class ChainCache:
    """What was read and proven lately, handed in by the caller; it only ever saves time.

    Only good chains are kept: an attacker who sends a good leaf without its authorities makes nobody else fail. The
    key is leaf, trust and hour; the answer also holds no longer than any certificate of the chain.
    """

    def __init__(self) -> None:
        self._chains: dict[tuple[bytes, bytes, int], Chain] = {}
        self._certificates: dict[bytes, CertificateFacts] = {}

    def authorities(self) -> tuple[bytes, ...]:
        """DER of the intermediate authorities of the good chains that are remembered."""
        return tuple(dict.fromkeys(der for chain in list(self._chains.values()) for der in chain.path[1:-1]))

    def certificate(self, der: bytes) -> CertificateFacts:
        """``read_certificate``, remembered.

        Raises:
            CertificateError: see there.
        """
        found = self._certificates.get(der)
        if found is None:
            found = read_certificate(der)
            if len(der) <= MAX_CACHED_BYTES:
                _keep(self._certificates, der, found)
        return found

    def chain(self, leaf: bytes, intermediates: Iterable[bytes], trust: Trust, at: datetime) -> Chain:
        """``verify_chain``, remembered."""
        key = (hashlib.sha256(leaf).digest(), trust.fingerprint, int(at.timestamp()) // 3600)
        chain = self._chains.get(key)
        if chain is None or not chain.valid_from <= at <= chain.valid_until:
            chain = verify_chain(leaf, intermediates, trust, at)
            if chain.ok:
                _keep(self._chains, key, chain)
        return chain


def verify_chain(leaf: bytes, intermediates: Iterable[bytes], trust: Trust, at: datetime) -> Chain:
    """Judge whether ``leaf`` reaches a trusted authority at ``at``, with the help of untrusted intermediates (DER).

    An authority that is trusted need not be a root.
    """
    try:
        store = _store(trust, at)
        context = X509StoreContext(store, _certificate(leaf), _loaded(intermediates))
        found = [certificate.to_cryptography() for certificate in context.get_verified_chain()]
    except X509StoreContextError as error:
        return Chain(False, str(error))
    except (OpenSslError, ValueError) as error:
        return Chain(False, f"a certificate cannot be read ({type(error).__name__})")
    return Chain(
        True,
        " < ".join(each.subject.rfc4514_string() for each in found[1:]) or "it is trusted itself",
        max(each.not_valid_before_utc for each in found),
        min(each.not_valid_after_utc for each in found),
        tuple(each.public_bytes(Encoding.DER) for each in found),
    )


def _store(trust: Trust, at: datetime) -> X509Store:
    store = X509Store()
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    for anchor in trust.anchors:
        store.add_cert(load_certificate(FILETYPE_ASN1, anchor))
    store.set_time(at.astimezone(UTC))
    return store


def _loaded(certificates: Iterable[bytes]) -> list[X509]:
    """Those that can be read; a broken one only fails a chain that needs it."""
    loaded = []
    for der in certificates:
        try:
            loaded.append(_certificate(der))
        except (OpenSslError, DerError):
            continue
    return loaded


def _certificate(der: bytes) -> X509:
    """Raises OpenSslError or DerError. OpenSSL alone would not mind what follows behind a certificate."""
    if element(der, 0, len(der))[2] != len(der):
        raise DerError("bytes follow the certificate")
    return load_certificate(FILETYPE_ASN1, der)


def _keep(cache: dict[Key, Value], key: Key, value: Value) -> None:
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = value
