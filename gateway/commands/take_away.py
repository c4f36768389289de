"""``ceralacca export``: take a box away, in files that every mail program reads."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.sign_in import known
from gateway.drivers.mail_files import Maildir, MailFiles, Mbox
from gateway.flows.take_away import take_away

__all__ = ["export"]


NOTE = "ceralacca-account"
"""A file beside the folders; mail programs pass it over."""


class Form(StrEnum):
    MAILDIR = "maildir"
    MBOX = "mbox"


def export(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The account whose box is written.")],
    to: Annotated[Path, typer.Option("--to", help="A folder; it is made, or is one of an earlier export.")],
    form: Annotated[
        Form,
        typer.Option("--format", help="maildir keeps flags and dates and can be continued; mbox is one file a folder."),
    ] = Form.MAILDIR,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write every message of a box into files, byte for byte as it is kept.

    Nobody but the user who runs this can read the files.
    """
    if to.exists() and not to.is_dir():
        raise refuse(f"{to}: is no folder")
    target: MailFiles = Maildir(to) if form is Form.MAILDIR else Mbox(to)
    if form is Form.MBOX and to.exists() and any(to.iterdir()):
        raise refuse(f"{to}: is not empty, and mbox files are written anew")
    with opened(config) as (_, storage):
        account = storage.read_now(lambda connection: known(connection, address))
        try:
            to.mkdir(mode=0o700, parents=True, exist_ok=True)
            _claim(to, account.address)
            taken = take_away(storage, account.mailbox_id, target, _tell)
        except OSError as error:
            raise refuse(f"{error.filename or to}: {error.strerror}") from None
    if sys.stderr.isatty():
        typer.echo(" " * 78 + "\r", err=True, nl=False)
    typer.echo(f"folders: {taken.folders}")
    typer.echo(f"written: {taken.messages} messages, {taken.bytes} bytes")
    if taken.there_before:
        typer.echo(f"there before: {taken.there_before}")


def _claim(folder: Path, address: str) -> None:
    """Write down whose box a folder holds; the box of another, or files of somebody else, are not mixed with it."""
    note = folder / NOTE
    if not note.exists():
        if any(folder.iterdir()):
            raise refuse(f"{folder}: is not empty, and no earlier export; name a new folder")
        note.write_text(f"{address}\n")
    elif (other := note.read_text(errors="replace").strip()) != address:
        raise refuse(f"{folder}: holds the box of {shown(other)}; name another folder for {address}")


def _tell(folder: str, done: int) -> None:
    if sys.stderr.isatty():
        typer.echo(shown(f"{folder}: {done}").ljust(78)[:78] + "\r", err=True, nl=False)
