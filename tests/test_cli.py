"""The command line lists every command without importing any."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import COMMANDS, app, load_command

PARTS = {
    "gateway.commands.box",
    "gateway.commands.journal",
    "gateway.commands.names",
    "gateway.commands.policy",
    "gateway.commands.reasons",
    "gateway.commands.rule",
    "gateway.commands.samples",
    "gateway.commands.share",
    "gateway.commands.sieve",
    "gateway.commands.sign_in",
    "gateway.commands.collect",
    "gateway.commands.store",
    "gateway.commands.tour",
}
"""What commands of the table are made of."""
COMMAND_FILES = (Path(__file__).parents[1] / "gateway" / "commands").glob("*.py")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_can_be_loaded_and_says_the_same_about_itself(name: str) -> None:
    command = load_command(name)
    assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


def test_every_module_of_commands_stands_in_the_table() -> None:
    files = {f"gateway.commands.{file.stem}" for file in COMMAND_FILES if file.stem != "__init__"}
    assert files - PARTS == {where.partition(":")[0] for where, _ in COMMANDS.values()}


def test_help_lists_all_commands() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    for name in COMMANDS:
        assert name in output


def test_help_imports_no_command_and_no_settings() -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from gateway.cli import app;"
        "result = CliRunner().invoke(app, ['--help']); assert result.exit_code == 0;"
        "print([name for name in sys.modules if name.startswith(('gateway.', 'config', 'pydantic', 'sqlalchemy'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['gateway.cli']"


def test_unknown_command_names_the_nearest() -> None:
    result = CliRunner().invoke(app, ["chek-config"])
    assert result.exit_code == 2
    assert "check-config" in result.output
