"""``ceralacca key``: make the provider's signing key, ask for its certificate, see what a certificate lacks (D33)."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.drivers.keyfiles import (
    KeyKind,
    KeyRefused,
    PrivateKey,
    key_pem,
    load_certificates,
    load_key,
    new_key,
    write_secret,
)
from gateway.drivers.signers import same_key
from providers.certificate_requests import signing_request
from providers.certificates import CertificateError, profile_faults, read_certificate
from receipts.identifiers import is_smtp_address

__all__ = ["app"]

app = typer.Typer(
    help="Make, request and check the provider's signing key.", no_args_is_help=True, add_completion=False
)

LACKING, REFUSED = 1, 2

KeyFile = Annotated[Path, typer.Option("--key", help="The private key: PEM or PKCS#12.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="A file with the key's password; - reads it from stdin.")
]


@app.command()
def new(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to make; never overwritten.")],
    kind: Annotated[KeyKind, typer.Option("--type", help="What kind of key.")] = KeyKind.RSA_2048,
    password_file: PasswordFile = None,
) -> None:
    """Make a private key, in a file that only its owner can read."""
    try:
        write_secret(out, key_pem(new_key(kind), _password(password_file)))
    except OSError as error:
        _leave(f"{out}: {error.strerror}")
    typer.echo(f"{out}: a new {kind} key. Keep a copy in a safe place.")


@app.command()
def csr(
    key: KeyFile,
    name: Annotated[str, typer.Option("--name", help="The provider's name, as in the index.")],
    address: Annotated[str, typer.Option("--address", help="The service address: From of every receipt.")],
    country: Annotated[str, typer.Option("--country", help="Two letters.")] = "IT",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; stdout if left out.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Ask for a certificate that meets the profile of RFC 6109 section 5.5."""
    if not is_smtp_address(address):
        _leave(f"{address} is no mail address")
    private, _ = _load(key, password_file)
    try:
        request = signing_request(name, address, country).sign(private, hashes.SHA256())
    except ValueError as error:
        _leave(str(error))
    pem = request.public_bytes(Encoding.PEM)
    if out is None:
        typer.echo(pem.decode(), nl=False)
        return
    try:
        out.write_bytes(pem)
    except OSError as error:
        _leave(f"{out}: {error.strerror}")
    typer.echo(f"{out}: a request for {name} <{address}>")


@app.command()
def check(
    certificate: Annotated[Path, typer.Argument(help="The provider's certificate in PEM.")],
    key: Annotated[Path | None, typer.Option("--key", help="Check that the certificate is over this key.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The provider's name, as in the index.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="The service address.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Say what a certificate lacks of the profile of RFC 6109 section 5.5. Leaves with 1 if it lacks something."""
    try:
        found = load_certificates(certificate)[0]
        der = found.public_bytes(Encoding.DER)
        faults = list(profile_faults(der, name, address))
        facts = read_certificate(der)
    except KeyRefused as error:  # names the file itself
        _leave(str(error))
    except CertificateError as error:
        _leave(f"{certificate}: {error}")
    if key is not None and not same_key(_load(key, password_file)[0], found):
        faults.append(f"it is not over the key in {key}")
    typer.echo(f"{certificate}: {facts.subject}, {facts.email or 'no address'}")
    typer.echo(f"  valid from {facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}")
    for fault in faults:
        typer.echo(f"  lacking: {fault}")
    if faults:
        raise typer.Exit(LACKING)
    typer.echo("  it meets the profile")


def _load(file: Path, password_file: Path | None) -> tuple[PrivateKey, list[x509.Certificate]]:
    try:
        return load_key(file, _password(password_file))
    except KeyRefused as error:
        _leave(str(error))


def _password(file: Path | None) -> bytes | None:
    """Passwords come from a file or stdin, never from the command line, which everybody on the machine can read."""
    if file is None:
        return None
    try:
        text = sys.stdin.buffer.readline() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        _leave(f"{file}: {error.strerror}")
    password = text.rstrip(b"\r\n")
    if not password:
        _leave("the password is empty")
    return password


def _leave(why: str) -> NoReturn:
    typer.echo(why, err=True)
    raise typer.Exit(REFUSED)
