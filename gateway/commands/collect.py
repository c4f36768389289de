"""``ceralacca account collect``: stay in step with a box at another provider."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.names import endpoint
from gateway.commands.sign_in import known
from gateway.drivers.keyfiles import KeyRefused, refuse_readable_by_others
from gateway.drivers.tls import client_trusting
from gateway.points.following import Deletions
from gateway.storage import collections, stores
from gateway.storage.collections import Collection

__all__ = ["collect"]

SHORTEST, LONGEST = 5, 7 * 24 * 60  # minutes


def collect(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The account here that gets the messages.")],
    imap: Annotated[
        str | None, typer.Option("--imap", metavar="HOST[:PORT]", help="The other server, spoken to in TLS.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="User name there; ADDRESS if left out.")] = None,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help="File with the password there, that only the provider's user can read."),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="PEM of the authority of its certificate, if not a public one.")
    ] = None,
    every: Annotated[int, typer.Option("--every", metavar="MINUTES", help="How often.")] = 15,
    deletions: Annotated[
        Deletions,
        typer.Option("--deletions", help="What becomes of a message here when it is deleted there."),
    ] = Deletions.KEEP,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    stop: Annotated[bool, typer.Option("--stop", help="Collect no longer; what is here stays.")] = False,
) -> None:
    """Stay in step with a box at another provider: what is new there, and flags and places that change there.

    Without options, say how that goes.
    """
    if imap is not None and (password_file is None) != stop:
        raise refuse("--imap goes with --password-file, or with --stop")
    if not SHORTEST <= every <= LONGEST:
        raise refuse(f"--every takes {SHORTEST} to {LONGEST} minutes")
    place = None if imap is None else endpoint(imap)
    if not stop:
        _refuse_unusable(password_file, ca_file)
    with opened(config) as (_, storage):

        def transaction(connection: Connection) -> list[Collection]:
            box = known(connection, address).mailbox_id
            if stop:
                for one in collections.collections_of(connection, box):
                    if place is None or (one.host, one.port, one.user) == (*place, user or address):
                        collections.remove(connection, one)
            elif place is not None and password_file is not None:
                stores.refuse_if_elsewhere(connection, box)
                collections.add(
                    connection,
                    box,
                    host=place[0],
                    port=place[1],
                    user=user or address,
                    ca_file=None if ca_file is None else str(ca_file.resolve()),
                    password_file=str(password_file.resolve()),
                    every=timedelta(minutes=every),
                    deletions=deletions,
                    at=datetime.now(UTC),
                )
            return collections.collections_of(connection, box)

        found = storage.write_now(transaction)
    for one in found:
        for line in _lines(one):
            typer.echo(shown(line))
    if not found:
        typer.echo(f"{address}: nothing is collected")


def _refuse_unusable(password_file: Path | None, ca_file: Path | None) -> None:
    """What is wrong with the files, before anything is kept of them: a run could only tell later."""
    try:
        if password_file is not None:
            refuse_readable_by_others(password_file)
        if ca_file is not None:
            client_trusting(ca_file)
    except KeyRefused as error:
        raise refuse(str(error)) from None


def _lines(one: Collection) -> list[str]:
    trashed = ", what is deleted there goes to the trash" if one.deletions is Deletions.TRASH else ""
    lines = [f"{one.source}, every {int(one.every.total_seconds()) // 60} minutes{trashed}"]
    if one.ended_at is None:
        lines.append("  the first run is under way" if one.begun_at else "  not yet begun")
    else:
        lines.append(f"  {one.ended_at:%Y-%m-%d %H:%M:%SZ}: {one.report}")
    if one.failing_since is not None:
        lines.append(f"  fails since {one.failing_since:%Y-%m-%d %H:%M:%SZ}")
    return lines
