"""The page for operators names commands, settings and alarms that there are."""

import re
from pathlib import Path

import pytest
import typer.core

from config.settings import Settings
from gateway.cli import COMMANDS, load_command

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SPOKEN = sorted(set(re.findall(r"\bceralacca ([a-z-]+(?: [a-z-]+)?)", PAGE)))
ALARMS = re.findall(r"^\| (`[^|]+) \|", PAGE.split("## Alarms")[1], flags=re.MULTILINE)
EVENTS = [event for cell in ALARMS for event in re.findall("`([^`]+)`", cell)]
SOURCES = "".join(
    file.read_text() for package in ("gateway", "providers") for file in sorted((ROOT / package).rglob("*.py"))
)


@pytest.mark.parametrize("spoken", [words for words in SPOKEN if words.split()[0] in COMMANDS])
def test_a_command_named_on_the_page_exists(spoken: str) -> None:
    name, _, sub = spoken.partition(" ")
    command = load_command(name)
    if isinstance(command, typer.core.TyperGroup):
        assert sub in command.commands


def test_what_looks_like_a_command_is_one() -> None:
    assert {words.split()[0] for words in SPOKEN} - set(COMMANDS) == {"ceralacca"}  # a user of that name


@pytest.mark.parametrize("event", EVENTS)
def test_an_alarm_named_on_the_page_is_raised_somewhere(event: str) -> None:
    assert f'"{event}"' in SOURCES


def test_every_alarm_is_named_on_the_page() -> None:
    """But those that a bug alone can raise: they are told with a traceback and mean one thing."""
    raised = set(re.findall(r'log\.(?:error|critical)\(\s*"([^"]+)"', SOURCES))
    assert raised - set(EVENTS) <= {
        "connection not swept",
        "connection failed on a bug",
        "a server did not close in order",
    }


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"`([a-z_]+\.[a-z_]+)`", PAGE))))
def test_a_setting_named_on_the_page_exists(setting: str) -> None:
    section, _, key = setting.partition(".")
    annotation = Settings.model_fields[section].annotation
    assert annotation is not None
    assert key in annotation.model_fields


def test_the_page_is_one_page() -> None:
    assert len(PAGE.splitlines()) < 140
