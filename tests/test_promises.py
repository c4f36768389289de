"""Every test that the page about the promises names is there, and every module it points to."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "promises.md").read_text()
PROMISES = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
NAMED = re.findall(r"`(tests/[^`]+)`", PAGE)
MODULES = re.findall(r"`((?:gateway|providers|receipts)/[^`]+\.py)`", PAGE)


def names_in(file: Path) -> set[str]:
    """Names of the tests of a file, those of a class behind the class's name."""
    tree = ast.parse(file.read_text())
    found = {node.name for node in tree.body if _is_test(node)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if _is_test(inner)}
    return found


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def test_there_are_six_promises_and_each_says_how_and_by_which_tests() -> None:
    assert [promise.partition(".")[0] for promise in PROMISES] == list("123456")
    for promise in PROMISES:
        how, _, tests = promise.partition("*Tests.*")
        assert "*How.*" in how
        assert len(re.findall(r"^- `tests/", tests, re.MULTILINE)) >= 3


@pytest.mark.parametrize("named", NAMED)
def test_a_test_named_on_the_page_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert test in names_in(ROOT / file)


def test_no_test_is_named_twice() -> None:
    assert len(NAMED) == len(set(NAMED))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_named_on_the_page_exists(module: str) -> None:
    assert (ROOT / module).is_file()
