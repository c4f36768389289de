"""TLS contexts, for the connections we make and for those we answer."""

import ssl
from enum import StrEnum
from pathlib import Path

__all__ = ["ClientContexts", "ServerTls", "TlsPolicy"]


class TlsPolicy(StrEnum):
    """What a destination needs before a message may go there (D10)."""

    VERIFY = "verify"  # TLS 1.2 or newer, certificate and host name checked
    ENCRYPT = "encrypt"  # TLS 1.2 or newer, with whoever answers
    OPPORTUNISTIC = "opportunistic"  # TLS if it is offered and works, else in clear


class ClientContexts:
    """Client contexts by policy and CA file, made once and kept until ``forget``."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[TlsPolicy, str | None], ssl.SSLContext] = {}

    def context(self, policy: TlsPolicy, ca_file: str | None) -> ssl.SSLContext:
        """The context for ``policy``; ``ca_file`` stands for the system's roots when it is None.

        Raises:
            OSError: the CA file cannot be read or holds no certificate (ssl.SSLError is an OSError).
        """
        key = (policy, ca_file if policy is TlsPolicy.VERIFY else None)
        if (context := self._contexts.get(key)) is None:
            context = self._contexts[key] = _client_context(*key)
        return context

    def forget(self) -> None:
        """Read CA files again from now on (SIGHUP)."""
        self._contexts.clear()


class ServerTls:
    """The gateway's own certificate, in one context that every listening port shares.

    Raises:
        OSError: certificate or key cannot be read or do not belong together.
    """

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        self._files = (certificate_file, key_file)
        self.context = self._load()

    def reload(self) -> None:
        """Take the files anew for handshakes to come; live connections keep theirs (D33).

        Raises:
            OSError: as at first; then the old certificate stays in use.
        """
        self._load()
        self.context.load_cert_chain(*self._files)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files)
        return context


def _client_context(policy: TlsPolicy, ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if policy is not TlsPolicy.VERIFY:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
