"""``ceralacca queue``: what waits to leave. Nothing is deleted here: certified mail has its own ends."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.store import elsewhere
from gateway.storage import outbox
from gateway.storage.outbox import OutboxRow

__all__ = ["app"]

app = typer.Typer(
    help="See what waits to leave, try it again now, or hold it.", no_args_is_help=True, add_completion=False
)

app.command()(elsewhere)

MOST = 10_000

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Rows, by the ids of `queue list`.")]
Domain = Annotated[str | None, typer.Option("--domain", help="All rows for this domain.")]
All = Annotated[bool, typer.Option("--all", help="All rows.")]


@app.command("list")
def list_(
    domain: Domain = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    held: Annotated[bool, typer.Option("--held", help="Only rows that are held.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """List what waits, in the order in which it is due."""
    with opened(config) as (_, storage):
        rows = storage.read_now(
            lambda connection: outbox.list_rows(connection, domain=domain, held=True if held else None, limit=MOST)
        )
        waiting = storage.read_now(outbox.count)
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        typer.echo(shown(_line(row)))
    typer.echo(f"{waiting.rows} waiting, {waiting.held} of them held")


@app.command()
def retry(
    ids: Ids = None, domain: Domain = None, config: ConfigOption = DEFAULT_CONFIG, *, everything: All = False
) -> None:
    """Make rows due now, held ones too; a running provider takes them within seconds."""
    _change(config, ids, domain, everything=everything, done="due now", act=_retry)


@app.command()
def hold(
    ids: Ids = None, domain: Domain = None, config: ConfigOption = DEFAULT_CONFIG, *, everything: All = False
) -> None:
    """Keep rows from being tried until `queue retry`. The terms for certified mail go on running."""
    _change(config, ids, domain, everything=everything, done="held", act=outbox.hold)


def _retry(connection: Connection, ids: list[int]) -> int:
    return outbox.retry(connection, ids, datetime.now(UTC))


def _change(config: Path, ids: list[int] | None, domain: str | None, *, everything: bool, done: str, act: Any) -> None:
    if sum((bool(ids), domain is not None, everything)) != 1:
        raise refuse("name rows by their ids, or --domain, or --all")

    def transaction(connection: Connection) -> int:
        chosen = ids or [row.id for row in outbox.list_rows(connection, domain=domain, limit=MOST)]
        return int(act(connection, chosen))

    with opened(config) as (_, storage):
        changed = storage.write_now(transaction)
    typer.echo(f"{changed} {done}")
    if not changed:
        raise typer.Exit(1)


def _line(row: OutboxRow) -> str:
    if row.held:
        when = "held"
    elif row.leased_until is not None:
        when = "being tried"
    else:
        when = f"next at {row.next_attempt_at:%Y-%m-%d %H:%M:%SZ}"
    reply = f", last answer: {row.last_reply}" if row.last_reply else ""
    return f"{row.id}  {row.kind}  to {row.forward_path}  since {row.created_at:%Y-%m-%d %H:%M:%SZ}, {when}{reply}"


def _as_json(row: OutboxRow) -> dict[str, object]:
    return {
        "id": row.id,
        "kind": row.kind,
        "reverse_path": row.reverse_path,
        "forward_path": row.forward_path,
        "certified": row.certified,
        "pec_msgid": row.pec_msgid,
        "created_at": row.created_at.isoformat(),
        "next_attempt_at": row.next_attempt_at.isoformat(),
        "attempts": row.attempts,
        "last_reply": row.last_reply,
        "leased_until": None if row.leased_until is None else row.leased_until.isoformat(),
        "held": row.held,
    }
