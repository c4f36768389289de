"""The command ``ceralacca``: a table of commands, each imported only when it is asked for."""

import importlib
from collections.abc import Mapping
from typing import Any

import typer
import typer.core
import typer.main

__all__ = ["COMMANDS", "app", "load_command", "main"]

COMMANDS: Mapping[str, tuple[str, str]] = {  # name: where it is, first line of its help
    "lab": (
        "gateway.commands.lab:app",
        "Run certified providers on this machine: keys, index, accounts and all. Ctrl-C stops it.",
    ),
    "serve": (
        "gateway.commands.serve:serve",
        "Run one provider until SIGTERM, which finishes what began. SIGHUP reloads certificate, index and routes.",
    ),
    "bench": (
        "gateway.commands.bench:bench",
        "Measure certified flows a second: two providers with production defaults, and a generator beside them.",
    ),
    "domain": (
        "gateway.commands.domain:app",
        "The mail domains of this provider, their DKIM keys and DNS records.",
    ),
    "account": (
        "gateway.commands.account:app",
        "Accounts and their boxes: passwords, devices, room, rules, people, what goes in and out.",
    ),
    "export": (
        "gateway.commands.take_away:export",
        "Write every message of a box into files, byte for byte as it is kept.",
    ),
    "import": (
        "gateway.commands.bring:bring",
        "Copy folders, flags, dates and bytes of a box from another provider, and verify its certified messages.",
    ),
    "queue": ("gateway.commands.queue:app", "See what waits to leave, try it again now, or hold it."),
    "trace": (
        "gateway.commands.trace:trace",
        "Tell the story of a message, or of the latest fifty of an address, and where each recipient stands.",
    ),
    "alarms": (
        "gateway.commands.alarms:alarms",
        "List what an operator must see now; exit code 1 if something stands.",
    ),
    "register": (
        "gateway.commands.register:app",
        "Check the legal register, close its days, extract from it, count.",
    ),
    "quarantine": (
        "gateway.commands.quarantine:app",
        "See which infected messages are kept, and take one out to examine it.",
    ),
    "service-mailbox": (
        "gateway.commands.service_mailbox:app",
        "List and read the service mailbox: receipts between providers, and what strayed there.",
    ),
    "check-config": (
        "gateway.commands.check_config:check_config",
        "Say everything that is wrong with a configuration.",
    ),
    "example-config": (
        "gateway.commands.config:example_config",
        "Print an annotated configuration with every setting.",
    ),
    "key": ("gateway.commands.key:app", "Make, request and check the provider's signing key."),
    "index": (
        "gateway.commands.index:app",
        "The index of certified providers: fetch, look into, compare, check, publish, sign.",
    ),
    "verify": (
        "gateway.commands.verify:verify",
        "Say of certified mail what it is, who sealed it, what it certifies, and whether that holds.",
    ),
}


class LazyGroup(typer.core.TyperGroup):
    """Lists commands from the table, so that ``--help`` imports none of them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: typer.core.TyperCommand(name, help=text) for name, (_, text) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else None, rest


def load_command(name: str) -> Any:
    """Import one command of the table: a function, or a ``typer.Typer`` with commands of its own."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command(name)(function)
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup,
    help="Ceralacca, a certified-mail gateway: it seals, relays and receipts certified mail (PEC, RFC 6109).",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


@app.callback()
def ceralacca() -> None:
    """Carry the table: every command is in ``COMMANDS``."""


def main() -> None:
    """Run one command."""
    app(prog_name="ceralacca")


if __name__ == "__main__":
    main()
