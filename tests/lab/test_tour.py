"""The tour shows every kind of certified message, verified by OpenSSL, and says so by its exit status."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from gateway.commands import tour as command
from gateway.lab.clamd import clamd_program
from gateway.lab.samples import SAMPLES
from gateway.lab.tour import KINDS, kind_of
from tests.lab.labs import COMMAND

ROW = re.compile(r"│ (T\d+(?: \w+)?) +│[^│]*│ ([^│]*?) *│ (\w*) *│")
SECONDS = 800


def tour(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "lab", "tour", "--dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@pytest.mark.lab
@pytest.mark.req("TIM-11", "TIM-12")
def test_it_ends_with_a_table_in_which_nothing_is_missing(tmp_path: Path) -> None:
    if clamd_program() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("clamd is not installed")
        pytest.skip("clamd is not installed (apt: clamav-daemon)")
    done = tour(tmp_path / "lab")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {kind: (seen, verified) for kind, seen, verified in ROW.findall(done.stdout)}
    assert list(rows) == list(KINDS)
    assert {verified for _, verified in rows.values()} == {"verified"}
    assert {kind: seen for kind, (seen, _) in rows.items() if not seen.startswith("anna@")} == {
        "T4": "bruno@beta.example",
        "T5": "posta-certificata@alfa.example",
        "T6": "bruno@beta.example",
        "T7": "posta-certificata@alfa.example",
    }
    kept = {file.stem: kind_of(file.read_bytes()) for file in (tmp_path / "lab" / "tour").iterdir()}
    assert kept == {kind.replace(" ", "-"): kind for kind in KINDS}


def test_the_kinds_are_told_apart_as_clients_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "lab", "emit", "all", "--dir", str(tmp_path / "lab"), "--to", str(tmp_path)],
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""
    kinds = {name: kind_of((tmp_path / f"{name}.eml").read_bytes()) for name in SAMPLES}
    assert {name: (kind or "").split()[0] for name, kind in kinds.items()} == {
        name: sample.number for name, sample in SAMPLES.items()
    }
    assert set(kinds.values()) == set(KINDS)
    assert kind_of(b"Subject: ACCETTAZIONE: no\r\n\r\nX-Ricevuta: accettazione\r\n") is None


def test_without_a_scanner_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is run: the table of a tour that found nothing."""
    monkeypatch.setattr(command, "clamd_program", lambda: None)
    console = Console(width=120)
    with console.capture() as captured:
        console.print(command.table_of({}))
    lines = [line for line in captured.get().splitlines() if "apt-get install clamav-daemon" in line]
    assert [line.split("│")[1].strip() for line in lines] == ["T3", "T7", "T8"]
