"""docs/promises.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "promises.md").read_text())


def test_the_page_names_tests_of_each_promise() -> None:
    sections = (ROOT / "docs" / "promises.md").read_text().split("\n## ")[1:]
    assert len(sections) == 6
    assert all("`tests/" in section for section in sections)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_each_named_test_exists(file: str, test: str) -> None:
    text = (ROOT / file).read_text()
    assert re.search(rf"^ *(async )?def {test or 'test_'}", text, re.MULTILINE)
