"""``ceralacca alarms`` on a real storage."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.commands.alarms import moment
from gateway.storage import alarms, register
from gateway.storage.engine import Storage
from gateway.storage.register import Event, RegisterEntry

NOW = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
ROME = ZoneInfo("Europe/Rome")

Run = Callable[..., Result]


@pytest.fixture
def ceralacca(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    config = tmp_path / "gateway.toml"
    config.write_text(example_toml())
    monkeypatch.setenv("CERALACCA_STORAGE__URL", sqlite_url)
    return lambda *arguments: CliRunner().invoke(app, ["alarms", *arguments, "--config", str(config)])


@pytest.fixture
def opened(sqlite_url: str) -> Iterator[Storage]:
    storage = Storage.open(sqlite_url)
    yield storage
    storage.close()


def raised(storage: Storage, name: str, at: datetime) -> None:
    storage.write_now(lambda connection: alarms.begin(connection, name, "node-1", "does not answer", at))


def test_nothing_stands(ceralacca: Run) -> None:
    result = ceralacca()
    assert (result.exit_code, result.output) == (0, "0 standing\n")


def test_what_stands_is_listed_and_is_the_exit_code(ceralacca: Run, opened: Storage) -> None:
    raised(opened, "scanner", NOW)
    raised(opened, "clock", NOW)
    opened.write_now(lambda connection: alarms.end(connection, "clock", "node-1", NOW))
    result = ceralacca()
    assert result.exit_code == 1
    assert (
        result.output == "1  scanner at node-1  since 2026-07-01 12:00:00+02:00, stands: does not answer\n1 standing\n"
    )


def test_since_a_moment_it_names_the_past_and_messages(ceralacca: Run, opened: Storage) -> None:
    now = datetime.now(UTC)
    raised(opened, "scanner", now)
    opened.write_now(lambda connection: alarms.end(connection, "scanner", "node-1", now))
    about = RegisterEntry(event=Event.ALARM, at=now, pec_msgid="opec1@alfa.example", recipients=("x@y.example",))
    opened.write_now(lambda connection: register.append(connection, [about]))
    result = ceralacca("--since", "24h")
    assert result.exit_code == 0
    assert "scanner" in result.output
    assert "message opec1@alfa.example for x@y.example" in result.output
    report = json.loads(ceralacca("--since", "24h", "--json").output)
    assert report["standing"] == 0
    assert [alarm["name"] for alarm in report["alarms"]] == ["scanner"]
    assert [row["pec_msgid"] for row in report["about_messages"]] == ["opec1@alfa.example"]
    assert ceralacca().output == "0 standing\n"


def test_one_of_a_process_that_is_gone_is_dismissed(ceralacca: Run, opened: Storage) -> None:
    raised(opened, "scanner", NOW)
    assert ceralacca("--dismiss", "1").output == "0 standing\n"
    again = ceralacca("--dismiss", "1")
    assert again.exit_code == 1
    assert "no such alarm stands" in again.output
    (row,) = opened.read_now(lambda connection: register.rows_of(connection, Event.ALARM_OVER, NOW, limit=9))
    assert row.detail == "scanner (node-1): dismissed by hand"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(days=1)),
        ("24h ago", NOW - timedelta(days=1)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-03-29", datetime(2026, 3, 28, 23, 0, tzinfo=UTC)),
        ("2026-07-01T09:30", datetime(2026, 7, 1, 7, 30, tzinfo=UTC)),
        ("2026-07-01T09:30Z", datetime(2026, 7, 1, 9, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_what_a_person_means(text: str, meant: datetime) -> None:
    assert moment(text, ROME, NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "7x", "2026-02-30", "-1d", "9999999d", "999999d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        moment(text, ROME, NOW)
