"""``ceralacca account store`` and ``queue elsewhere``: a box that another mail server keeps, and what waits for it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from config.settings import Settings
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.domains.store import StoreArgument, place, wanted_store
from gateway.commands.sign_in import known
from gateway.storage import handovers
from gateway.storage import stores as rows
from gateway.storage.handovers import Handover

__all__ = ["account_store", "elsewhere"]

FAILED = 2  # exit code


def account_store(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The address of the account.")],
    store: StoreArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    check: Annotated[bool, typer.Option("--check", help="Sign in there and look at the inbox.")] = False,
) -> None:
    """Let another mail server keep what comes into a box from now on. What lies here stays here."""
    with opened(config) as (settings, storage):
        wanted = wanted_store(settings, store)

        def transaction(connection: Connection) -> str | None:
            box = known(connection, address).mailbox_id
            if store is not None:
                rows.bind_boxes(connection, [box], wanted)
            return rows.store_of_box(connection, box)

        found = storage.write_now(transaction)
        typer.echo(f"{address}: kept {place(found)}")
        if check and found is not None:
            typer.echo(asyncio.run(_checked(settings, found, address)))


def elsewhere(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    retry: Annotated[bool, typer.Option("--retry", help="Make all of it due now.")] = False,
) -> None:
    """List what waits to be handed over to the mail servers that keep boxes of ours."""
    with opened(config) as (_, storage):
        if retry:
            storage.write_now(lambda connection: handovers.retry(connection, datetime.now(UTC)))
        waiting = storage.read_now(handovers.list_rows)
        count = storage.read_now(handovers.count)
    for row in waiting:
        typer.echo(shown(_line(row)))
    typer.echo(f"{count.rows} waiting")


async def _checked(settings: Settings, name: str, address: str) -> str:
    from gateway.app.stores import stores  # what speaks IMAP takes its time to load, for this alone
    from gateway.drivers.imap_client import ImapRefused, ImapUnavailable
    from gateway.drivers.keyfiles import KeyRefused

    try:
        store = stores(settings)[name]
        async with store.entered(address):
            return f"{store.host}: signed in"
    except KeyError:
        raise refuse(f"no [[elsewhere.stores]] is called {name}") from None
    except (ImapRefused, ImapUnavailable, KeyRefused) as error:
        typer.echo(shown(f"{name}: {error}"), err=True)
        raise typer.Exit(FAILED) from None


def _line(row: Handover) -> str:
    when = "being tried" if row.leased_until is not None else f"next at {row.next_attempt_at:%Y-%m-%d %H:%M:%SZ}"
    reply = f", last answer: {row.last_reply}" if row.last_reply else ""
    since = f"since {row.created_at:%Y-%m-%d %H:%M:%SZ}"
    return f"{row.id}  {row.kind}  for {row.box.address} at {row.box.store}  {since}, {when}{reply}"
