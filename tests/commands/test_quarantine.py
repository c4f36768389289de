"""``ceralacca quarantine`` on a real storage."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.drivers.sources import RandomIds
from gateway.flows.effects import Effects, Lease
from gateway.storage.engine import Storage
from gateway.storage.quarantine import NewQuarantined
from receipts.octets import InMemory, Octets
from tests.storage.test_quarantine import LEASE

AT = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
RAW = b"From: anna@alfa.example\r\nSubject: \x1b[31mrosso\r\n\r\n" + bytes(range(256)) * 5_000
Run = Callable[..., Result]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.open(f"sqlite:///{tmp_path}/ceralacca.sqlite", migrate=True)


@pytest.fixture
def run(tmp_path: Path, storage: Storage) -> Run:
    """The command, after two messages were put into the store."""
    file = tmp_path / "gateway.toml"
    url = f'url = "sqlite:///{tmp_path}/ceralacca.sqlite"'
    lines = example_toml().splitlines()
    file.write_text("\n".join(url if line.lstrip("# ").startswith('url = "sqlite') else line for line in lines))
    _keep(storage, Octets.whole(InMemory.of(RAW)), virus="Eicar-Test-Signature")
    _keep(storage, Octets.of(b"x"), virus="\x1b[2JAltro", sender="", kind="envelope")
    storage.close()

    def runs(*words: str) -> Result:
        return CliRunner().invoke(app, ["quarantine", *words, "--config", str(file)])

    return runs


def _keep(
    storage: Storage, message: Octets, *, virus: str, sender: str = "anna@alfa.example", kind: str = "submission"
) -> None:
    effects = Effects(at=AT, ids=RandomIds())
    effects.isolate(
        NewQuarantined(
            at=AT,
            kind=kind,
            virus=virus,
            pec_msgid="1@alfa.example",
            sender=sender,
            recipients=("bruno@beta.example",),
            subject="Perizia",
            provider="Alfa PEC",
            message=message,
        )
    )
    lease: Lease = LEASE
    storage.write_now(lambda connection: effects.perform(connection, lease))


def ids(run: Run) -> dict[str, str]:
    """The number of each message, by its kind."""
    return {one["kind"]: str(one["id"]) for one in json.loads(run("list", "--json").stdout)}


def test_the_list_says_what_is_kept_and_moves_no_cursor(run: Run) -> None:
    lines = run("list").stdout.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "2 kept"
    assert any(
        "2026-07-01 12:00:00+02:00  submission  Eicar-Test-Signature  from anna@alfa.example" in x for x in lines
    )
    assert any("envelope" in line and "from <>" in line for line in lines)
    assert "\x1b" not in "".join(lines)
    assert run("list", "--limit", "1").stdout.splitlines()[-1] == "2 kept"


def test_show_tells_the_facts_and_whether_the_bytes_are_those_that_came(run: Run) -> None:
    found = run("show", ids(run)["submission"])
    assert found.exit_code == 0
    for line in ("virus: Eicar-Test-Signature", "recipients: bruno@beta.example", f"bytes: {len(RAW)}", "intact: True"):
        assert line in found.stdout.splitlines()
    assert json.loads(run("show", ids(run)["envelope"], "--json").stdout)["bytes"] == 1


def test_export_writes_the_bytes_as_they_came_into_a_file_of_ones_own(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "virus.eml"
    done = run("export", ids(run)["submission"], str(file))
    assert done.exit_code == 0, done.stderr
    assert file.read_bytes() == RAW
    assert file.stat().st_mode & 0o777 == 0o600


def test_export_overwrites_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "there.eml"
    file.write_text("mine")
    done = run("export", ids(run)["submission"], str(file))
    assert done.exit_code != 0
    assert "File exists" in done.stderr
    assert file.read_text() == "mine"
    assert run("export", ids(run)["submission"], str(tmp_path / "no" / "such")).exit_code != 0


@pytest.mark.parametrize("words", [("show", "17"), ("export", "17", "out.eml")])
def test_what_is_not_there_is_said(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.exit_code != 0
    assert "17: there is no such message" in done.stderr


def test_bytes_that_somebody_changed_are_told(run: Run, storage: Storage, tmp_path: Path) -> None:
    key = ids(run)["submission"]
    changed = Storage.open(f"sqlite:///{tmp_path}/ceralacca.sqlite")
    changed.write_now(lambda connection: connection.execute(text("UPDATE quarantine SET sha256 = x'00'")))
    changed.close()
    assert run("show", key).exit_code == 1
    done = run("export", key, str(tmp_path / "out.eml"))
    assert done.exit_code != 0
    assert "not the bytes that were kept" in done.stderr
