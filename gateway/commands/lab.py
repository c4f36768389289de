"""``ceralacca lab``: a network of certified providers on this machine, from one command."""

import asyncio
import io
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.commands.reasons import reason_of
from gateway.commands.samples import emit
from gateway.commands.tour import tour
from gateway.lab.clamd import ClamdMissing
from gateway.lab.description import description_file
from gateway.lab.plan import MAX_PROVIDERS, NoPlan
from gateway.lab.running import FolderInUse, running_lab
from gateway.lab.screen import show
from gateway.lab.supervisor import NotStarted
from receipts.errors import GatewayError

__all__ = ["app", "lab"]

LOWEST_PORT, HIGHEST_PORT = 1024, 65_000
INTERRUPTED = 130  # what shells say of a program ended by Ctrl-C


app = typer.Typer()


@app.callback(invoke_without_command=True)
def lab(
    context: typer.Context,
    *,
    providers: Annotated[
        int, typer.Option(min=1, max=MAX_PROVIDERS, help="Providers: alfa.example, beta.example, ...")
    ] = 2,
    accounts: Annotated[int, typer.Option(min=1, max=1000, help="Accounts of each: anna, bruno, carla, ...")] = 3,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where everything is kept. The same folder is the same lab again.")
    ] = Path("lab-data"),
    quiet: Annotated[bool, typer.Option("--quiet", help="Send nothing and draw nothing; only run.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart/--no-restart", help="Whether a provider that dies is started again.")
    ] = True,
    client_certificates: Annotated[
        bool,
        typer.Option("--client-certificates", help="The index is fetched from the first provider, with a certificate."),
    ] = False,
    antivirus: Annotated[
        bool, typer.Option("--antivirus", help="Every provider scans for viruses, with the installed clamd.")
    ] = False,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Closed days of the registers are stamped by an authority of the lab.")
    ] = False,
    first_port: Annotated[
        int | None,
        typer.Option(
            min=LOWEST_PORT, max=HIGHEST_PORT, help="Ports from here on for a new lab; free ones if left out."
        ),
    ] = None,
) -> None:
    """Run certified providers on this machine: keys, index, accounts and all. Ctrl-C stops it.

    On a terminal it sends one certified message and draws its receipts as they come; then those of every other.

    DIR/lab.json tells programs all they need to join in: ports, accounts, passwords, certificate authorities. It is there while every server answers.

    Started again on the same DIR, the lab has the same ports, passwords and mailboxes; asked for more providers or accounts, it grows.

    Beside the providers there is an ordinary mail server for mail.example (all but nobody@mail.example exist). Every other domain fails at once: nothing leaves this machine.
    """  # noqa: E501  (a paragraph is one line, or the help breaks where this file does)
    if context.invoked_subcommand is not None:
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that is not UTF-8 shows what it can
    console = Console()
    on_terminal = sys.stdout.isatty() and not quiet

    def tell(line: str) -> None:
        if not quiet:
            console.print(line, style="dim", markup=False, highlight=False)

    async def run() -> None:
        _stop_on_signals()
        async with running_lab(
            folder.absolute(),
            providers=providers,
            accounts=accounts,
            first_port=first_port,
            restart=restart,
            client_certificates=client_certificates,
            antivirus=antivirus,
            timestamps=timestamps,
            tell=tell,
        ) as running:
            if on_terminal:
                await show(console, running)
            else:
                typer.echo(f"ready: {description_file(running.layout)}")
                await asyncio.Event().wait()

    try:
        asyncio.run(run())
    except asyncio.CancelledError:
        typer.echo("stopped")
    except (FolderInUse, NoPlan, NotStarted, ClamdMissing) as error:  # which say all there is to say
        raise _refuse(str(error)) from None
    except (GatewayError, OSError) as error:
        raise _refuse(reason_of(error)) from None


app.command()(emit)
app.command()(tour)


def _refuse(why: str) -> typer.Exit:
    typer.echo(f"ceralacca lab: {why}", err=True)
    return typer.Exit(1)


def _stop_on_signals() -> None:
    """Let the first signal end the current task in order, and the second end everything at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if task.cancelling():
            os._exit(INTERRUPTED)  # the providers end with this process
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, stop)
