"""``ceralacca account rule``: what a box does with what comes in."""

from functools import partial
from typing import Annotated

import typer
from sqlalchemy import Connection

from config.settings import Settings
from gateway.commands.box import box_of, given_size
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.domains.claims import refuse_certified_target
from gateway.commands.journal import note
from gateway.commands.names import given_address
from gateway.points.box import is_folder_name
from gateway.points.marks import NAMES
from gateway.points.rules import KINDS, MAX_RULES, MAX_VALUE, Action, Condition, Field, Outcome, Rule, mark_called
from gateway.points.sharing import Act
from gateway.storage import rules, usage
from gateway.storage.accounts import AccountRefused
from gateway.storage.folders import ensure_folder
from receipts.wire import MessageKind

__all__ = ["rule"]

rule = typer.Typer(help="List, add and remove the rules of a box.", no_args_is_help=True, add_completion=False)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An address of the box.")]
Text = str | None


@rule.command("list")
def list_(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the rules in the order in which they are asked."""
    with opened(config) as (_, storage):
        found = storage.read_now(lambda connection: rules.list_rules(connection, box_of(connection, address).id))
    for rule_id, one in found:
        typer.echo(shown(f"{rule_id}  {_told(one)}"))
    if not found:
        typer.echo("no rules")


@rule.command()
def add(
    address: Address,
    sender: Annotated[Text, typer.Option("--sender", help="If its sender holds this text.")] = None,
    recipient: Annotated[Text, typer.Option("--recipient", help="If one of its recipients does.")] = None,
    subject: Annotated[Text, typer.Option("--subject", help="If its subject does.")] = None,
    signer: Annotated[Text, typer.Option("--signer", help="If the name of the provider that signed it does.")] = None,
    kind: Annotated[
        Text, typer.Option("--kind", help="certified, ordinary, receipt, notice, or one kind such as `delivery`.")
    ] = None,
    larger: Annotated[Text, typer.Option("--larger", help="If it is larger, as in 5MB.")] = None,
    smaller: Annotated[Text, typer.Option("--smaller", help="If it is smaller.")] = None,
    folder: Annotated[Text, typer.Option("--folder", help="Into this folder, which is made if missing.")] = None,
    copy: Annotated[
        list[str] | None, typer.Option("--copy", help="A copy into this folder, which is made if missing.")
    ] = None,
    mark: Annotated[list[str] | None, typer.Option("--mark", help="Seen, Flagged, $label1 and so on.")] = None,
    forward: Annotated[Text, typer.Option("--forward", help="A copy, as an ordinary message, to this address.")] = None,
    notify: Annotated[bool, typer.Option("--notify", help="A word to the notice address, without content.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Ask no rule after this one.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Add a rule behind the others. Without a condition it is for every message."""
    texts = {Field.SENDER: sender, Field.RECIPIENT: recipient, Field.SUBJECT: subject, Field.SIGNER: signer}
    conditions = [Condition(field, _given_text(text)) for field, text in texts.items() if text is not None]
    if kind is not None:
        conditions.append(Condition(Field.KIND, _given_kind(kind)))
    sizes = {Field.LARGER: larger, Field.SMALLER: smaller}
    conditions += [Condition(field, _given_bytes(size)) for field, size in sizes.items() if size is not None]
    actions = [Action(Outcome.MARK, _given_mark(name)) for name in mark or ()]
    if folder is not None:
        actions.append(Action(Outcome.FOLDER, _given_folder(folder)))
    actions += [Action(Outcome.COPY, _given_folder(name)) for name in copy or ()]
    if forward is not None:
        actions.append(Action(Outcome.FORWARD, given_address(forward)))
    if notify:
        actions.append(Action(Outcome.NOTIFY))
    if not actions:
        raise refuse("a rule does something: --folder, --copy, --mark, --forward or --notify")
    _refuse_what_nothing_meets(larger, smaller)
    new = Rule(tuple(conditions), tuple(actions), stop)

    def transaction(connection: Connection, settings: Settings) -> tuple[int, bool]:
        box = box_of(connection, address)
        if forward is not None:
            refuse_certified_target(connection, settings, forward)
        if len(rules.list_rules(connection, box.id)) >= MAX_RULES:
            raise AccountRefused(f"{address}: a box has at most {MAX_RULES} rules")
        for name in (folder, *(copy or ())):
            if name is not None:
                ensure_folder(connection, box.id, name)
        note(connection, box.id, Act.RULES, what="add", rule=_told(new))
        told = usage.usage_of(connection, box.id)
        return rules.add_rule(connection, box.id, new), told is not None and told.notice_address is not None

    with opened(config) as (settings, storage):
        rule_id, heard = storage.write_now(partial(transaction, settings=settings))
    typer.echo(shown(f"{rule_id}  {_told(new)}"))
    if notify and not heard:
        typer.echo(f"nobody is told yet: `ceralacca account notice {address} OTHER` names who", err=True)


@rule.command()
def remove(
    address: Address,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As in `list`.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Remove a rule."""

    def transaction(connection: Connection) -> bool:
        box = box_of(connection, address)
        told = [_told(one) for rule_id, one in rules.list_rules(connection, box.id) if rule_id == number]
        if told:
            note(connection, box.id, Act.RULES, what="remove", rule=told[0])
        return rules.remove_rule(connection, box.id, number)

    with opened(config) as (_, storage):
        gone = storage.write_now(transaction)
    if not gone:
        raise refuse(f"{address} has no rule {number}")
    typer.echo(f"{number}: removed")


def _told(one: Rule) -> str:
    conditions = [f"{condition.field.value} {condition.value!r}" for condition in one.conditions]
    actions = [f"{action.outcome.value} {action.value}".strip() for action in one.actions]
    stop = "; then no other rule" if one.stop else ""
    return f"{' and '.join(conditions) or 'every message'}: {', '.join(actions)}{stop}"


def _given_text(text: str) -> str:
    if not text.strip() or len(text) > MAX_VALUE:
        raise refuse(f"a condition has 1 to {MAX_VALUE} characters")
    return text


def _refuse_what_nothing_meets(larger: str | None, smaller: str | None) -> None:
    if larger is not None and smaller is not None and int(_given_bytes(larger)) + 1 >= int(_given_bytes(smaller)):
        raise refuse(f"no message is larger than {larger} and smaller than {smaller}")


def _given_bytes(size: str) -> str:
    given = None if size == "none" else given_size(size)
    if given is None:
        raise refuse(f"{size}: a size is written as in 500KB or 20MB")
    return str(given)


def _given_kind(kind: str) -> str:
    if kind not in {*KINDS, *MessageKind}:
        raise refuse(f"{kind}: a kind is one of {', '.join([*KINDS, *MessageKind])}")
    return kind


def _given_mark(name: str) -> str:
    if mark_called(name) is None:
        allowed = [mark.removeprefix("\\") for mark in NAMES.values() if mark_called(mark) is not None]
        raise refuse(f"{name}: no mark that a rule may set; these are: {', '.join(allowed)}")
    return name


def _given_folder(name: str) -> str:
    if not is_folder_name(name):
        raise refuse(f"{name!r}: no folder can be called so (levels are parted by one /)")
    return name
