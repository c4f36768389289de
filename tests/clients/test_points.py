"""The table of what client programs may rely on, and the tests of its points: neither may know more than the other."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "samples.md"
ROW = re.compile(r"^\| (\d+) \| .+? \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"^(?:async )?def (test_points?((?:_and|_\d+)+)_\w+)", re.MULTILINE)


def listed() -> dict[int, set[str]]:
    return {int(number): set(re.findall(r"`([^`]+)`", tests)) for number, tests in ROW.findall(PAGE.read_text("utf-8"))}


def proved() -> dict[int, set[str]]:
    """Tests by the points that their names tell."""
    found: dict[int, set[str]] = {}
    for file in HERE.glob("test_*.py"):
        for name, numbers in TEST.findall(file.read_text("utf-8")):
            for number in re.findall(r"\d+", numbers):
                found.setdefault(int(number), set()).add(f"{file.name}::{name}")
    return found


def test_every_point_has_its_tests() -> None:
    assert listed() == proved()
    assert sorted(listed()) == list(range(1, 27))
