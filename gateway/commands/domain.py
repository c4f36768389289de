"""``ceralacca domain``: the mail domains of this provider; also how every other command opens its storage."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection, make_url

from config.settings import Settings
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, settings_or_exit
from gateway.commands.domains.claims import managed_by_another
from gateway.commands.domains.dkim import dkim, dns
from gateway.commands.domains.store import domain_store
from gateway.commands.domains.subaddress import subaddress
from gateway.commands.names import displayed, given_domain, refuse
from gateway.commands.reasons import reason_of
from gateway.storage import accounts, domains
from gateway.storage.accounts import AccountRefused, BoxKind, NewAccount
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable, UnsafeStorage
from gateway.storage.subaddresses import set_separator
from receipts.identifiers import domain_of

__all__ = ["app", "opened", "refuse", "shown"]

app = typer.Typer(
    help="The mail domains of this provider, their DKIM keys and DNS records.",
    no_args_is_help=True,
    add_completion=False,
)

app.command()(dkim)
app.command()(dns)
app.command()(subaddress)
app.command("store")(domain_store)

NO_STORAGE = 3  # exit code


@contextmanager
def opened(config: Path, *, prepare: bool = False) -> Iterator[tuple[Settings, Storage]]:
    """The settings and the storage they name; or a word about what is wrong, and the end.

    Args:
        prepare: make the tables where there are none, for the commands that come before the first start.
    """
    settings = settings_or_exit(config)
    try:
        storage = Storage.open(settings.storage.url, migrate=prepare)
    except (StorageUnavailable, UnsafeStorage, OSError) as error:
        typer.echo(f"the storage cannot be opened: {reason_of(error)}", err=True)
        if not prepare and (file := make_url(settings.storage.url).database) and not Path(file).exists():
            typer.echo("it is made by `ceralacca domain add`, or the first start", err=True)
        raise typer.Exit(NO_STORAGE) from None
    try:
        yield settings, storage
    except StorageUnavailable as error:
        typer.echo(f"the storage does not answer: {reason_of(error)}", err=True)
        raise typer.Exit(NO_STORAGE) from None
    except AccountRefused as error:
        raise refuse(str(error)) from None
    finally:
        storage.close()


def shown(text: str) -> str:
    """The text without what moves a terminal's cursor or colours it: peers wrote some of it."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


@app.command()
def add(
    names: Annotated[list[str], typer.Argument(metavar="DOMAIN...", help="Names of domains.")],
    takeover: Annotated[
        bool, typer.Option("--takeover", help="Also what the index says another provider manages, as it comes to us.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make domains ours; mail for postmaster and abuse goes to the operator's mailbox, which the first one brings."""
    given = [given_domain(name) for name in names]
    with opened(config, prepare=True) as (settings, storage):
        service_address = settings.provider.service_address
        for domain in given:
            other = None if takeover else managed_by_another(settings, domain)
            if other is not None:
                raise refuse(f"{domain}: the index says that {other} manages it; --takeover if it comes to us")
            new = storage.write_now(partial(_add, name=domain, service_address=service_address))
            typer.echo(f"{domain}: {'added' if new else 'is ours already'}")


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the domains."""
    with opened(config) as (_, storage):
        for name in sorted(storage.read_now(domains.local_domains)):
            typer.echo(displayed(name))


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain in which nobody has an address.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a domain ours no longer; only one without boxes and aliases."""
    domain = given_domain(name)
    with opened(config) as (settings, storage):
        if domain == settings.provider.domain:
            raise refuse(f"{domain}: is the provider's own (provider.domain)")
        if not storage.write_now(partial(_remove, name=domain)):
            raise refuse(f"{domain} is not a domain of this provider")
    typer.echo(f"{domain}: removed")


def _remove(connection: Connection, name: str) -> bool:
    set_separator(connection, name, None, datetime.now(UTC))
    return domains.remove_domain(connection, name)


def _add(connection: Connection, name: str, service_address: str) -> bool:
    """Make one domain ours, and the service mailbox with its domain."""
    at = datetime.now(UTC)
    new = domains.add_domain(connection, name, at)
    if domain_of(service_address) == name and accounts.mailbox_of(connection, service_address) is None:
        service = NewAccount(address=service_address, at=at, kind=BoxKind.SERVICE, display_name="Service")
        accounts.add_account(connection, service)
    return new
