"""``ceralacca import``: bring an existing certified box along from another provider's IMAP server."""

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.names import endpoint
from gateway.commands.sign_in import known
from gateway.drivers.imap_client import ImapAccount, ImapRefused, signed_in
from gateway.drivers.keyfiles import KeyRefused
from gateway.drivers.sources import RandomIds
from gateway.drivers.tls import client_trusting
from gateway.flows.bring import Bringing
from gateway.flows.bring_report import Report, Step
from gateway.flows.judging import VALID, judge_with
from gateway.storage import stores
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError

__all__ = ["bring"]

STOPPED = 2  # exit codes
SUSPICIOUS = 3
MOST_NAMED = 50


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def bring(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The account here that gets the messages.")],
    imap: Annotated[str, typer.Option("--imap", metavar="HOST[:PORT]", help="The other server, spoken to in TLS.")],
    user: Annotated[str | None, typer.Option("--user", help="User name there; ADDRESS if left out.")] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="PEM of the authority of its certificate, if not a public one.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Copy folders, flags, dates and bytes of a box from another provider, and verify its certified messages.

    The password there is asked for, or read from standard input. May be stopped at any time and run again: nothing is
    copied twice. Leaves with 3 if a certified message did not verify, 2 if the run could not be finished.
    """
    host, port = endpoint(imap)
    with opened(config) as (settings, storage):
        account = storage.read_now(lambda connection: known(connection, address))
        storage.read_now(lambda connection: stores.refuse_if_elsewhere(connection, account.mailbox_id))
        try:
            context = client_trusting(ca_file)
        except KeyRefused as error:
            raise refuse(str(error)) from None
        remote = ImapAccount(
            host=host,
            port=port,
            user=user or address,
            password=_password(),
            context=context,
        )
        try:
            report = asyncio.run(_run(settings, storage, account.mailbox_id, remote))
        except (ImapRefused, TemporaryError) as error:
            typer.echo(shown(f"stopped: {error}; what was copied stays, the next run goes on from there"), err=True)
            raise typer.Exit(STOPPED) from None
    _print(report)
    if report.suspicious:
        raise typer.Exit(SUSPICIOUS)


async def _run(settings: Settings, storage: Storage, mailbox_id: int, account: ImapAccount) -> Report:
    bringing = Bringing(
        storage,
        _Clock(),
        RandomIds(),
        mailbox_id=mailbox_id,
        source=f"{account.user}@{account.host}:{account.port}",
        owner=f"import-{os.getpid()}",
        judge=judge_with(settings.trust.ca_file, settings.index.file, settings.index.signer_ca_file),
        valid=VALID,
    )
    async with signed_in(account) as remote:
        return await bringing(remote, _teller())


def _teller() -> Callable[[Step], None]:
    """Says where the run is: on a terminal in one line that moves, else once a folder."""
    last: list[str] = []

    def tell(step: Step) -> None:
        if sys.stderr.isatty():
            typer.echo(shown(f"{step.folder}: {step.done} of {step.of}").ljust(78)[:78] + "\r", err=True, nl=False)
        elif last != [step.folder]:
            last[:] = [step.folder]
            typer.echo(shown(f"{step.folder}: {step.of} messages"), err=True)

    return tell


def _print(report: Report) -> None:
    if sys.stderr.isatty():
        typer.echo(" " * 78 + "\r", err=True, nl=False)
    typer.echo(f"folders: {report.folders}")
    typer.echo(f"copied: {report.brought} messages, {report.bytes} bytes")
    typer.echo(f"here before: {report.here_before}")
    if report.changed or report.moved:
        typer.echo(f"changed there: flags of {report.changed} messages, the place of {report.moved}")
    for verdict, number in sorted(report.verdicts.items()):
        typer.echo(f"certified messages, {verdict}: {number}")
    for title, lines in (("did not verify", report.suspicious), ("left out", report.left_out)):
        for line in lines[:MOST_NAMED]:
            typer.echo(shown(f"{title}: {line}"))
        if len(lines) > MOST_NAMED:
            typer.echo(f"{title}: and {len(lines) - MOST_NAMED} more")


def _password() -> str:
    """Never from the command line, where every user of the machine could read it."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password there", hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")
