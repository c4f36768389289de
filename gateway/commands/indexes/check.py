"""``ceralacca index check``: everything that is wrong with an index file, record by record."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, settings_or_exit
from gateway.commands.domain import shown
from gateway.commands.indexes.reading import CaOption, JsonOption, content_of, is_signed, read_bounded, unusable
from gateway.commands.reasons import reason_of
from providers.chains import Trust
from providers.directory import Directory, IndexRefused, read_signed_index
from providers.index_report import Finding, Weight, report_on

__all__ = ["check"]

FAULTY = 1  # exit code


def check(
    file: Annotated[
        Path | None, typer.Argument(help="A signed index (.p7m) or an LDIF file; the configured index if left out.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    ca: CaOption = None,
    *,
    record: Annotated[
        bool, typer.Option("--record", help="It is the file of one provider, not the whole directory.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with an index: its signature, its form, each record, each certificate.

    Leaves with 1 if there is a fault; notes alone do not count.
    """
    if file is None:
        index = settings_or_exit(config).index
        file, ca = index.file, ca or index.signer_ca_file
    now = datetime.now(UTC)
    try:
        data = read_bounded(file)
        directory, found = report_on(content_of(data), now, whole=not record)
        findings = (*_signature(data, ca, now), *found)
    except (OSError, ValueError) as error:
        raise unusable(reason_of(error) if isinstance(error, OSError) else f"{file}: {error}") from None
    if as_json:
        typer.echo(json.dumps(_as_json(directory, findings), ensure_ascii=False, indent=2))
    else:
        _print(file, directory, findings)
    if any(finding.weight is Weight.FAULT for finding in findings):
        raise typer.Exit(FAULTY)


def _signature(data: bytes, ca: Path | None, now: datetime) -> tuple[Finding, ...]:
    if not is_signed(data):
        return (Finding(Weight.NOTE, "", "DIR-04", "it is not signed"),)
    if ca is None:
        return (Finding(Weight.NOTE, "", "DIR-08", "its signature was not checked: name the authorities with --ca"),)
    try:
        read_signed_index(data, Trust.of_pem(ca.read_bytes()).anchors, now)
    except IndexRefused as error:
        return (Finding(Weight.FAULT, "", "DIR-08", str(error)),)
    return ()


def _print(file: Path, directory: Directory, findings: Sequence[Finding]) -> None:
    faults = sum(finding.weight is Weight.FAULT for finding in findings)
    counted = f"{len(directory.records)} records, {len(directory.domains)} domains"
    typer.echo(f"{file}: {counted}; {faults} faults, {len(findings) - faults} notes")
    where = ""
    for finding in findings:
        if finding.where and finding.where != where:
            typer.echo(f"\n{shown(finding.where)}")
        where = finding.where
        typer.echo(f"  {finding.weight:5}  {finding.rule:7} {shown(finding.text)}")


def _as_json(directory: Directory, findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "records": len(directory.records),
        "domains": len(directory.domains),
        "findings": [
            {"weight": each.weight, "record": each.where or None, "rule": each.rule, "text": each.text}
            for each in findings
        ],
    }
