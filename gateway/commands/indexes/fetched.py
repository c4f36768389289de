"""``ceralacca index fetched``: what is fetched from elsewhere, how that goes, and the wish to have it now."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, shown
from gateway.commands.indexes.reading import JsonOption
from gateway.storage import downloads
from gateway.storage.downloads import Download

__all__ = ["fetched"]

FAILING = 1  # exit code


def fetched(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Have all of it fetched again by the running provider, within seconds.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what is fetched from elsewhere: the index, and what authorities say of revoked certificates.

    Leaves with 1 if the last try of any of it failed.
    """
    with opened(config) as (_, storage):
        if again:
            storage.write_now(_hasten)
        found = storage.read_now(downloads.states)
    if as_json:
        typer.echo(json.dumps([_as_json(each) for each in found], indent=2))
    else:
        for each in found:
            _print(each)
        if not found:
            typer.echo("nothing is fetched: index.url is not set, and no certificate names a place to ask")
    if any(each.failure for each in found):
        raise typer.Exit(FAILING)


def _hasten(connection: Connection) -> None:
    downloads.hasten(connection, datetime.now(UTC))


def _print(each: Download) -> None:
    typer.echo(f"{each.name.partition(':')[0]}  {shown(each.url)}")
    good = "never yet" if each.good_at is None else f"{each.good_at:%Y-%m-%d %H:%M:%S} UTC"
    typer.echo(f"  good  {good}\n  next  {each.next_at:%Y-%m-%d %H:%M:%S} UTC")
    if each.failure:
        typer.echo(f"  failed {each.failures} times: {shown(each.failure)}")


def _as_json(each: Download) -> dict[str, object]:
    moments = {"good_at": each.good_at, "tried_at": each.tried_at, "next_at": each.next_at}
    return {
        "kind": each.name.partition(":")[0],
        "url": each.url,
        "sha256": each.version,
        "failure": each.failure,
        "failures": each.failures,
        **{name: None if moment is None else moment.isoformat() for name, moment in moments.items()},
    }
