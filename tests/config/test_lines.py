"""Where keys stand in a TOML file, for every way TOML has of writing them."""

import tomllib
from typing import Any

import pytest

from config.lines import key_lines

EVERY_FORM = '''\
# a comment with [brackets] and = signs
top = 1
"quoted key" . 'another' = 2   # dotted, quoted

[table]
plain = true # a comment
text = "a # that is no comment, and ] and }"
long = """
line one
[not.a.table]
x = \\"1\\"
"""
literal = \'\'\'
y = 2 \'\'\'
list = [ # a list
  1,
  [2,
   3],
  {inner = 4, deeper = {a.b = 5}},
]
date = 1979-05-27T07:32:00Z

[table.sub]
key = 1
[[routes]]
domain = "a"
[routes.options]
fast = true
[[routes]]
domain = "b"
  [[routes.hops]]
  port = 1
  [[routes.hops]]
  port = 2
[never.written.itself]
key = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key", "another"), 3),
        (("table",), 5),
        (("table", "plain"), 6),
        (("table", "text"), 7),
        (("table", "long"), 8),
        (("table", "literal"), 13),
        (("table", "list"), 15),
        (("table", "list", 0), 16),
        (("table", "list", 1), 17),
        (("table", "list", 1, 1), 18),
        (("table", "list", 2, "inner"), 19),
        (("table", "list", 2, "deeper", "a", "b"), 19),
        (("table", "date"), 21),
        (("table", "sub"), 23),
        (("table", "sub", "key"), 24),
        (("routes", 0), 25),
        (("routes", 0, "domain"), 26),
        (("routes", 0, "options", "fast"), 28),
        (("routes", 1), 29),
        (("routes", 1, "domain"), 30),
        (("routes", 1, "hops", 0, "port"), 32),
        (("routes", 1, "hops", 1, "port"), 34),
        (("never",), 35),
        (("never", "written", "itself", "key"), 36),
    ],
)
def test_line_of_a_key(path: tuple[str | int, ...], line: int) -> None:
    assert key_lines(EVERY_FORM)[path] == line


def test_every_value_of_the_document_has_a_line_and_no_more() -> None:
    noted = set(key_lines(EVERY_FORM))
    assert noted == set(_paths(tomllib.loads(EVERY_FORM), ()))


def test_line_ends_of_other_systems_count_once() -> None:
    assert key_lines("a = 1\r\n\r\nb = '''x\r\ny'''\r\nc = 3\r\n") == {("a",): 1, ("b",): 3, ("c",): 5}


@pytest.mark.parametrize("text", ['a = """x"""""\nb = 1', "a = '''x'''''\nb = 1", 'a = ""\nb = 1', 'a = "\\\\"\nb = 1'])
def test_strings_that_end_oddly(text: str) -> None:
    tomllib.loads(text)
    assert key_lines(text) == {("a",): 1, ("b",): 2}


def _paths(value: Any, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ([path] if path else []) + [found for key, inner in items for found in _paths(inner, (*path, key))]
