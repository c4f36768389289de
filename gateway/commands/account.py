"""``ceralacca account``: who has a mailbox here, and what proves it (D33)."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands.box import notice, quota, receipts, usage_
from gateway.commands.collect import collect
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.journal import journal, note
from gateway.commands.names import displayed, given_address
from gateway.commands.policy import policy
from gateway.commands.rule import rule
from gateway.commands.share import share
from gateway.commands.sieve import sieve
from gateway.commands.sign_in import access, given_label, known, list_devices
from gateway.commands.store import account_store
from gateway.drivers.passwords import hash_password, new_device
from gateway.drivers.sources import RandomIds
from gateway.points.sharing import Act
from gateway.storage import accounts, devices
from gateway.storage.accounts import Account, NewAccount
from receipts.identifiers import address_key

__all__ = ["app"]

app = typer.Typer(
    help="Accounts and their boxes: passwords, devices, room, rules, people, what goes in and out.",
    no_args_is_help=True,
    add_completion=False,
)

app.command()(policy)
app.command()(quota)
app.command("usage")(usage_)
app.command()(receipts)
app.command()(notice)
app.add_typer(rule, name="rule")
app.command("store")(account_store)
app.command()(collect)
app.add_typer(share, name="share")
app.command()(journal)
app.add_typer(sieve, name="sieve")
app.command("access")(access)
app.command("devices")(list_devices)

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1_024

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The address of the account.")]


@app.command()
def add(
    address: Address,
    name: Annotated[str, typer.Option("--name", help="How the holder is called.")] = "",
    language: Annotated[str, typer.Option("--language", help="it or en.")] = "it",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add an account with a mailbox; its password is asked for, or read from standard input."""
    address = given_address(address)
    if language not in {"it", "en"}:
        raise refuse(f"{language}: a language is it or en")
    with opened(config, prepare=True) as (settings, storage):
        if address_key(address) == address_key(settings.provider.service_address):
            raise refuse(f"{address} is the service address, which receives by itself and never signs in to send")
        storage.read_now(lambda connection: accounts.refuse_unless_free(connection, address))
        new = NewAccount(
            address=address,
            at=datetime.now(UTC),
            display_name=name,
            language=language,
            password=hash_password(_asked_password()),
        )
        storage.write_now(lambda connection: accounts.add_account(connection, new))
    typer.echo(f"{address}: added")


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the accounts."""
    with opened(config) as (_, storage):
        for account in storage.read_now(accounts.list_accounts):
            state = "" if account.active else "  disabled"
            name = f"  {account.display_name}" if account.display_name else ""
            typer.echo(shown(f"{displayed(account.address)}  {account.kind.value}{state}{name}"))


@app.command()
def password(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Set the password of an account, also of the service and the operator's; it is asked for or read from stdin."""
    with opened(config) as (_, storage):
        account = storage.read_now(lambda connection: known(connection, address))
        hashed = hash_password(_asked_password())

        def transaction(connection: Connection) -> None:
            accounts.set_password(connection, account.id, hashed, datetime.now(UTC))
            note(connection, account.mailbox_id, Act.DEVICES, what="set", whose="holder")

        storage.write_now(transaction)
    typer.echo(f"{account.address}: password set")


@app.command()
def disable(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let an account sign in no longer; its mailbox goes on receiving."""
    _set_active(config, address, active=False)


@app.command()
def enable(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a disabled account sign in again."""
    _set_active(config, address, active=True)


@app.command()
def alias(
    address: Address,
    other: Annotated[str, typer.Argument(metavar="ALIAS", help="One more address of its mailbox.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it away: mail for it is refused.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let mail for one more address go into the mailbox of an account, or no longer."""
    address, other = given_address(address), given_address(other)
    with opened(config) as (settings, storage):
        if address_key(other) == address_key(settings.provider.service_address):
            raise refuse(f"{other} is the service address")

        def transaction(connection: Connection) -> None:
            account = known(connection, address)
            if not remove:
                accounts.add_alias(connection, other, account.mailbox_id, datetime.now(UTC))
            elif not accounts.remove_alias(connection, other, account.mailbox_id):
                raise accounts.AccountRefused(f"{other} is no alias of {address}")

        storage.write_now(transaction)
    typer.echo(f"{other}: {'removed' if remove else f'leads to {address}'}")


@app.command()
def device(
    address: Address,
    label: Annotated[str, typer.Argument(metavar="DEVICE", help='What it is, as in "telephone".')],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a password for one device; it is shown once."""
    label = given_label(label)
    made = new_device(RandomIds())

    def transaction(connection: Connection) -> None:
        account = known(connection, address)
        at = datetime.now(UTC)
        devices.add_device(connection, account.id, label=label, lookup=made.lookup, digest=made.digest, at=at)
        note(connection, account.mailbox_id, Act.DEVICES, what="add", device=made.lookup, label=label)

    with opened(config) as (_, storage):
        storage.write_now(transaction)
    typer.echo(made.secret)


@app.command()
def revoke(
    address: Address,
    lookup: Annotated[str, typer.Argument(metavar="CHARACTERS", help="The first characters, as in `devices`.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make the password of a device worthless."""

    def transaction(connection: Connection) -> bool:
        account = known(connection, address)
        removed = devices.remove_device(connection, account.id, lookup, datetime.now(UTC))
        if removed:
            note(connection, account.mailbox_id, Act.DEVICES, what="revoke", device=lookup)
        return removed

    with opened(config) as (_, storage):
        removed = storage.write_now(transaction)
    if not removed:
        raise refuse(f"{lookup}: no device of {address} has such a password")
    typer.echo(f"{lookup}: revoked")


def _set_active(config: ConfigOption, address: str, *, active: bool) -> None:
    def transaction(connection: Connection) -> Account:
        account = known(connection, address)
        accounts.set_active(connection, account.id, datetime.now(UTC), active=active)
        return account

    with opened(config) as (_, storage):
        account = storage.write_now(transaction)
    typer.echo(f"{account.address}: {'enabled' if active else 'disabled'}")


def _asked_password() -> str:
    """From a terminal twice and unseen, else the first line of standard input; never from the command line."""
    if sys.stdin.isatty():
        given = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not SHORTEST_PASSWORD <= len(given) <= LONGEST_PASSWORD:
        raise refuse(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return given
