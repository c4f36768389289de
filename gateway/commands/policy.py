"""``ceralacca account policy``: what one box does with ordinary mail."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.domains.claims import refuse_certified_target
from gateway.commands.names import given_address
from gateway.points.ordinary import JUNK, Ordinary, OrdinaryPolicy, effective
from gateway.storage import accounts, policies
from gateway.storage.accounts import BoxKind, MailboxRef

__all__ = ["policy"]

LONGEST_FOLDER = 200
NOT_FOR_ORDINARY = frozenset({"inbox", "receipts", "sent"})


class Choice(StrEnum):
    """What an operator may say."""

    WRAP = Ordinary.WRAP.value
    REFUSE = Ordinary.REFUSE.value
    FOLDER = Ordinary.FOLDER.value
    FORWARD = Ordinary.FORWARD.value
    DEFAULT = "default"


def policy(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="An address of the box.")],
    ordinary: Annotated[
        Choice | None,
        typer.Option("--ordinary", help="What to do with ordinary mail; `default`: what the configuration says."),
    ] = None,
    folder: Annotated[str, typer.Option("--folder", help="With `folder`: which; Junk if left out.")] = JUNK,
    to: Annotated[str | None, typer.Option("--to", help="With `forward`: the address outside.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show or set what a box does with ordinary mail. What is certified always goes to its inbox."""
    address = given_address(address)
    chosen = _chosen(ordinary, folder, to)
    with opened(config) as (settings, storage):
        default = Ordinary(settings.policy.ordinary_mail)

        def transaction(connection: Connection) -> tuple[MailboxRef, OrdinaryPolicy | None]:
            box = accounts.mailbox_of(connection, address)
            if box is None:
                raise accounts.AccountRefused(f"{address}: no such mailbox")
            if ordinary is None:
                return box, policies.policy_of(connection, box.id)
            if box.kind is not BoxKind.USER:
                raise accounts.AccountRefused(f"{box.address}: such a box takes everything")
            if chosen is not None and chosen.forward_to is not None:
                refuse_certified_target(connection, settings, chosen.forward_to)
            policies.set_policy(connection, box.id, chosen, datetime.now(UTC))
            return box, chosen

        box, own = storage.write_now(transaction)
    found = effective(own, default, of_a_holder=box.kind is BoxKind.USER)
    whose = "its own" if own is not None else "the default"
    typer.echo(shown(f"{box.address}: {_said(found)} ({whose})"))


def _chosen(choice: Choice | None, folder: str, to: str | None) -> OrdinaryPolicy | None:
    if (choice is Choice.FORWARD) != (to is not None):
        raise refuse("`forward` and --to belong together")
    if choice is None or choice is Choice.DEFAULT:
        return None
    ordinary = Ordinary(choice)
    if ordinary is Ordinary.FORWARD and to is not None:
        return OrdinaryPolicy(ordinary=ordinary, forward_to=given_address(to))
    if ordinary is not Ordinary.FOLDER:
        return OrdinaryPolicy(ordinary=ordinary)
    name = folder.strip()
    if not 0 < len(name) <= LONGEST_FOLDER or not name.isprintable() or name.lower() in NOT_FOR_ORDINARY:
        raise refuse(f"{shown(folder)}: is no folder for ordinary mail")
    return OrdinaryPolicy(ordinary=ordinary, folder=name)


def _said(policy: OrdinaryPolicy) -> str:
    words = {
        Ordinary.WRAP: "ordinary mail comes in an anomaly envelope",
        Ordinary.REFUSE: "ordinary mail is refused",
        Ordinary.FOLDER: f"ordinary mail comes in an anomaly envelope into {policy.folder}",
        Ordinary.FORWARD: f"ordinary mail comes in an anomaly envelope, and a copy goes to {policy.forward_to}",
    }
    return words[policy.ordinary]
