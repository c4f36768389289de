"""The configuration file on disk, and the files it names."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from config.load import ConfigurationError, Fault, load_settings
from config.settings import Settings
from gateway.drivers.keyfiles import KeyRefused, refuse_readable_by_others

__all__ = ["file_faults", "read_settings", "read_usable_settings"]


def read_settings(path: Path) -> Settings:
    """Read a TOML file with the environment over it; file names in it start in its folder.

    Raises:
        ConfigurationError: with everything wrong; a file that cannot be read counts as one fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigurationError([Fault("", f"cannot be read: {reason}")]) from None
    return load_settings(text, os.environ, path.absolute().parent)


def read_usable_settings(path: Path) -> Settings:
    """The same, with a look at the files that it names.

    Raises:
        ConfigurationError: with everything wrong.
    """
    settings = read_settings(path)
    if faults := tuple(file_faults(settings)):
        raise ConfigurationError(faults)
    return settings


def file_faults(settings: Settings) -> Iterator[Fault]:
    """What is wrong with the files that a configuration names, as far as their folder entry tells.

    The index may be missing: a provider can start without, and waits for it (D6).
    """
    relay, signing, index = settings.relay, settings.signing, settings.index
    secret = {
        "tls.key_file": settings.tls.key_file,
        "signing.key_file": signing.key_file,
        "signing.password_file": signing.password_file,
        "index.client_key_file": index.client_key_file,
    }
    plain = {
        "signing.certificate_file": signing.certificate_file,
        "signing.token_module": signing.token_module,
        "signing.chain_file": signing.chain_file,
        "tls.certificate_file": settings.tls.certificate_file,
        "trust.ca_file": settings.trust.ca_file,
        "index.signer_ca_file": index.signer_ca_file,
        "index.ca_file": index.ca_file,
        "index.client_certificate_file": index.client_certificate_file,
        "index.client_ca_file": index.client_ca_file,
        "legal_register.tsa_ca_file": settings.legal_register.tsa_ca_file,
        "relay.tls_ca_file": relay.tls_ca_file,
        **{f"relay.routes.{number}.tls_ca_file": route.tls_ca_file for number, route in enumerate(relay.routes)},
    }
    for key, path in (secret | plain).items():
        if path is not None and (reason := _unusable(path, secret=key in secret)):
            yield Fault(key, reason)
    if index.url is not None and not os.access(index.file.parent, os.W_OK):
        yield Fault("index.file", f"{index.file.parent}: the index that is fetched cannot be written there")


def _unusable(path: Path, *, secret: bool) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not stat.S_ISREG(mode):
        return f"{path}: is no file"
    if not os.access(path, os.R_OK):
        return f"{path}: may not be read"
    if secret:
        try:
            refuse_readable_by_others(path)
        except KeyRefused as error:
            return str(error)
    return None
