"""What a person sees of a running lab: its accounts, and each message's story as the providers' own tracking has it."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway.drivers.configuration import read_settings
from gateway.lab.description import description_file
from gateway.lab.greeting import NotSent, send_greeting
from gateway.lab.plan import ProviderPlan
from gateway.lab.running import Lab
from gateway.lab.timeline import timeline
from gateway.storage import certified
from gateway.storage.certified import CertifiedMessage
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError

__all__ = ["show"]

MOST_MESSAGES = 30  # looked at; those that fit are drawn
LOOK_SECONDS = 0.1
ACCOUNTS_SHOWN = 6  # of each provider; lab.json has them all
MARGIN = 4  # lines of the screen that the timeline leaves alone


async def show(console: Console, running: Lab) -> None:
    """Send one certified message and draw what becomes of it and of every further one. Runs until cancelled."""
    for drawn in _introduction(running):
        console.print(drawn)
    since = datetime.now(UTC)
    with contextlib.ExitStack() as stack:
        trackings = [stack.enter_context(_tracking(running, provider)) for provider in running.plan.providers]
        live = stack.enter_context(Live(console=console, refresh_per_second=10, vertical_overflow="crop"))
        greeting = asyncio.create_task(_greet(running, console))
        try:
            while True:
                messages = await asyncio.to_thread(_look, trackings, since)
                story = timeline(messages, trackings[0].zone, height=console.height - MARGIN)
                live.update(Group(Text("Certified messages", "bold underline"), Text(), story))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            greeting.cancel()


@dataclass(frozen=True, slots=True)
class _Tracking:
    """Where one provider keeps what it knows of the messages of its holders."""

    storage: Storage
    zone: ZoneInfo


@contextlib.contextmanager
def _tracking(running: Lab, provider: ProviderPlan) -> Iterator[_Tracking]:
    settings = read_settings(running.layout.provider(provider).config)
    storage = Storage.open(settings.storage.url)
    try:
        yield _Tracking(storage, ZoneInfo(settings.provider.time_zone))
    finally:
        storage.close()


def _look(trackings: list[_Tracking], since: datetime) -> list[CertifiedMessage]:
    """The messages handed in since then to any provider, oldest first."""
    found: list[CertifiedMessage] = []
    for one in trackings:
        with contextlib.suppress(TemporaryError):  # then they are shown at the next look
            found += one.storage.read_now(lambda to: certified.messages_since(to, since, limit=MOST_MESSAGES))
    return sorted(found, key=lambda message: message.at)


async def _greet(running: Lab, console: Console) -> None:
    try:
        await asyncio.to_thread(send_greeting, running)
    except NotSent as error:
        console.print(Text(str(error), "red"))


def _introduction(running: Lab) -> Iterator[RenderableType]:
    yield Text()
    for provider in running.plan.providers:
        ports = provider.ports
        yield Text.assemble(
            (provider.name, "bold"),
            "   localhost",
            f"   SMTP {ports['submissions']} (TLS), {ports['submission']} (STARTTLS)",
            f"   POP3 {ports['pop3s']} (TLS)",
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
