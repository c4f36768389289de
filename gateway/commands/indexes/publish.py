"""``ceralacca index publish``: this provider's own record, signed, for the authority that keeps the index (DIR-02)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding

from config.settings import Settings
from gateway.app import terms
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, shown
from gateway.commands.indexes.reading import content_of, read_bounded, unusable
from gateway.drivers.keyfiles import KeyRefused, load_certificates
from gateway.storage import domains
from providers.directory import read_directory, sign_index
from providers.index_report import Weight, report_on
from providers.records import ProviderRecord, write_records
from providers.sync import place_file
from receipts.errors import SigningUnavailable

__all__ = ["publish"]


def publish(
    config: ConfigOption = DEFAULT_CONFIG,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where the signed record goes instead of index.record_file.")
    ] = None,
    certificate: Annotated[
        list[Path] | None,
        typer.Option(help="PEM file with one more certificate of ours: the next, or the last. May be repeated."),
    ] = None,
    unit: Annotated[
        list[Path] | None,
        typer.Option(help="LDIF or .p7m with the records of a secondary environment of ours. May be repeated."),
    ] = None,
    as_unit: Annotated[
        str | None, typer.Option(help="We are the secondary environment of this name, not the main one.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What stands in the record as its description.")] = None,
    *,
    ldif: Annotated[bool, typer.Option("--ldif", help="Print the LDIF; sign and write nothing.")] = False,
) -> None:
    """Write this provider's record as others should know it: name, domains, certificates, service address; signed.

    The HTTPS port serves it as /record.ldif.p7m. A new certificate belongs into it, beside the old one, in good time before it is used.
    """  # noqa: E501  (a paragraph is one line, or the help breaks where this file does)
    with opened(config) as (settings, storage):
        managed = storage.read_now(domains.local_domains)
    try:
        signer = terms.signer(settings)
        certificates = (signer.certificate, *(der for file in certificate or () for der in _certificates(file)))
        own = _record(settings, managed, certificates, as_unit, description)
        data = write_records([own, *(each for file in unit or () for each in _units(file, own))])
        _judge(data)
        if ldif:
            typer.echo(data.decode(), nl=False)
            return
        target = out or settings.index.record_file
        if target is None:
            raise unusable("index.record_file is not set; name a file with --out")
        place_file(target, sign_index(data, signer, datetime.now(UTC)))
    except (OSError, ValueError, SigningUnavailable) as error:
        raise unusable(str(error)) from None
    typer.echo(f"{target}: {own.dn}, {len(managed)} domains, {len(set(certificates))} certificates")


def _record(
    settings: Settings,
    domains: frozenset[str],
    certificates: Sequence[bytes],
    unit: str | None,
    description: str | None,
) -> ProviderRecord:
    if not domains:
        raise ValueError("this provider has no domain yet: ceralacca domain add")
    return ProviderRecord(
        name=settings.provider.name,
        unit=unit,
        certificates=tuple(dict.fromkeys(certificates)),
        mail_receipt=settings.provider.service_address,
        managed_domains=domains,
        ldif_url=None if unit else settings.index.record_url,
        description=description,
    )


def _certificates(file: Path) -> list[bytes]:
    """The first of the file, which is the provider's; its issuers may follow."""
    try:
        return [load_certificates(file)[0].public_bytes(Encoding.DER)]
    except KeyRefused as error:
        raise ValueError(str(error)) from None


def _units(file: Path, own: ProviderRecord) -> list[ProviderRecord]:
    directory = read_directory(content_of(read_bounded(file)))
    if directory.refused:
        raise ValueError(f"{file}: {directory.refused[0].record}: {directory.refused[0].reason}")
    for record in directory.records:
        if record.unit is None or record.owner != own.owner:
            raise ValueError(f"{file}: {record.dn} is no secondary environment of {own.name}")
    return list(directory.records)


def _judge(data: bytes) -> None:
    """Tell what is wrong with the record; raises ValueError if others would refuse it."""
    directory, findings = report_on(data, datetime.now(UTC), whole=False)
    for finding in findings:
        typer.echo(f"{finding.weight}: {finding.rule}: {shown(finding.text)}", err=True)
    if directory.refused or not directory.records:
        raise ValueError("the record would be refused; nothing was written")
    if any(finding.weight is Weight.FAULT for finding in findings):
        typer.echo("the record was made all the same; others may refuse it", err=True)
