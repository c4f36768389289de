"""The tables of edge cases, and the marks of the tests that show them: neither may know more than the other."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OPEN, DECIDED = ROOT / "docs" / "decisions.md", ROOT / "docs" / "edge-cases.md"
ROW = re.compile(r"^\| ([AEO][0-9]+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def rows() -> dict[str, tuple[str, str, set[str]]]:
    """Case, decision and tests by the id of the row."""
    found = ROW.findall(OPEN.read_text("utf-8")) + ROW.findall(DECIDED.read_text("utf-8"))
    assert len({row[0] for row in found}) == len(found)
    return {id_: (case, decision, set(re.findall(r"`([^`]+)`", tests))) for id_, case, decision, tests in found}


def marks() -> dict[str, set[str]]:
    """Tests by the ids that they are marked with."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "tests").glob("**/test_*.py"):
        text = file.read_text("utf-8")
        if "pytest.mark.edge(" in text:
            tree = ast.parse(text)
            within = [(tree.body, "")]
            within += [(node.body, f"{node.name}::") for node in tree.body if isinstance(node, ast.ClassDef)]
            for body, prefix in within:
                for node in body:
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                        for id_ in _ids(node):
                            found[id_].add(f"{file.relative_to(ROOT / 'tests')}::{prefix}{node.name}")
    return dict(found)


def _ids(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    calls = [each for each in node.decorator_list if isinstance(each, ast.Call)]
    edges = [each for each in calls if ast.unparse(each.func) == "pytest.mark.edge"]
    return [str(ast.literal_eval(argument)) for each in edges for argument in each.args]


def test_every_row_names_the_tests_that_bear_its_mark() -> None:
    assert {id_: tests for id_, (_, _, tests) in rows().items()} == marks()


@pytest.mark.parametrize(("letter", "number"), [("A", 18), ("E", 23), ("O", 22)])
def test_no_row_is_missing_and_each_says_what_is_done(letter: str, number: int) -> None:
    found = rows()
    assert [id_ for id_ in found if id_[0] == letter] == [f"{letter}{n}" for n in range(1, number + 1)]
    assert all(case.strip() and decision.strip() and tests for case, decision, tests in found.values())
