"""TLS contexts, for the connections we make and for those we answer."""

import ssl
from enum import StrEnum
from pathlib import Path

from gateway.drivers.keyfiles import KeyRefused, load_certificates, load_key, refuse_readable_by_others
from gateway.drivers.signers import same_key

__all__ = ["ClientContexts", "ServerTls", "TlsPolicy", "client_trusting", "client_with_certificate"]


class TlsPolicy(StrEnum):
    """What a destination needs before a message may go there (D10)."""

    VERIFY = "verify"  # TLS 1.2 or newer, certificate and host name checked
    ENCRYPT = "encrypt"  # TLS 1.2 or newer, with whoever answers
    OPPORTUNISTIC = "opportunistic"  # TLS if it is offered and works, else in clear


_ContextKey = tuple[TlsPolicy, str | None]


class ClientContexts:
    """Client contexts by policy and CA file, made once and kept until ``renew``."""

    def __init__(self) -> None:
        self._contexts: dict[_ContextKey, ssl.SSLContext] = {}

    def context(self, policy: TlsPolicy, ca_file: str | None) -> ssl.SSLContext:
        """The context for ``policy``; ``ca_file`` stands for the system's roots when it is None.

        Raises:
            OSError: the CA file cannot be read or holds no certificate (ssl.SSLError is an OSError).
        """
        key = (policy, ca_file if policy is TlsPolicy.VERIFY else None)
        if (context := self._contexts.get(key)) is None:
            context = self._contexts[key] = _client_context(*key)
        return context

    def renew(self) -> list[str]:
        """Read the CA files that are in use again (SIGHUP). What is wrong with those whose old content stays in use."""
        faults = []
        for policy, ca_file in list(self._contexts):
            try:
                self._contexts[policy, ca_file] = _client_context(policy, ca_file)
            except OSError as error:
                faults.append(f"{ca_file or 'the authorities of the system'}: {_reason(error)}")
        return faults


class ServerTls:
    """The gateway's own certificate, behind one context that every listening port shares.

    Raises:
        OSError: certificate or key cannot be read or do not belong together; the text names the files.
        KeyRefused: others can read the key.
    """

    def __init__(self, certificate_file: Path, key_file: Path, client_ca_file: Path | None = None) -> None:
        """``client_ca_file``: ask clients for a certificate under these authorities; who has none may still connect."""
        self._client_ca_file = client_ca_file
        self.context = self._current = _server_context(certificate_file, key_file, client_ca_file)
        self.context.sni_callback = self._choose

    def reload(self, certificate_file: Path, key_file: Path) -> None:
        """Take the certificate in these files for handshakes to come; live connections keep theirs (D33).

        Raises:
            OSError, KeyRefused: as at first; then the old certificate stays in use.
        """
        self._current = _server_context(certificate_file, key_file, self._client_ca_file)

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002
        """Called at each handshake, also when the client names no host.

        Another certificate in ``context`` itself would be there a moment without its key, or for good if reading fails.
        """
        connection.context = self._current


def client_with_certificate(
    ca_file: Path | None, certificate_file: Path | None, key_file: Path | None
) -> ssl.SSLContext:
    """A client context that verifies the server, and shows it our certificate if there is one.

    Args:
        ca_file: authorities of the server's certificate; those of the system if left out.

    Raises:
        OSError: a file cannot be read, or does not hold what it should; the text names it.
        KeyRefused: others can read the key.
    """
    try:
        context = _client_context(TlsPolicy.VERIFY, None if ca_file is None else str(ca_file))
    except OSError as error:
        raise OSError(f"{ca_file}: {_reason(error)}") from None
    if certificate_file is not None and key_file is not None:
        _load_certificate(context, certificate_file, key_file)
    return context


def client_trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A client context that verifies the server by the authorities in a file, or by those of the system.

    Raises:
        KeyRefused: the file cannot be read or holds no certificate; the text names it.
    """
    try:
        return client_with_certificate(ca_file, None, None)
    except OSError as error:
        raise KeyRefused(str(error)) from None


def _server_context(certificate_file: Path, key_file: Path, client_ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(context, certificate_file, key_file)
    if client_ca_file is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(client_ca_file)
        except OSError as error:
            raise OSError(f"{client_ca_file}: {_reason(error)}") from None
    return context


def _load_certificate(context: ssl.SSLContext, certificate_file: Path, key_file: Path) -> None:
    refuse_readable_by_others(key_file)
    try:
        context.load_cert_chain(certificate_file, key_file, password=_no_password)
    except OSError as error:
        fault = _fault_of(certificate_file, key_file) or f"{certificate_file}, {key_file}: {_reason(error)}"
        raise OSError(fault) from None


def _fault_of(certificate_file: Path, key_file: Path) -> str | None:
    """What is wrong with the two, where OpenSSL says only that something is."""
    try:
        certificate = load_certificates(certificate_file)[0]
        key, _ = load_key(key_file)
    except KeyRefused as refused:
        return str(refused)
    if same_key(key, certificate):
        return None
    return f"{key_file}: is not the key of the certificate in {certificate_file}"


def _no_password() -> bytes:
    """For an encrypted key, at which OpenSSL would ask the terminal and wait."""
    return b""


def _reason(error: OSError) -> str:
    """OpenSSL's word without its place in the source of Python."""
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return str(reason or error).replace("_", " ").lower()


def _client_context(policy: TlsPolicy, ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if policy is not TlsPolicy.VERIFY:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
