"""``ceralacca service-mailbox``: what other providers sent to ours, and what came there by mistake."""

import json
import sys
from datetime import UTC
from itertools import islice
from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.storage import accounts, content
from gateway.storage.service import ServiceLetter, service_letter, service_letters
from receipts.octets import Octets

__all__ = ["app"]

app = typer.Typer(
    help="List and read the service mailbox: receipts between providers, and what strayed there.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    strayed: Annotated[bool, typer.Option("--strayed", help="Only what came by mistake.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="How many at most.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """List the latest messages. `strayed` is what is neither a take-charge receipt nor a virus notice."""
    with opened(config) as (settings, storage):

        def look(connection: Connection) -> list[ServiceLetter]:
            box = _box(connection, settings.provider.service_address)
            found = (letter for letter in service_letters(connection, box) if letter.strayed or not strayed)
            return list(islice(found, limit))

        letters = storage.read_now(look)
    if as_json:
        typer.echo(json.dumps([_object(letter) for letter in letters], indent=2, ensure_ascii=False))
        return
    for letter in letters:
        typer.echo(shown(_line(letter)))
    typer.echo(f"{len(letters)} shown, {sum(letter.strayed for letter in letters)} of them strayed")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As in `list`.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write one message to standard output, byte for byte: `... show 12 > message.eml`."""
    with opened(config) as (settings, storage):

        def look(connection: Connection) -> Octets | None:
            letter = service_letter(connection, _box(connection, settings.provider.service_address), number)
            return None if letter is None else content.load(connection, letter.body_id)

        message = storage.read_now(look)
        if message is None:
            raise refuse(f"{number}: there is no such message")
        for piece in message.pieces():
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _box(connection: Connection, address: str) -> int:
    box = accounts.mailbox_of(connection, address)
    if box is None:
        raise accounts.AccountRefused(f"{address}: there is no service mailbox; `ceralacca domain add` makes it")
    return box.id


def _line(letter: ServiceLetter) -> str:
    mark = "  strayed" if letter.strayed else ""
    who = f"  from {letter.return_path or '<>'}"
    about = f"  about {letter.pec_msgid}" if letter.pec_msgid else ""
    return f"{letter.uid}  {letter.at:%Y-%m-%d %H:%M:%S}  {letter.kind}  {letter.size}{who}{about}{mark}"


def _object(letter: ServiceLetter) -> dict[str, object]:
    return {
        "number": letter.uid,
        "at": letter.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "kind": letter.kind,
        "size": letter.size,
        "return_path": letter.return_path,
        "pec_msgid": letter.pec_msgid,
        "strayed": letter.strayed,
    }
