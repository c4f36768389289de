"""``ceralacca lab tour``: every kind of certified message, made to happen, found and verified."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.lab.clamd import ClamdMissing, clamd_program
from gateway.lab.plan import NoPlan
from gateway.lab.running import FolderInUse, running_lab
from gateway.lab.supervisor import NotStarted
from gateway.lab.tour import KINDS, WITH_SCANNER, Found, Tour
from receipts.errors import GatewayError

__all__ = ["table_of", "tour"]

ACCOUNTS = 3
WIDTH = 100


def tour(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="The lab's folder, and the messages found in DIR/tour. Left out: nothing is kept."),
    ] = None,
) -> None:
    """Make every kind of certified message happen in a lab, find it, and have OpenSSL verify it.

    Two providers, real sockets, the installed clamd; for the timeout notices the lab's clocks are set ahead. Takes a minute or less, and ends with a table. Exit status 1 if a kind was not seen, or does not verify.
    """  # noqa: E501  (a paragraph is one line, or the help breaks where this file does)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    try:
        if folder is not None:
            found = asyncio.run(_tour(folder.absolute(), console, keep=True))
        else:
            with tempfile.TemporaryDirectory(prefix="ceralacca-tour-") as temporary:
                found = asyncio.run(_tour(Path(temporary), console, keep=False))
    except (FolderInUse, NoPlan, NotStarted, ClamdMissing, GatewayError, OSError) as error:
        typer.echo(f"ceralacca lab tour: {error}", err=True)
        raise typer.Exit(1) from None
    console.print(table_of(found))
    if not all(kind in found and found[kind].verified for kind in KINDS):
        raise typer.Exit(1)


async def _tour(folder: Path, console: Console, *, keep: bool) -> dict[str, Found]:
    def tell(line: str) -> None:
        console.print(line, markup=False)

    scanner = clamd_program() is not None
    async with running_lab(
        folder, providers=2, accounts=ACCOUNTS, restart=False, antivirus=scanner, tell=tell
    ) as running:
        tour = Tour(running, scanner=scanner, tell=tell)
        await tour()
        if keep:
            tour.save(folder / "tour")
    return tour.found


def table_of(found: dict[str, Found]) -> Table:
    """One row a kind, seen or not."""
    table = Table()
    for head in ("kind", "", "seen", "by OpenSSL"):
        table.add_column(head, no_wrap=head != "seen", overflow="fold")
    missing = "no" if clamd_program() is not None else "no: apt-get install clamav-daemon"
    for kind, title in KINDS.items():
        one = found.get(kind)
        if one is None:
            table.add_row(kind, title, missing if kind in WITH_SCANNER else "no", "")
        else:
            table.add_row(kind, title, one.mailbox, "verified" if one.verified else "REFUSED")
    return table
