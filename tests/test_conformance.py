"""Marks, mutants and documents agree with the list of requirements; and what gathers them can be trusted."""

import subprocess
from pathlib import Path

import pytest

from tests.conformance import CONFORMANCE, conformance_markdown
from tests.mutants.run import outcome_of
from tests.requirements import (
    ROOT,
    Requirement,
    Standing,
    marked_tests,
    marks_in,
    mutants,
    read_groups,
    read_results,
    write_results,
)

IDS = [one.id for group in read_groups() for one in group.requirements]
MUST = Requirement(id="AP-99", level="M", text="x")
PATCH = Path("AP-99.patch")


def test_the_page_is_the_one_the_code_makes() -> None:
    same = CONFORMANCE.read_text() == conformance_markdown()
    assert same, "run `make docs`"


def test_every_requirement_has_a_level_and_says_something() -> None:
    assert len(IDS) == len(set(IDS))
    for group in read_groups():
        for one in group.requirements:
            assert one.level in "MPSON"
            assert one.text
            assert one.elsewhere is None or len(one.elsewhere) > 20


def test_every_mark_names_a_requirement() -> None:
    assert set(marked_tests()) <= set(IDS)


def test_every_mutant_names_a_requirement_that_has_tests() -> None:
    assert set(mutants()) <= set(marked_tests())


@pytest.mark.parametrize("id_", mutants())
def test_mutant_still_fits_the_code(id_: str) -> None:
    done = subprocess.run(["git", "apply", "--check", str(mutants()[id_])], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("requirement", "tests", "patch", "outcome", "expected"),
    [
        (MUST, (), None, None, (False, "not yet")),
        (MUST, (), PATCH, "killed", (False, "not yet")),
        (MUST, ("t",), None, None, (False, "not yet: no mutant")),
        (MUST, ("t",), PATCH, None, (False, "not yet: mutant not run")),
        (MUST, ("t",), PATCH, "survived", (False, "not yet: mutant survived")),
        (MUST, ("t",), PATCH, "killed", (True, "proved, mutant killed")),
        (Requirement(id="X-1", level="S", text="x"), ("t",), None, None, (True, "proved")),
        (Requirement(id="X-1", level="P", text="x"), ("t",), None, None, (False, "not yet: no mutant")),
        (
            Requirement(id="X-1", level="M", text="x", elsewhere="w"),
            ("t",),
            PATCH,
            "killed",
            (False, "not applicable: w"),
        ),
    ],
)
def test_standing(
    requirement: Requirement,
    tests: tuple[str, ...],
    patch: Path | None,
    outcome: str | None,
    expected: tuple[bool, str],
) -> None:
    assert Standing.of(requirement, tests, patch, outcome) == Standing(*expected)


def test_marks_are_found_on_functions_classes_cases_and_files() -> None:
    source = """
pytestmark = pytest.mark.req("A-1")

@pytest.mark.req("B-1", "B-2")
@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.req("C-1"))])
async def test_one(x): ...

@pytest.mark.req("D-1")
class TestTwo:
    @pytest.mark.req("D-2")
    def test_inside(self): ...
"""
    assert set(marks_in(source, "tests/test_x.py")) == {
        ("A-1", "tests/test_x.py"),
        ("B-1", "tests/test_x.py::test_one"),
        ("B-2", "tests/test_x.py::test_one"),
        ("C-1", "tests/test_x.py::test_one"),
        ("D-1", "tests/test_x.py::TestTwo"),
        ("D-2", "tests/test_x.py::TestTwo::test_inside"),
    }


def test_computed_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="plain text"):
        list(marks_in("@pytest.mark.req(*IDS)\ndef test_one(): ...", "test_x.py"))


def test_outcome_of_a_mutant_that_changed_since_counts_no_more(tmp_path: Path) -> None:
    for id_ in ("A-1", "B-1"):
        (tmp_path / f"{id_}.patch").write_text(id_)
    file = tmp_path / "results.toml"
    write_results({"A-1": "killed", "B-1": "survived"}, file)
    assert read_results(file) == {"A-1": "killed", "B-1": "survived"}
    (tmp_path / "A-1.patch").write_text("another")
    assert read_results(file) == {"B-1": "survived"}
    write_results({"A-1": "killed"}, file)
    assert read_results(file) == {"A-1": "killed", "B-1": "survived"}


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    """A program of one rule, with tests that look at it and tests that do not."""
    (tmp_path / "rule.py").write_text("def rule():\n    return 1\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = req(*ids)\n")
    (tmp_path / "test_rule.py").write_text("""
import pytest
from rule import rule

@pytest.mark.req("A-1")
def test_looks():
    assert rule() == 1

B, C = pytest.mark.req("B-1"), pytest.mark.req("C-1")
@pytest.mark.parametrize("value", [pytest.param(1, marks=B), pytest.param(rule(), marks=C)])
def test_of_cases(value):
    assert value == 1

def test_of_something_else():
    assert rule() == 1
""")
    return tmp_path


@pytest.mark.parametrize(
    ("id_", "line", "tests", "expected"),
    [
        ("A-1", "    return 2", ["test_rule.py::test_looks"], "killed"),
        ("B-1", "    return 2", ["test_rule.py::test_of_cases"], "survived"),
        ("C-1", "    return 2", ["test_rule.py::test_of_cases"], "killed"),
        ("A-1", "    return (", ["test_rule.py::test_looks"], "breaks the program instead of the rule"),
        ("A-1", "    return 2", ["test_rule.py::test_of_something_else"], "without tests"),
        ("A-1", "    return 2", [], "without tests"),
    ],
)
def test_runner_tells_a_caught_mutant_from_the_others_and_mends_the_copy(
    small_tree: Path, id_: str, line: str, tests: list[str], expected: str
) -> None:
    before = (small_tree / "rule.py").read_text()
    patch = small_tree / f"{id_}.patch"
    patch.write_text(f"--- a/rule.py\n+++ b/rule.py\n@@ -1,2 +1,2 @@\n def rule():\n-    return 1\n+{line}\n")
    assert outcome_of(patch, tests, small_tree) == expected
    assert (small_tree / "rule.py").read_text() == before


def test_runner_says_when_a_patch_does_not_fit(small_tree: Path) -> None:
    patch = small_tree / "A-1.patch"
    patch.write_text("--- a/rule.py\n+++ b/rule.py\n@@ -1,2 +1,2 @@\n def rule():\n-    return 7\n+    return 1\n")
    assert outcome_of(patch, ["test_rule.py"], small_tree) == "does not apply"
