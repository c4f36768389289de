"""``python -m tests.lab.picture``: what a person sees of a lab, into docs/images/lab.svg."""

import asyncio
import io
import smtplib
import ssl
import tempfile
from email.message import EmailMessage
from pathlib import Path

from rich.console import Console

from gateway.lab.greeting import send_greeting
from gateway.lab.running import Lab, running_lab
from gateway.lab.screen import Watch, headed, introduction, watching
from gateway.lab.timeline import timeline
from gateway.storage.certified import CertifiedMessage

__all__ = ["main"]

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "lab.svg"
PATIENCE_SECONDS, POLL_SECONDS = 60, 0.1
RECIPIENTS = ("carla@beta.example", "nessuno@beta.example", "carla@alfa.example", "amico@mail.example")


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ceralacca-") as folder:
        console = Console(record=True, width=90, height=60, file=io.StringIO(), force_terminal=True)
        async with running_lab(Path(folder) / "lab-data", providers=2, accounts=3) as running:
            for drawn in introduction(running):
                console.print(drawn)
            with watching(running) as watch:
                await asyncio.to_thread(send_greeting, running)
                await asyncio.to_thread(_send, running)
                await _ended(watch)
                console.print(headed(timeline(watch.look(), watch.zone, height=60)))
        picture = console.export_svg(title="make run").replace(f"{folder}/", "/home/you/ceralacca/")
        PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n")


def _send(running: Lab) -> None:
    first = running.plan.providers[0]
    account = first.accounts[1]
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = account.address, ", ".join(RECIPIENTS), "A quattro insieme"
    message.set_content("ciao\n")
    context = ssl.create_default_context(cafile=str(running.layout.ca_file))
    with smtplib.SMTP_SSL("localhost", first.ports["submissions"], context=context) as client:
        client.login(account.address, account.password)
        client.send_message(message)


async def _ended(watch: Watch) -> None:
    """Wait until nothing more will happen."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(map(_pending, watch.look())):  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


def _pending(message: CertifiedMessage) -> bool:
    return any(one.provider and not (one.taken_at and one.ended_at) for one in message.recipients)


if __name__ == "__main__":
    asyncio.run(main())
