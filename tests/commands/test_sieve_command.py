"""``ceralacca account sieve``."""

import re
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from tests.commands.test_box import ANNA, Run, run

__all__ = ["run"]

SCRIPT = 'require ["fileinto", "mailbox"];\nfileinto :create "Nuova";\nfileinto "Altrove";\n'


def check(file: str) -> Result:
    """``check``, which needs no provider."""
    return CliRunner().invoke(app, ["account", "sieve", "check", file])


@pytest.fixture
def script(tmp_path: Path) -> str:
    (file := tmp_path / "filtri.sieve").write_text(SCRIPT)
    return str(file)


def test_a_script_is_put_listed_shown_set_aside_and_removed(run: Run, script: str) -> None:
    put = run("account", "sieve", "put", ANNA, script)
    assert put.exit_code == 0
    assert put.stdout == "ceralacca: active\n"
    assert "there is no folder 'Altrove'" in put.output
    size = len(SCRIPT)
    assert run("account", "sieve", "list", ANNA).output == f"ceralacca  {size} bytes  active\n"
    assert run("account", "sieve", "show", ANNA).output == SCRIPT
    assert "the script is active" in run("account", "sieve", "remove", ANNA).output
    assert run("account", "sieve", "off", ANNA).output == f"{ANNA}: no script is active\n"
    assert run("account", "sieve", "list", ANNA).output == f"ceralacca  {size} bytes\n"
    assert run("account", "sieve", "activate", ANNA).exit_code == 0
    assert run("account", "sieve", "put", ANNA, script, "--name", "altro", "--inactive").stdout == "altro: kept\n"
    assert run("account", "sieve", "remove", ANNA, "--name", "altro").exit_code == 0
    assert "no such script" in run("account", "sieve", "show", ANNA, "--name", "altro").output
    assert "altro: there is no such script" in run("account", "sieve", "activate", ANNA, "--name", "altro").output


def test_what_is_wrong_with_a_script_is_said_by_line_and_column(run: Run, tmp_path: Path, script: str) -> None:
    (wrong := tmp_path / "sbagliato.sieve").write_text("keep;\n  reject;\n")
    checked = check(str(wrong))
    assert checked.exit_code != 0
    assert f"{wrong}:2:3: reject: there is no such command" in checked.output.replace("\n", "")
    assert run("account", "sieve", "put", ANNA, str(wrong)).exit_code != 0
    assert "understood" in check(script).output
    assert "No such file" in check(str(tmp_path / "nichts")).output
    assert "can be called so" in run("account", "sieve", "put", ANNA, script, "--name", "a\tb").output


def test_the_script_in_the_manual_is_understood(tmp_path: Path) -> None:
    """What stands in docs/rules.md works as it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    script = re.search(r"^    require .*?^    }\n", page, re.MULTILINE | re.DOTALL)
    assert script is not None
    (file := tmp_path / "manual.sieve").write_text(textwrap.dedent(script[0]))
    checked = check(str(file))
    assert checked.output == f"{file}: understood\n  puts mail into Alfa\n"


def test_a_box_has_so_many_scripts(run: Run, script: str) -> None:
    for number in range(20):
        assert run("account", "sieve", "put", ANNA, script, "--inactive", "--name", str(number)).exit_code == 0
    assert "at most 20 scripts" in run("account", "sieve", "put", ANNA, script).output
    assert run("account", "sieve", "put", ANNA, script, "--name", "7").exit_code == 0
