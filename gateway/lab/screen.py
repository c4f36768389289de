"""What a person sees of a running lab: its accounts, and each message's story as the providers' own tracking has it."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.drivers.configuration import read_settings
from gateway.lab.description import description_file
from gateway.lab.greeting import NotSent, send_greeting
from gateway.lab.running import Lab
from gateway.lab.timeline import timeline
from gateway.storage import certified
from gateway.storage.certified import CertifiedMessage
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError

__all__ = ["Watch", "headed", "introduction", "show", "watching"]

MOST_MESSAGES = 30  # looked at; those that fit are drawn
LOOK_SECONDS = 0.1
ACCOUNTS_SHOWN = 6  # of each provider; lab.json has them all
MARGIN = 4  # lines of the screen that the timeline leaves alone


async def show(console: Console, running: Lab) -> None:
    """Send one certified message and draw what becomes of it and of every further one. Runs until cancelled."""
    for drawn in introduction(running):
        console.print(drawn)
    with watching(running) as watch, Live(console=console, refresh_per_second=10, vertical_overflow="crop") as live:
        greeting = asyncio.create_task(_greet(running, console))
        try:
            while True:
                messages = await asyncio.to_thread(watch.look)
                live.update(headed(timeline(messages, watch.zone, height=console.height - MARGIN)))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            greeting.cancel()


class Watch:
    """The messages handed in to any provider of a lab since this was made, as each provider's tracking has them."""

    def __init__(self, storages: Sequence[Storage], zone: ZoneInfo) -> None:
        self.zone = zone  # in which the providers tell time
        self._storages = storages
        self._since = datetime.now(UTC)

    def look(self) -> list[CertifiedMessage]:
        """The latest, oldest first."""
        found: list[CertifiedMessage] = []
        for storage in self._storages:
            with contextlib.suppress(TemporaryError):  # then they are shown at the next look
                found += storage.read_now(
                    lambda connection: certified.messages_since(connection, self._since, limit=MOST_MESSAGES)
                )
        return sorted(found, key=lambda message: message.at)


@contextlib.contextmanager
def watching(running: Lab) -> Iterator[Watch]:
    """Look at the tracking of all providers of a lab."""
    settings = [read_settings(running.layout.provider(one).config) for one in running.plan.providers]
    with contextlib.ExitStack() as stack:
        storages = [Storage.open(one.storage.url) for one in settings]
        for storage in storages:
            stack.callback(storage.close)
        yield Watch(storages, ZoneInfo(settings[0].provider.time_zone))


def headed(story: RenderableType) -> RenderableType:
    return Group(Text("Certified messages", "bold underline"), Text(), story)


def introduction(running: Lab) -> Iterator[RenderableType]:
    """Who is there, and how to join in."""
    yield Text()
    for provider in running.plan.providers:
        ports = provider.ports
        yield Text.assemble(
            (provider.name, "bold"),
            "   localhost",
            f"   SMTP {ports['submissions']} (TLS), {ports['submission']} (STARTTLS)",
            "\n" + " " * len(provider.name),  # a terminal of eighty columns has no room for all in one line
            f"   IMAP {ports['imaps']}, POP3 {ports['pop3s']} (TLS)",
        )
        table = Table.grid(padding=(0, 3, 0, 0))
        for account in provider.accounts[:ACCOUNTS_SHOWN]:
            table.add_row(Text(f"  {account.address}"), Text(account.password))
        yield table
        if len(provider.accounts) > ACCOUNTS_SHOWN:
            yield Text(f"  and {len(provider.accounts) - ACCOUNTS_SHOWN} more", "dim")
        yield Text()
    yield Text(f"Certificate authority to trust: {running.layout.ca_file}", "dim")
    yield Text(f"Everything, for programs: {description_file(running.layout)}", "dim")
    yield Text("Send from any of these accounts and watch it travel. Ctrl-C stops the lab.\n", "dim")


async def _greet(running: Lab, console: Console) -> None:
    try:
        await asyncio.to_thread(send_greeting, running)
    except NotSent as error:
        console.print(Text(str(error), "red"))
