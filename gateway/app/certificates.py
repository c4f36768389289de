"""Whether keys, certificates and authorities that a configuration names can be used, before anything is started."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from config.load import Fault
from config.settings import Settings
from gateway.app import terms
from gateway.drivers.keyfiles import KeyRefused, load_certificates
from gateway.drivers.tls import ServerTls
from receipts.errors import SigningUnavailable

__all__ = ["certificate_faults", "warn_of_end"]

log = logging.getLogger(__name__)


def certificate_faults(settings: Settings, at: datetime) -> Iterator[Fault]:
    """What is wrong with the content of the files: no certificates, another key, a certificate that has ended.

    A key on a token is not asked for: a PIN that is refused may lock it.
    """
    tls, signing = settings.tls, settings.signing
    try:
        ServerTls(tls.certificate_file, tls.key_file)
    except (KeyRefused, OSError) as error:
        yield Fault("tls", str(error))
    else:
        yield from _ended("tls.certificate_file", tls.certificate_file, at)
    if signing.token_module is None:
        try:
            terms.signer(settings)
        except SigningUnavailable as error:
            yield Fault("signing", str(error))
        else:
            if signing.certificate_file is not None:
                yield from _ended("signing.certificate_file", signing.certificate_file, at)
    for name, file in _authorities(settings):
        try:
            load_certificates(file)
        except KeyRefused as error:
            yield Fault(name, str(error))


def _end_of(file: Path, at: datetime) -> datetime | None:
    """When the certificate of a file ended, if it has. Raises KeyRefused if there is none in it."""
    certificate: x509.Certificate = load_certificates(file)[0]
    end = certificate.not_valid_after_utc
    return end if end < at else None


def warn_of_end(settings: Settings) -> None:
    """Say in the log that the certificate of the ports has ended: whoever checks it no longer comes in."""
    file = settings.tls.certificate_file
    if (end := _end_of(file, datetime.now(UTC))) is not None:
        log.error("TLS certificate has ended", extra={"file": str(file), "ended": end})


def _ended(name: str, file: Path, at: datetime) -> Iterator[Fault]:
    if (end := _end_of(file, at)) is not None:
        yield Fault(name, f"{file}: the certificate ended on {end:%Y-%m-%d}")


def _authorities(settings: Settings) -> Iterator[tuple[str, Path]]:
    index, relay = settings.index, settings.relay
    named = {
        "trust.ca_file": settings.trust.ca_file,
        "index.signer_ca_file": index.signer_ca_file,
        "index.ca_file": index.ca_file,
        "index.client_ca_file": index.client_ca_file,
        "legal_register.tsa_ca_file": settings.legal_register.tsa_ca_file,
        "relay.tls_ca_file": relay.tls_ca_file,
        **{f"relay.routes.{number}.tls_ca_file": route.tls_ca_file for number, route in enumerate(relay.routes)},
    }
    return ((name, file) for name, file in named.items() if file is not None)
