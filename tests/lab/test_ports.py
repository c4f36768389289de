"""Ports that labs draw: no two programs get the same, also before anybody listens on them."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.lab import ports
from gateway.lab.ports import FreePorts, Reservations

DRAW = """
import sys
from gateway.lab import ports
ports.LOWEST_PORT, ports.HIGHEST_PORT = 20_000, 20_400
free = ports.FreePorts(set())
drawn = [free.take() for _ in range(60)]
free.release()
print(*drawn, flush=True)
sys.stdin.read()
"""


def test_programs_that_draw_at_once_get_different_ports() -> None:
    """Out of 400 ports four programs draw 60 each and let their sockets go, as a lab does before it starts servers."""
    programs = [
        subprocess.Popen([sys.executable, "-c", DRAW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        drawn: list[int] = []
        for program in programs:
            assert program.stdout is not None
            drawn += map(int, program.stdout.readline().split())
        assert len(drawn) == len(set(drawn)) == 240
    finally:
        for program in programs:
            program.communicate()


def test_one_program_draws_no_port_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "LOWEST_PORT", 20_400)
    monkeypatch.setattr(ports, "HIGHEST_PORT", 20_600)
    drawn: list[int] = []
    for _ in range(10):
        free = FreePorts(set())
        drawn += [free.take() for _ in range(5)]
        free.release()
    assert len(set(drawn)) == 50


def test_the_oldest_reservations_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "RESERVED", 3)
    kept = Reservations(tmp_path / "ports")
    assert all(kept.reserve(port) for port in (1, 2, 3, 4))
    assert not kept.reserve(4)
    assert kept.reserve(1)


def test_without_a_folder_for_it_nothing_is_reserved(tmp_path: Path) -> None:
    kept = Reservations(tmp_path / "missing" / "ports")
    assert kept.reserve(1)
    assert not kept.reserve(1)
    kept.release(1)
    assert kept.reserve(1)
