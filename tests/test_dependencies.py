"""Every dependency is pinned and explained, and nothing else is."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {plain(re.split(r"[\[<>=~ ]", one)[0]) for one in requirements}


def plain(name: str) -> str:
    """One spelling for each package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def explained(section: str) -> set[str]:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    rows = re.findall(r"^\| ([a-z0-9, -]+) \|", page.split(section)[1].split("\n## ")[0], re.MULTILINE)
    return {plain(name) for row in rows for name in row.split(", ")} - {"package", "-"}


def test_every_dependency_is_explained() -> None:
    assert explained("## What runs") == names(PROJECT["dependencies"])
    assert explained("## What tests and checks") == names(PROJECT["optional-dependencies"]["dev"])


def test_constraints_are_plain_pins_and_hold_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line) for line in lines)
    pinned = {plain(line.split("==")[0]) for line in lines}
    assert names(PROJECT["dependencies"]) | names(PROJECT["optional-dependencies"]["dev"]) | {"setuptools"} <= pinned
