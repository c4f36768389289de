"""``ceralacca quarantine``: the virus store, for the operator. Nothing is removed by hand: it is kept for 30 months."""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.storage import quarantine
from gateway.storage.engine import Storage
from gateway.storage.quarantine import Quarantined
from receipts.octets import Octets

__all__ = ["app"]

app = typer.Typer(
    help="See which infected messages are kept, and take one out to examine it.",
    no_args_is_help=True,
    add_completion=False,
)

Id = Annotated[int, typer.Argument(metavar="ID", help="A message, by the first word of its line in the list.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON.")]


@app.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List what is kept, newest first."""
    with opened(config) as (settings, storage):
        kept = storage.read_now(lambda connection: quarantine.listed(connection, limit=limit))
        total = storage.read_now(quarantine.count)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in kept], ensure_ascii=False, indent=2))
        return
    zone = ZoneInfo(settings.provider.time_zone)
    for one in kept:
        at = one.at.astimezone(zone).isoformat(sep=" ", timespec="seconds")
        typer.echo(shown(f"{one.id}  {at}  {one.kind}  {one.virus}  from {one.sender or '<>'}"))
    typer.echo(f"{total} kept")


@app.command()
def show(id_: Id, config: ConfigOption = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Tell what is known of one message, without its content."""
    with opened(config) as (_, storage):
        one = _found(storage, id_)
        message = storage.read_now(lambda connection: quarantine.load(connection, one))
        intact = message.sha256() == one.sha256
    facts = _plain(one) | {"bytes": message.size, "intact": intact}
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        for name, value in facts.items():
            words = ", ".join(value) if isinstance(value, list) else value
            typer.echo(shown(f"{name}: {'-' if words is None else words}"))
    if not intact:
        raise typer.Exit(1)


@app.command()
def export(
    id_: Id,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not exist.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write one message into a new file, byte for byte as it came. It holds a virus: only its owner may read it."""
    with opened(config) as (_, storage):
        one = _found(storage, id_)
        message = storage.read_now(lambda connection: quarantine.load(connection, one))
        try:
            digest = _write(message, file)
        except OSError as error:
            raise refuse(f"{file}: {error.strerror}") from None
    if digest != one.sha256:
        raise refuse(f"{file}: these are not the bytes that were kept; somebody has changed the database")
    typer.echo(f"{file}: {message.size} bytes, SHA-256 {digest.hex()}, infected with {shown(one.virus)}")


def _found(storage: Storage, id_: int) -> Quarantined:
    one = storage.read_now(lambda connection: quarantine.find(connection, id_))
    if one is None:
        raise refuse(f"{id_}: there is no such message in the virus store")
    return one


def _write(message: Octets, file: Path) -> bytes:
    """Write a new file that nobody else can read; the digest of what was written."""
    digest = hashlib.sha256()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for piece in message.pieces():
            digest.update(piece)
            out.write(piece)
    return digest.digest()


def _plain(one: Quarantined) -> dict[str, object]:
    return {
        "id": one.id,
        "at": one.at.isoformat(),
        "kind": one.kind,
        "virus": one.virus,
        "pec_msgid": one.pec_msgid,
        "sender": one.sender,
        "recipients": list(one.recipients),
        "subject": one.subject,
        "provider": one.provider,
        "sha256": one.sha256.hex(),
    }
