"""``ceralacca index pull`` and ``push``: the directory on an LDAP server, read out, or made equal to an index."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, settings_or_exit
from gateway.commands.domain import shown
from gateway.commands.indexes.reading import content_of, read_bounded, unusable
from gateway.drivers.ldap_directory import LdapFailed, LdapServer
from gateway.drivers.ldap_directory import pull as pull_from
from gateway.drivers.ldap_directory import push as push_to
from providers.chains import Trust
from providers.directory import read_directory, read_signed_index
from providers.ldif import LdifRecord, read_ldif
from providers.records import LOCATION, ROOT_DN, entries
from providers.sync import place_file

__all__ = ["pull", "push"]

UrlOption = Annotated[str, typer.Option("--ldap", help="ldaps://HOST[:PORT], or ldap:// with --start-tls.")]
UserOption = Annotated[str | None, typer.Option("--user", help="As whom to sign in: a distinguished name.")]
PasswordOption = Annotated[
    Path | None, typer.Option("--password-file", help="A file whose first line is the password.")
]
CaOption = Annotated[Path | None, typer.Option("--ca", help="PEM file with the authorities of the server.")]
CertificateOption = Annotated[Path | None, typer.Option("--certificate", help="PEM file to show the server.")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="PEM file with its private key.")]
StartTlsOption = Annotated[bool, typer.Option("--start-tls", help="Begin TLS on an ldap:// connection.")]


def pull(
    ldap: UrlOption,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; stdout if left out.")] = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    *,
    start_tls: StartTlsOption = False,
) -> None:
    """Read the whole directory out of an LDAP server, as LDIF.

    Nobody has signed what comes: look into it with "index check", sign it with "index sign" if you are who signs.
    """
    try:
        ldif = pull_from(_server(ldap, user, password_file, ca, certificate, key, start_tls=start_tls))
        directory = read_directory(ldif)
        if out is None:
            typer.echo(ldif.decode("utf-8", "replace"), nl=False)
        else:
            place_file(out, ldif)
    except (LdapFailed, OSError, ValueError) as error:
        raise unusable(shown(str(error))) from None
    for refusal in directory.refused:
        typer.echo(f"would be refused: {shown(refusal.record)}: {shown(refusal.reason)}", err=True)
    typer.echo(f"{out or ldap}: {len(directory.records)} providers, {len(directory.domains)} domains", err=True)


def push(
    ldap: UrlOption,
    config: ConfigOption = DEFAULT_CONFIG,
    file: Annotated[
        Path | None, typer.Option("--file", help="A signed index (.p7m) or LDIF instead of the configured index.")
    ] = None,
    user: UserOption = None,
    password_file: PasswordOption = None,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    *,
    start_tls: StartTlsOption = False,
) -> None:
    """Make the directory on an LDAP server equal to an index: entries are added, changed and removed.

    The configured index is taken only if its signature holds; a file that is named is taken as it is. Records that would be refused do not go.
    """  # noqa: E501  (a paragraph is one line, or the help breaks where this file does)
    try:
        ldif = content_of(read_bounded(file)) if file is not None else _configured(config)
        directory = read_directory(ldif)
        if not directory.records:
            raise ValueError("it holds no provider; nothing was changed")
        server = _server(ldap, user, password_file, ca, certificate, key, start_tls=start_tls)
        done = push_to(server, list(entries(directory.records, _location(ldif))))
    except (LdapFailed, OSError, ValueError) as error:
        raise unusable(shown(str(error))) from None
    typer.echo(f"{ldap}: {done.added} entries added, {done.changed} changed, {done.removed} removed")


def _configured(config: Path) -> bytes:
    index = settings_or_exit(config).index
    data = read_bounded(index.file)
    read_signed_index(data, Trust.of_pem(index.signer_ca_file.read_bytes()).anchors, datetime.now(UTC))
    return content_of(data)


def _location(ldif: bytes) -> str | None:
    """Where the whole directory can be fetched, as its root says."""
    for record in read_ldif(ldif):
        if isinstance(record, LdifRecord) and record.dn.replace(" ", "").lower() == ROOT_DN:
            found = record.all(LOCATION)
            return found[0].decode("utf-8", "replace") if found else None
    return None


def _server(
    url: str,
    user: str | None,
    password_file: Path | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    *,
    start_tls: bool,
) -> LdapServer:
    if (user is None) != (password_file is None) or (certificate is None) != (key is None):
        raise ValueError("--user and --password-file belong together, and so do --certificate and --key")
    password = None
    if password_file is not None:
        password = password_file.read_text("utf-8").partition("\n")[0].rstrip("\r")
        if not password:  # an LDAP server takes an empty one for nobody's sign-in, and lets it in
            raise ValueError(f"{password_file}: its first line is empty")
    return LdapServer(
        url=url,
        user=user,
        password=password,
        ca_file=ca,
        certificate_file=certificate,
        key_file=key,
        start_tls=start_tls,
    )
