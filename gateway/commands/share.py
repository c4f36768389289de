"""``ceralacca account share``: the people who share a box, and what each may do there (D35)."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands.box import box_of
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.journal import note
from gateway.commands.names import given_address
from gateway.commands.sign_in import given_label, known
from gateway.drivers.passwords import new_device
from gateway.drivers.sources import RandomIds
from gateway.points.sharing import Act, Right, is_person_name
from gateway.storage import devices, people
from gateway.storage.accounts import AccountRefused, MailboxRef
from gateway.storage.people import Person

__all__ = ["share"]

share = typer.Typer(
    help="Let people into a box, each with rights and passwords of their own.",
    no_args_is_help=True,
    add_completion=False,
)

Box = Annotated[str, typer.Argument(metavar="BOX", help="An address of the box.")]
Called = Annotated[str, typer.Option("--person", metavar="NAME", help="A name, or the address of an account here.")]
RightOption = Annotated[Right, typer.Option("--right", help="Each includes those before it.")]


@share.command()
def add(box: Box, person: Called, right: RightOption = Right.READ, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a person into a box. `share device` makes the password to sign in with."""
    name = _given_name(person)

    def transaction(connection: Connection) -> MailboxRef:
        found, at = box_of(connection, box), datetime.now(UTC)
        own = known(connection, name) if "@" in name else None
        if own is not None and own.mailbox_id == found.id:
            raise AccountRefused(f"{name} is the holder of this box")
        people.add_person(connection, found.id, name, right, at, account_id=None if own is None else own.id)
        note(connection, found.id, Act.SHARES, what="add", name=name, right=right.value)
        return found

    with opened(config) as (_, storage):
        found = storage.write_now(transaction)
    typer.echo(shown(f"{found.address}: {name} may {right.value}"))


@share.command("list")
def list_(box: Box, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the people of a box with their rights and passwords."""

    def question(connection: Connection) -> list[str]:
        found = box_of(connection, box)
        given = devices.devices_of(connection, known(connection, found.address).id)
        lines = []
        for one in people.people_of(connection, found.id):
            own = [device.lookup for device in given if device.person == one.name]
            state = "" if one.active else "  (account disabled)"
            lines.append(f"{one.right.value:6}  {one.name}{state}  {', '.join(own) or 'no password'}")
        return lines

    with opened(config) as (_, storage):
        lines = storage.read_now(question)
    for line in lines or ["nobody but the holder"]:
        typer.echo(shown(line))


@share.command()
def change(
    box: Box,
    person: Called,
    right: Annotated[Right, typer.Option("--right", help="Each includes those before it.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Give a person another right; their open sessions end within a second."""

    def transaction(connection: Connection) -> None:
        found = box_of(connection, box)
        one = _known(connection, found, person)
        people.change_person(connection, one.id, right, datetime.now(UTC))
        told = {"name": one.name, "right": right.value, "before": one.right.value}
        note(connection, found.id, Act.SHARES, what="change", **told)

    with opened(config) as (_, storage):
        storage.write_now(transaction)
    typer.echo(shown(f"{person}: may {right.value}"))


@share.command()
def remove(box: Box, person: Called, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a person into a box no longer: passwords are worthless at once, open sessions end within a second."""

    def transaction(connection: Connection) -> None:
        found = box_of(connection, box)
        one = _known(connection, found, person)
        note(connection, found.id, Act.SHARES, what="remove", name=one.name)  # while the box is shared
        people.remove_person(connection, one.id)

    with opened(config) as (_, storage):
        storage.write_now(transaction)
    typer.echo(shown(f"{person}: removed"))


@share.command()
def device(
    box: Box,
    person: Called,
    label: Annotated[str, typer.Argument(metavar="DEVICE", help='What it is, as in "telephone".')],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a password for a person in a box; it is shown once. They sign in with the address of the box."""
    label = given_label(label)
    made = new_device(RandomIds())

    def transaction(connection: Connection) -> None:
        found, at = box_of(connection, box), datetime.now(UTC)
        one = _known(connection, found, person)
        account = known(connection, found.address)
        added = devices.add_device(connection, account.id, label=label, lookup=made.lookup, digest=made.digest, at=at)
        people.give_password(connection, one.id, added)
        note(connection, found.id, Act.DEVICES, what="add", device=made.lookup, label=label, name=one.name)

    with opened(config) as (_, storage):
        storage.write_now(transaction)
    typer.echo(made.secret)


def _given_name(text: str) -> str:
    """A person's name, or the address of their account."""
    name = text.strip()
    if not is_person_name(name):
        raise refuse(f"{shown(text)!r}: no person can be called so")
    return given_address(name) if "@" in name else name


def _known(connection: Connection, box: MailboxRef, name: str) -> Person:
    """Raises AccountRefused if the box has no person of this name."""
    found = people.person_named(connection, box.id, name.strip())
    if found is None:
        raise AccountRefused(f"{name} has no access to {box.address}")
    return found
