"""``ceralacca account access`` and ``devices``: how a holder's programs sign in, and what was used when."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.flows.outcomes import Protocol
from gateway.storage import accounts, devices, signins
from gateway.storage.accounts import Account
from gateway.storage.signins import CHOSEN, LastUse, SignInTerms

__all__ = ["access", "given_label", "known", "list_devices"]

MAX_LABEL = 100
"""Characters of the name of a device."""

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The address of the account.")]


def access(
    address: Address,
    protocols: Annotated[
        str | None, typer.Option("--protocols", metavar="LIST", help='"imap,smtp", "pop3,smtp" or "all".')
    ] = None,
    devices_only: Annotated[
        bool | None,
        typer.Option(
            "--devices-only/--any-password", help="Whether programs sign in with device passwords only, or with any."
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say or set how programs sign in to an account; without options it changes nothing."""
    chosen = None if protocols is None else _protocols(protocols)

    def transaction(connection: Connection) -> SignInTerms:
        account = known(connection, address)
        before = signins.terms_of(connection, account.id)
        terms = SignInTerms(
            protocols=before.protocols if protocols is None else chosen,
            devices_only=before.devices_only if devices_only is None else devices_only,
        )
        if terms.devices_only and all(one.person for one in devices.devices_of(connection, account.id)):
            raise accounts.AccountRefused(f"{address} has no device password yet; `ceralacca account device` makes one")
        signins.set_terms(connection, account.id, terms)
        return terms

    with opened(config) as (_, storage):
        terms = storage.write_now(transaction)
    allowed = sorted(terms.protocols) if terms.protocols is not None else [each.value for each in Protocol]
    typer.echo(f"protocols: {', '.join(allowed)}")
    typer.echo(f"passwords: {'of devices only' if terms.devices_only else 'any'}")


def list_devices(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the passwords of an account by their first characters, with their last use and where it came from."""
    with opened(config) as (_, storage):
        account = storage.read_now(lambda connection: known(connection, address))
        uses = storage.read_now(lambda connection: signins.last_uses(connection, account.id))
        typer.echo(shown(f"{'(own)':8}  {_last(uses.get(CHOSEN))}"))
        for one in storage.read_now(lambda connection: devices.devices_of(connection, account.id)):
            whose = f"  of {one.person}" if one.person else ""
            last = _last(uses.get(one.lookup))
            typer.echo(shown(f"{one.lookup}  {last}  made {one.created_at:%Y-%m-%d}  {one.label}{whose}"))


def known(connection: Connection, address: str) -> Account:
    """The account of an address. Raises AccountRefused if there is none."""
    found = accounts.account_by_address(connection, address)
    if found is None:
        raise accounts.AccountRefused(f"{address}: no such account")
    return found


def given_label(text: str) -> str:
    """The name of a device, by which its holder knows it again."""
    label = text.strip()
    if not label or len(label) > MAX_LABEL or not label.isprintable():
        raise refuse(f"{shown(text)!r}: the name of a device has 1 to {MAX_LABEL} characters that can be seen")
    return label


def _protocols(text: str) -> frozenset[str] | None:
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    if names == {"all"}:
        return None
    strange = names - set(Protocol)
    if strange or not names:
        raise refuse(f"{', '.join(sorted(strange)) or text!r}: a protocol is {', '.join(Protocol)}; or all")
    return names


def _last(use: LastUse | None) -> str:
    if use is None:
        return "never used"
    return f"used {use.at:%Y-%m-%d %H:%M} UTC by {use.protocol.upper()} from {use.address}"
