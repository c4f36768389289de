"""The clocks of a lab can be set; those of a provider that is none of a lab cannot."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.drivers.configuration import read_settings
from gateway.lab.provider import NotInLab, lab_gateway
from gateway.lab.shifted import SHIFT_FILE, ShiftedClock, write_shift
from tests.operating.providers import network

ROME = ZoneInfo("Europe/Rome")


def ahead(clock: ShiftedClock) -> timedelta:
    return clock.now() - datetime.now(UTC)


def near(found: timedelta, expected: timedelta) -> bool:
    return abs(found - expected) < timedelta(seconds=30)


def test_without_a_file_it_is_the_machines_clock(tmp_path: Path) -> None:
    clock = ShiftedClock(ROME, tmp_path / SHIFT_FILE)
    assert near(ahead(clock), timedelta(0))
    assert clock.now().utcoffset() == datetime.now(ROME).utcoffset()


@pytest.mark.parametrize("shift", [timedelta(hours=12), timedelta(days=-3), timedelta(seconds=1.5)])
def test_it_is_ahead_by_what_the_file_says_when_it_is_looked_at(tmp_path: Path, shift: timedelta) -> None:
    file = tmp_path / SHIFT_FILE
    clock = ShiftedClock(ROME, file)
    write_shift(file, shift)
    assert clock.shift == timedelta(0)
    clock.look()
    assert clock.shift == shift
    assert near(ahead(clock), shift)
    assert ShiftedClock(ROME, file).shift == shift
    file.unlink()
    clock.look()
    assert clock.shift == timedelta(0)


@pytest.mark.parametrize("words", ["", "soon", "nan", "inf", "1e300", "31708800", "12h", "\x00", "é"])
def test_what_is_no_time_changes_nothing(tmp_path: Path, words: str) -> None:
    file = tmp_path / SHIFT_FILE
    write_shift(file, timedelta(hours=1))
    clock = ShiftedClock(ROME, file)
    file.write_text(words)
    clock.look()
    assert clock.shift == timedelta(hours=1)


def test_a_provider_that_could_reach_others_has_no_such_clock(tmp_path: Path) -> None:
    alfa = network(tmp_path / "net").alfa
    closed = read_settings(alfa.config)
    lab_gateway(alfa.config)(closed, lambda: closed)
    alfa.config.write_text(alfa.config.read_text().replace("closed = true", "closed = false"))
    opened = read_settings(alfa.config)
    with pytest.raises(NotInLab, match="no provider of a lab"):
        lab_gateway(alfa.config)(opened, lambda: opened)


def test_the_program_that_operators_run_knows_nothing_of_it() -> None:
    words = "import sys; import gateway.commands.serve; print([m for m in sys.modules if m.startswith('gateway.lab')])"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
