"""``ceralacca index diff``: what one index says otherwise than another."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, settings_or_exit
from gateway.commands.domain import shown
from gateway.commands.indexes.reading import JsonOption, content_of, read_bounded, unusable
from gateway.commands.reasons import reason_of
from providers.directory import Directory, read_directory
from providers.index_diff import Change, changes

__all__ = ["diff", "print_changes"]

DIFFERENT = 1  # exit code


def diff(
    old: Annotated[Path, typer.Argument(help="A signed index (.p7m) or an LDIF file.")],
    new: Annotated[Path | None, typer.Argument(help="Another; the configured index if left out.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say which providers came, went or changed. Signatures are not checked. Leaves with 1 if anything did."""
    found = changes(_read(old), _read(new or settings_or_exit(config).index.file))
    if as_json:
        typer.echo(json.dumps([asdict(change) for change in found], ensure_ascii=False, indent=2))
    else:
        print_changes(found)
    if found:
        raise typer.Exit(DIFFERENT)


def print_changes(found: Sequence[Change]) -> None:
    """One record after the other, what it says now and no longer."""
    for change in found:
        typer.echo(f"{change.kind}: {shown(change.record)}")
        for sign, facts in (("-", change.removed), ("+", change.added)):
            for fact in facts:
                typer.echo(f"  {sign} {shown(fact)}")
    if not found:
        typer.echo("the same providers, domains and certificates")


def _read(file: Path) -> Directory:
    try:
        found = read_directory(content_of(read_bounded(file)))
        if not found.records and found.refused:
            raise ValueError(f"no provider can be read in it: {found.refused[0].reason}")
        return found
    except (OSError, ValueError) as error:
        raise unusable(reason_of(error) if isinstance(error, OSError) else f"{file}: {error}") from None
