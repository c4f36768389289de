"""``ceralacca lab``: a network of certified providers on this machine, from one command."""

import asyncio
import contextlib
import email.utils
import signal
import smtplib
import ssl
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gateway.drivers.configuration import read_settings
from gateway.lab.description import description_file
from gateway.lab.plan import MAX_PROVIDERS, AccountPlan, ProviderPlan
from gateway.lab.running import FolderInUse, Lab, running_lab
from gateway.lab.timeline import accounts_table, timeline
from gateway.storage import certified
from gateway.storage.certified import CertifiedMessage
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError

__all__ = ["lab"]

SHOWN = 8
"""Messages on the screen; older ones scroll away."""
LOOK_SECONDS = 0.1
FIRST_SUBJECT = "Il primo messaggio certificato"


def lab(
    *,
    providers: Annotated[int, typer.Option(min=1, max=MAX_PROVIDERS, help="How many providers.")] = 2,
    accounts: Annotated[int, typer.Option(min=1, max=1000, help="Accounts of each provider.")] = 3,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where the lab keeps everything; start it again there and it is the same lab.")
    ] = Path("lab-data"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Draw nothing and send nothing; only run.")] = False,
    restart: Annotated[bool, typer.Option("--restart/--no-restart", help="Start a provider that dies again.")] = True,
) -> None:
    """Run certified providers on this machine: keys, index, accounts and all. Ctrl-C stops it.

    On a terminal it sends one certified message and shows how it travels. Everything a program needs to join in
    (ports, accounts, passwords, certificate authorities) stands in DIR/lab.json. Nothing leaves this machine.
    """
    console = Console(stderr=False)
    try:
        asyncio.run(_run(console, folder.absolute(), providers, accounts, quiet=quiet, restart=restart))
    except (FolderInUse, RuntimeError, OSError) as error:
        typer.echo(f"ceralacca lab: {error}", err=True)
        raise typer.Exit(1) from None


async def _run(console: Console, folder: Path, providers: int, accounts: int, *, quiet: bool, restart: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def tell(line: str) -> None:
        if not quiet:
            console.print(f"[dim]{line} ...[/dim]")

    async with running_lab(folder, providers=providers, accounts=accounts, restart=restart, tell=tell) as running:
        if quiet or not sys.stdout.isatty():
            typer.echo(f"ready: {description_file(running.layout)}")
            await stop.wait()
        else:
            await _show(console, running, stop)


async def _show(console: Console, running: Lab, stop: asyncio.Event) -> None:
    """Draw what the providers' own tracking says, live, beginning with a message of the lab's own."""
    console.print(accounts_table(_accounts(running)))
    console.print(f"\n[dim]everything else: {description_file(running.layout)}      Ctrl-C stops the lab[/dim]\n")
    since = datetime.now(UTC)
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(_tracking(running, provider)) for provider in running.plan.providers]
        live = stack.enter_context(Live(console=console, refresh_per_second=10, transient=False))
        sender, recipient = _first_pair(running)
        sending = asyncio.create_task(asyncio.to_thread(_send, running, sender, recipient))
        while not stop.is_set():
            messages = await asyncio.to_thread(_look, stores, since)
            live.update(Group(Text("Certified messages", "bold underline"), Text(), timeline(messages[-SHOWN:])))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, smtplib.SMTPException):
            await sending


def _look(stores: list[Storage], since: datetime) -> list[CertifiedMessage]:
    found: list[CertifiedMessage] = []
    for store in stores:
        with contextlib.suppress(TemporaryError):  # shown at the next look
            found += store.read_now(lambda connection: certified.messages_since(connection, since, limit=SHOWN))
    return sorted(found, key=lambda message: message.at)


@contextlib.contextmanager
def _tracking(running: Lab, provider: ProviderPlan) -> Iterator[Storage]:
    storage = Storage.open(read_settings(running.layout.provider(provider).config).storage.url)
    try:
        yield storage
    finally:
        storage.close()


def _accounts(running: Lab) -> list[tuple[str, str, str]]:
    return [
        (
            account.address,
            account.password,
            _ports(provider),
        )
        for provider in running.plan.providers
        for account in provider.accounts
    ]


def _ports(provider: ProviderPlan) -> str:
    ports = provider.ports
    return f"SMTP {ports['submissions']} (TLS) or {ports['submission']} (STARTTLS), POP3 {ports['pop3s']} (TLS)"


def _first_pair(running: Lab) -> tuple[AccountPlan, AccountPlan]:
    first, last = running.plan.providers[0], running.plan.providers[min(1, len(running.plan.providers) - 1)]
    return first.accounts[0], last.accounts[min(1, len(last.accounts) - 1)]


def _send(running: Lab, sender: AccountPlan, recipient: AccountPlan) -> None:
    """Hand in one message as any mail program does."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender.address, recipient.address, FIRST_SUBJECT
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain="lab.example")
    message.set_content("Questo messaggio viaggia fra due gestori di posta certificata.\n")
    ports = running.plan.providers[0].ports
    context = ssl.create_default_context(cafile=str(running.layout.ca_file))
    with smtplib.SMTP_SSL("localhost", ports["submissions"], context=context, timeout=30) as client:
        client.login(sender.address, sender.password)
        client.send_message(message)
