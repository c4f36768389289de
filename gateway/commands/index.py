"""``ceralacca index``: what the signed index of certified providers says, and how one is signed.

Its larger commands have modules of their own in ``gateway.commands.indexes``.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.indexes.check import check
from gateway.commands.indexes.diff import diff
from gateway.commands.indexes.fetched import fetched
from gateway.commands.indexes.ldap import pull, push
from gateway.commands.indexes.publish import publish
from gateway.commands.indexes.reading import CaOption, FileOption, JsonOption, read_index, title, unusable
from gateway.commands.indexes.update import update
from gateway.drivers.signers import load_signer
from providers.certificates import CertificateError, read_certificate
from providers.directory import Directory, IndexRefused, read_directory, sign_index
from providers.sync import place_file
from receipts.errors import SigningUnavailable
from receipts.identifiers import domain_of

__all__ = ["app"]

app = typer.Typer(
    help="The index of certified providers: fetch, look into, compare, check, publish, sign.",
    no_args_is_help=True,
    add_completion=False,
)
for command in (check, diff, fetched, publish, pull, push, update):
    app.command()(command)

NOT_CERTIFIED = 1  # exit code


@app.command()
def show(
    config: ConfigOption = DEFAULT_CONFIG, file: FileOption = None, ca: CaOption = None, *, as_json: JsonOption = False
) -> None:
    """Check the signature of the index, and list its providers and what was refused."""
    directory = read_index(config, file, ca)
    if as_json:
        typer.echo(json.dumps(_as_json(directory), ensure_ascii=False, indent=2))
        return
    signed = directory.signed_at.isoformat() if directory.signed_at else "at an unknown time"
    typer.echo(f"{len(directory.records)} providers, signed {signed}, version {directory.version[:16]}")
    for record in directory.records:
        typer.echo(f"\n{title(record)}\n  receipts to  {record.mail_receipt}")
        typer.echo(f"  domains      {', '.join(sorted(record.managed_domains))}")
        for certificate in record.certificates:
            typer.echo(f"  certificate  {_validity(certificate)}")
    for refusal in directory.refused:
        typer.echo(f"\nrefused: {refusal.record or 'a record'}: {refusal.reason}")


@app.command()
def find(
    names: Annotated[list[str], typer.Argument(metavar="DOMAIN|ADDRESS...")],
    config: ConfigOption = DEFAULT_CONFIG,
    file: FileOption = None,
    ca: CaOption = None,
) -> None:
    """Say which provider manages a domain or an address; exit code 1 when one of them is not certified."""
    directory = read_index(config, file, ca)
    found = {name: directory.by_domain(domain_of(f"@{name.rpartition('@')[2]}")) for name in names}
    for name, record in found.items():
        typer.echo(f"{name}: {title(record) if record else 'not certified'}")
    if not all(found.values()):
        raise typer.Exit(NOT_CERTIFIED)


@app.command()
def sign(
    ldif: Annotated[Path, typer.Argument(help="The records, as LDIF.")],
    output: Annotated[Path, typer.Argument(help="Where the signed index (.p7m) goes.")],
    key: Annotated[Path, typer.Option(help="PEM or PKCS#12 file with the key of the index's authority.")],
    certificate: Annotated[Path | None, typer.Option(help="PEM file with its certificate.")] = None,
    chain: Annotated[Path | None, typer.Option(help="PEM file with the certificates of its issuers.")] = None,
) -> None:
    """Sign an LDIF file, as the authority that publishes the index does."""
    try:
        records = ldif.read_bytes()
        directory = read_directory(records)
        for refusal in directory.refused:
            typer.echo(f"{ldif}: {refusal.record or 'a record'}: {refusal.reason}", err=True)
        if directory.refused or not directory.records:
            raise IndexRefused("records above would be refused" if directory.refused else "it holds no provider")
        place_file(output, sign_index(records, load_signer(key, certificate, chain), datetime.now(UTC)))
    except (OSError, IndexRefused, SigningUnavailable) as error:
        raise unusable(f"{ldif}: {error}") from None
    typer.echo(f"{output}: {len(directory.records)} providers, version {directory.version[:16]}")


def _validity(der: bytes) -> str:
    try:
        facts = read_certificate(der)
    except CertificateError as error:
        return f"unreadable: {error}"
    return f"{', '.join(facts.emails)}, {facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}"


def _as_json(directory: Directory) -> dict[str, object]:
    return {
        "version": directory.version,
        "signed_at": directory.signed_at.isoformat() if directory.signed_at else None,
        "providers": [
            {
                "name": record.name,
                "unit": record.unit,
                "mail_receipt": record.mail_receipt,
                "managed_domains": sorted(record.managed_domains),
                "certificates": [_validity(certificate) for certificate in record.certificates],
            }
            for record in directory.records
        ],
        "refused": [{"record": refusal.record, "reason": refusal.reason} for refusal in directory.refused],
    }
