"""``ceralacca account share`` and ``journal``."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app

Run = Callable[..., Result]
ANNA, BRUNO = "anna@alfa.example", "bruno@alfa.example"
CARLA = ("--person", "Carla Neri")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, on a storage with a domain and two accounts."""
    file = tmp_path / "gateway.toml"
    file.write_text(example_toml())
    monkeypatch.setenv("CERALACCA_STORAGE__URL", f"sqlite:///{tmp_path}/ceralacca.sqlite")

    def ceralacca(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(file)], input=given)

    assert ceralacca("domain", "add", "alfa.example").exit_code == 0
    for address in (ANNA, BRUNO):
        assert ceralacca("account", "add", address, given="correct horse battery\n").exit_code == 0
    return ceralacca


def test_people_are_let_in_changed_and_removed(run: Run) -> None:
    assert run("account", "share", "add", ANNA, *CARLA).output == f"{ANNA}: Carla Neri may read\n"
    added = run("account", "share", "add", ANNA, "--person", BRUNO, "--right", "manage")
    assert added.output == f"{ANNA}: {BRUNO} may manage\n"
    secret = run("account", "share", "device", ANNA, "--person", "carla neri", "laptop").output.strip()
    assert re.fullmatch("[0-9a-f]{40}", secret)
    changed = run("account", "share", "change", ANNA, *CARLA, "--right", "send")
    assert changed.output == "Carla Neri: may send\n"
    listed = run("account", "share", "list", ANNA).output
    assert listed == f"manage  {BRUNO}  no password\nsend    Carla Neri  {secret[:8]}\n"
    assert run("account", "devices", ANNA).output.splitlines()[1].endswith("  laptop  of Carla Neri")
    assert run("account", "disable", BRUNO).exit_code == 0
    assert f"{BRUNO}  (account disabled)" in run("account", "share", "list", ANNA).output
    assert run("account", "share", "remove", ANNA, *CARLA).output == "Carla Neri: removed\n"
    assert run("account", "share", "list", ANNA).output == f"manage  {BRUNO}  (account disabled)  no password\n"
    assert run("account", "devices", ANNA).output == "(own)     never used\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("add", "nobody@alfa.example", *CARLA), "nobody@alfa.example: no such mailbox"),
        (("add", "postmaster@alfa.example", *CARLA), "postmaster@alfa.example: such a box takes everything"),
        (("add", ANNA, "--person", "nobody@alfa.example"), "nobody@alfa.example: no such account"),
        (("add", ANNA, "--person", ANNA), f"{ANNA} is the holder of this box"),
        (("add", ANNA, "--person", "x" * 101), f"'{'x' * 101}': no person can be called so"),
        (("add", ANNA, "--person", " "), "' ': no person can be called so"),
        (("change", ANNA, *CARLA, "--right", "read"), f"Carla Neri has no access to {ANNA}"),
        (("remove", ANNA, *CARLA), f"Carla Neri has no access to {ANNA}"),
        (("device", ANNA, *CARLA, "laptop"), f"Carla Neri has no access to {ANNA}"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, arguments: tuple[str, ...], why: str) -> None:
    refused = run("account", "share", *arguments)
    assert (refused.exit_code, refused.stderr) == (1, f"{why}\n")


def test_nobody_is_let_in_twice(run: Run) -> None:
    assert run("account", "share", "add", ANNA, *CARLA).exit_code == 0
    assert run("account", "share", "add", ANNA, "--person", "CARLA NERI").stderr == "CARLA NERI has access already\n"


def test_a_person_s_password_is_none_of_the_holder_s(run: Run) -> None:
    """The holder would be shut out by `--devices-only` with no password left."""
    run("account", "share", "add", ANNA, *CARLA)
    run("account", "share", "device", ANNA, *CARLA, "laptop")
    assert "has no device password yet" in run("account", "access", ANNA, "--devices-only").stderr
    run("account", "device", ANNA, "telephone")
    assert run("account", "access", ANNA, "--devices-only").exit_code == 0


def test_the_journal_tells_what_the_operator_did(run: Run) -> None:
    run("account", "rule", "add", ANNA, "--folder", "Pratiche")  # before anybody shares the box
    run("account", "share", "add", ANNA, *CARLA, "--right", "send")
    secret = run("account", "share", "device", ANNA, *CARLA, "laptop").output.strip()
    run("account", "rule", "remove", ANNA, "1")
    run("account", "revoke", ANNA, secret[:8])
    run("account", "password", ANNA, given="correct horse battery\n")
    run("account", "share", "remove", ANNA, *CARLA)
    run("account", "rule", "add", ANNA, "--folder", "Pratiche")  # nobody shares it any more
    lines = run("account", "journal", ANNA).output.splitlines()
    assert [line.partition("  ")[2] for line in lines] == [
        "operator  changed people: add, name Carla Neri, right send",
        f"operator  changed passwords: add, device {secret[:8]}, label laptop, name Carla Neri",
        "operator  changed rules: remove, rule every message: folder Pratiche",
        f"operator  changed passwords: revoke, device {secret[:8]}",
        "operator  changed passwords: set, whose holder",
        "operator  changed people: remove, name Carla Neri",
    ]
    rows = [json.loads(line) for line in run("account", "journal", ANNA, "--json").output.splitlines()]
    assert [row["act"] for row in rows] == [
        "changed people",
        "changed passwords",
        "changed rules",
        "changed passwords",
        "changed passwords",
        "changed people",
    ]
    assert {row["who"] for row in rows} == {"operator"}


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ((), 1),
        (("--from", "2020-01-01", "--to", "2100-01-01"), 1),
        (("--to", "2020-01-01"), 0),
        (("--from", "2100-01-01"), 0),
        (("--person", "holder"), 0),
        (("--person", "carla neri"), 0),
    ],
)
def test_the_journal_is_asked_by_day_and_person(run: Run, options: tuple[str, ...], rows: int) -> None:
    run("account", "share", "add", ANNA, *CARLA)
    assert len(run("account", "journal", ANNA, *options).stdout.splitlines()) == rows


def test_what_is_no_day(run: Run) -> None:
    assert run("account", "journal", ANNA, "--from", "ieri").stderr == "ieri: a day is written as 2026-03-02\n"
