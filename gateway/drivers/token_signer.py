"""A signing key on a PKCS#11 token (RFC 6109 5.1, SIG-08), as ``providers.sealing.Signer``."""

import logging
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.drivers.keyfiles import KeyRefused
from gateway.drivers.signers import address_of, issuers_of
from gateway.drivers.token_process import FAILED, Token, serve
from providers.sealing import SignatureAlgorithm
from receipts.errors import SigningUnavailable

__all__ = ["Token", "TokenSigner"]

log = logging.getLogger(__name__)

OPENING_SECONDS: Final = 30.0
SIGNING_SECONDS: Final = 5.0
REOPENED_AFTER: Final = 5.0  # seconds, so that a token that is away is not asked for each message
PROBE: Final = b"the key of the certificate?"


class TokenSigner:
    """Signs in a process of its own, which is started again when it dies or hangs.

    Raises:
        KeyRefused: the token does not open, has no such key, or its key is not that of the certificate.
    """

    def __init__(
        self, token: Token, pin: str, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...]
    ) -> None:
        self._token, self._pin = token, pin
        self.certificate = certificate.public_bytes(Encoding.DER)
        self.chain = issuers_of(certificate, chain)
        self.address = address_of(certificate)
        self.algorithm = SignatureAlgorithm.ECDSA_SHA256 if token.elliptic else SignatureAlgorithm.RSA_SHA256
        self._one_at_a_time = threading.Lock()
        self._connection: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._opened_at = 0.0
        self._locked = False
        try:
            with self._one_at_a_time:
                self._open()
            _check(certificate, self.sign(PROBE))
        except (SigningUnavailable, InvalidSignature) as error:
            self.close()
            reason = "it is not the key of the certificate" if isinstance(error, InvalidSignature) else str(error)
            raise KeyRefused(f"{token}: {reason}") from error

    def sign(self, data: bytes) -> bytes:
        """Raises SigningUnavailable while the token is away."""
        with self._one_at_a_time:
            if self._connection is None:
                self._reopen()
            return self._ask(data)

    def close(self) -> None:
        """Let the token go."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.join()

    def _reopen(self) -> None:
        if self._locked or time.monotonic() - self._opened_at < REOPENED_AFTER:
            raise SigningUnavailable(f"{self._token}: away")
        log.warning("signing token opened again", extra={"token": self._token.label})
        self._open()

    def _open(self) -> None:
        """A PIN that is refused is not tried again: a token locks itself after a few."""
        self._opened_at = time.monotonic()
        context = multiprocessing.get_context("spawn")  # a library that is loaded must not be forked
        ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._token, self._pin), daemon=True, name="token")
        self._process.start()
        theirs.close()
        self._connection = ours
        try:
            self._answer(OPENING_SECONDS)
        except SigningUnavailable as error:
            self._locked = "Pin" in str(error)
            self.close()
            raise

    def _ask(self, data: bytes) -> bytes:
        assert self._connection is not None
        try:
            self._connection.send_bytes(data)
        except OSError as error:
            self.close()
            raise SigningUnavailable(f"{self._token}: its process has ended") from error
        return self._answer(SIGNING_SECONDS)

    def _answer(self, seconds: float) -> bytes:
        assert self._connection is not None
        try:
            if not self._connection.poll(seconds):
                raise TimeoutError
            answer = self._connection.recv_bytes()
        except (OSError, EOFError) as error:
            self.close()
            raise SigningUnavailable(f"{self._token}: no answer") from error
        if answer.startswith(FAILED):
            reason = answer[1:].decode("ascii", "replace")
            self.close()  # a session that has failed is a session to be opened anew
            raise SigningUnavailable(f"{self._token}: {reason}")
        return answer[1:]


def _check(certificate: x509.Certificate, signature: bytes) -> None:
    """Raises InvalidSignature if another key made it."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, PROBE, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, PROBE, ec.ECDSA(hashes.SHA256()))
    else:
        raise InvalidSignature
