"""``ceralacca register``: whether the legal register is as it was written (D25)."""

import json
from typing import Annotated

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened
from gateway.storage import chain
from gateway.storage.chain import Audit

__all__ = ["app"]

app = typer.Typer(help="Check the legal register.", no_args_is_help=True, add_completion=False)

CHANGED = 1  # exit code
NAMED = 20  # unlinked rows that are listed one by one


@app.callback()
def register() -> None:
    """Keep ``verify`` a command of its own, for others will stand beside it."""


@app.command()
def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check every row and every link; exit code 1 if one of them is not what it was."""
    with opened(config) as (_, storage):
        audit = storage.read_now(chain.verify)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "whole": audit.whole,
                    "rows": audit.rows,
                    "links": audit.links,
                    "unlinked": audit.unlinked,
                    "faults": audit.faults,
                },
                indent=2,
            )
        )
    else:
        typer.echo("\n".join(_lines(audit)))
    if not audit.whole:
        raise typer.Exit(CHANGED)


def _lines(audit: Audit) -> list[str]:
    lines = [f"{audit.rows} rows, {audit.links} links"]
    if audit.unlinked:
        named = ", ".join(map(str, audit.unlinked[:NAMED]))
        more = f" and {len(audit.unlinked) - NAMED} more" if len(audit.unlinked) > NAMED else ""
        lines.append(f"not linked yet: {named}{more}")
    return lines + audit.faults + ["the register is whole" if audit.whole else "the register was changed"]
