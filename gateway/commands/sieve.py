"""``ceralacca account sieve``: the Sieve scripts of a box, for those who keep their filters so."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy import Connection

from gateway.commands.box import box_of
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.journal import note
from gateway.flows.scripts import Refusal, ScriptsRefused, activate, put, remove
from gateway.points.sharing import Act
from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptRefused
from gateway.points.sieve.limits import MAX_SCRIPT
from gateway.points.sieve.names import MAX_SCRIPTS
from gateway.points.sieve.script import Script
from gateway.storage import scripts
from gateway.storage.accounts import AccountRefused

__all__ = ["sieve"]

sieve = typer.Typer(help="Check, put and activate the Sieve scripts of a box.", no_args_is_help=True)

T = TypeVar("T")
NAME = "ceralacca"
Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An address of the box.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="The script; - for standard input.")]
Name = Annotated[str, typer.Option("--name", help="How the script is called.")]

_WHY = {
    Refusal.MISSING: "there is no such script; `ceralacca account sieve list` shows all",
    Refusal.EXISTS: "there is such a script already",
    Refusal.TOO_LARGE: f"a script has at most {MAX_SCRIPT} bytes",
    Refusal.ACTIVE: "the script is active; `ceralacca account sieve off` sets it aside",
    Refusal.TOO_MANY: f"a box has at most {MAX_SCRIPTS} scripts",
    Refusal.FORBIDDEN: "the box is managed by others",
    Refusal.NAME: "no script can be called so",
}


@sieve.command()
def check(file: File) -> None:
    """Say what is wrong with a script, by line and column; it is put nowhere."""
    _, meant = _read(file)
    typer.echo(shown(f"{file}: understood"))
    for name, _ in meant.folders():
        typer.echo(shown(f"  puts mail into {name}"))


@sieve.command("put")
def put_(
    address: Address,
    file: File,
    name: Name = NAME,
    inactive: Annotated[bool, typer.Option("--inactive", help="Do not activate it.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put a script into a box and let it be asked about what comes in."""
    script, meant = _read(file)

    def transaction(connection: Connection) -> Sequence[str]:
        box = box_of(connection, address)
        note(connection, box.id, Act.RULES, what="put", script=name)
        warnings = put(connection, box.id, name, script, meant, datetime.now(UTC))
        if not inactive:
            activate(connection, box.id, name)
        return warnings

    for warning in _written(config, transaction, name):
        typer.echo(shown(f"{file}: {warning}"), err=True)
    typer.echo(shown(f"{name}: {'kept' if inactive else 'active'}"))


@sieve.command("list")
def list_(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the scripts of a box."""
    with opened(config) as (_, storage):
        found = storage.read_now(lambda connection: scripts.list_scripts(connection, box_of(connection, address).id))
    if not found:
        typer.echo("no scripts")
    for one in found:
        typer.echo(shown(f"{one.name}  {len(one.script)} bytes{'  active' if one.active else ''}"))


@sieve.command()
def show(address: Address, name: Name = NAME, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print a script as it was put there."""
    with opened(config) as (_, storage):
        found = storage.read_now(
            lambda connection: scripts.script_named(connection, box_of(connection, address).id, name)
        )
    if found is None:
        raise refuse(f"{name}: {_WHY[Refusal.MISSING]}")
    sys.stdout.buffer.write(found.script)


@sieve.command("activate")
def activate_(address: Address, name: Name = NAME, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a script be asked about what comes in, in place of the one that is asked now."""
    _written(config, lambda connection: _noted(connection, address, "activate", name), name)
    typer.echo(shown(f"{name}: active"))


@sieve.command()
def off(address: Address, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Ask no script any more; they are kept."""
    _written(config, lambda connection: _noted(connection, address, "activate", None))
    typer.echo(f"{address}: no script is active")


@sieve.command("remove")
def remove_(address: Address, name: Name = NAME, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Remove a script that is not active."""
    _written(config, lambda connection: _noted(connection, address, "remove", name), name)
    typer.echo(shown(f"{name}: removed"))


def _read(file: str) -> tuple[bytes, Script]:
    """A script and what it means; or a word about what is wrong with it, and the end."""
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as stream:
            script = stream.read(MAX_SCRIPT + 1)
        return script, understood(script)
    except OSError as error:
        raise refuse(f"{file}: {error.strerror}") from None
    except ScriptRefused as refused:
        raise refuse(f"{file}:{refused.line}:{refused.column}: {refused.reason}") from None


def _noted(connection: Connection, address: str, what: str, name: str | None) -> None:
    """Do it; the journal of a shared box tells of it."""
    box = box_of(connection, address)
    note(connection, box.id, Act.RULES, what=what, script=name or "")
    if what == "remove":
        remove(connection, box.id, name or "")
    else:
        activate(connection, box.id, name)


def _written(config: Path, transaction: Callable[[Connection], T], name: str = "") -> T:
    """What the transaction returns; a refusal is told with the name of the script that it is about."""
    with opened(config) as (_, storage):

        def settled(connection: Connection) -> T:
            try:
                return transaction(connection)
            except ScriptsRefused as refused:
                raise AccountRefused(f"{name}: {_WHY[refused.why]}" if name else _WHY[refused.why]) from None

        return storage.write_now(settled)
