"""Scripts that are none, or do too much: said with line and column, and in bounded time."""

import time
from contextlib import suppress

import pytest

from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptFailed, ScriptRefused
from gateway.points.sieve.limits import MAX_SCRIPT
from tests.points.sieve.letters import ask, mail

REFUSED = [
    ("keep", 1, 5, "a semicolon is missing"),
    ("keep;\r\n  keep\r\n;;", 3, 2, "a command is expected, not ;"),
    ("if true { keep;", 1, 9, "the block ends nowhere"),
    ('redirect "a@b.example', 1, 10, "a quotation mark is missing"),
    ("/* keep;", 1, 1, "the comment ends nowhere"),
    ('redirect text:\na@b.example\n..\n', 1, 10, "the text ends nowhere"),
    ("keep; \0", 1, 7, "a NUL character"),
    ("keep; *", 1, 7, "begins nothing"),
    ("if size :over 100X { keep; }", 1, 15, "a number is written"),
    ("if size :over 99999999999999999999 { keep; }", 1, 15, "the number is too large"),
    ("if size :over 99999999G { keep; }", 1, 15, "the number is too large"),
    ("if size 100 { keep; }", 1, 4, "0 arguments without a name"),
    ("if size { keep; }", 1, 4, ":over or :under"),
    ("if size :over :under 3 { keep; }", 1, 15, "a number is expected"),
    ("if size :over 1 :under 3 { keep; }", 1, 17, "cannot stand together"),
    ("if { keep; }", 1, 1, "one test is expected"),
    ("if (true) { keep; }", 1, 1, "one test is expected"),
    ("if allof true { keep; }", 1, 4, "tests in parentheses"),
    ("if allof() { keep; }", 1, 10, "a test is expected"),
    ("if not { keep; }", 1, 4, "one test is expected"),
    ("if perhaps { keep; }", 1, 4, "there is no such test"),
    ("if true keep;", 1, 1, "a block is expected"),
    ("else { keep; }", 1, 1, "no if stands before it"),
    ("if true { keep; } else { keep; } else { keep; }", 1, 34, "no if stands before it"),
    ("keep { stop; }", 1, 1, "a semicolon is expected"),
    ("keep true;", 1, 6, "no test stands here"),
    ('keep "x";', 1, 1, "0 arguments without a name, not 1"),
    ("explode;", 1, 1, "there is no such command"),
    ('keep; require "copy";', 1, 7, "before everything else"),
    ('require ["copy", "nichts"];', 1, 9, '"nichts" is not available'),
    ('require "reject";', 1, 9, "certified mail cannot be refused"),
    ('require "vacation";', 1, 9, "an act of its holder"),
    ('require "regex";', 1, 9, "use :matches"),
    ("reject \"no\";", 1, 1, "certified mail cannot be refused"),
    ('fileinto "A";', 1, 1, 'require "fileinto" is missing'),
    ('require "fileinto"; fileinto :copy "A";', 1, 30, 'require "copy" is missing'),
    ('require "fileinto"; fileinto "A//B";', 1, 30, "no folder can be called so"),
    ('require "fileinto"; fileinto ["A", "B"];', 1, 30, "one text is expected"),
    ('redirect "niemand";', 1, 10, "no address"),
    ('require "imap4flags"; addflag "\\\\Deleted";', 1, 31, "no mark that a script may set"),
    ('require "imap4flags"; addflag "$Delivered";', 1, 31, "no mark that a script may set"),
    ('require "enotify"; notify "tel:+39";', 1, 27, "a notice goes to one address"),
    ('require "enotify"; notify :importance "9" "mailto:a@b.example";', 1, 20, ":importance is 1, 2 or 3"),
    ('if header :is :contains "a" "b" { keep; }', 1, 15, "cannot stand together"),
    ('if header :foo "a" "b" { keep; }', 1, 11, "there is no :foo"),
    ('if header "a" :is "b" { keep; }', 1, 15, "must stand before"),
    ('if header "a b" "c" { keep; }', 1, 11, "no name of a header field"),
    ('if header :value "gt" "a" "c" { keep; }', 1, 11, 'require "relational"'),
    ('require "relational"; if header :value "xx" "a" "c" { keep; }', 1, 26, ":value is one of"),
    ('if header :comparator "i;foo" "a" "c" { keep; }', 1, 4, "a comparator is one of"),
    ('if header :comparator "i;ascii-numeric" "a" "c" { keep; }', 1, 4, "comparator-i;ascii-numeric"),
    (
        'require "comparator-i;ascii-numeric"; if header :contains :comparator "i;ascii-numeric" "a" "c" { keep; }',
        1, 42, "compares whole numbers",
    ),
    ('if address "subject" "c" { keep; }', 1, 12, "use header"),
    ('require "envelope"; if envelope "auth" "c" { keep; }', 1, 33, '"from" and "to"'),
    ('require "date"; if date "date" "century" "21" { keep; }', 1, 32, "a part of a date"),
    ('require "date"; if date :zone "MEZ" "date" "year" "21" { keep; }', 1, 20, "a zone is written"),
    ('require "vnd.ceralacca.certified"; if certified "colour" "x" { keep; }', 1, 49, "the first text is one of"),
    ('require "vnd.ceralacca.certified"; if certified "kind" "busta" { keep; }', 1, 56, "a kind is one of"),
    (f'if header "a" "{"x" * 1001}" {{ keep; }}', 1, 15, "at most 1000 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "line", "column", "why"), REFUSED, ids=[row[0][:60] for row in REFUSED])
def test_a_refusal_says_where_and_why(script: str, line: int, column: int, why: str) -> None:
    with pytest.raises(ScriptRefused) as refused:
        understood(script.encode())
    assert why in refused.value.reason
    assert (refused.value.line, refused.value.column) == (line, column)


def test_what_is_no_utf_8_is_refused_with_its_place() -> None:
    with pytest.raises(ScriptRefused, match="line 2, column 4: no UTF-8"):
        understood(b"keep;\nst\xc3\xb6\xff;")


HOSTILE = {
    "tests in tests": "if " + "not " * 10_000 + "true {}",
    "tests in parentheses": "if " + "anyof(" * 9_000,
    "blocks in blocks": "if true {" * 6_000,
    "brackets": "redirect " + "[" * 60_000,
    "quotes": '"' * 60_001,
    "backslashes": '"' + "\\" * 60_000,
    "one comment": "/*" + "*" * 60_000,
    "comments": "/**/" * 15_000,
    "hashes": "#\n" * 30_000,
    "spaces": " " * 65_000 + "*",
    "a word": "a" * 65_000,
    "a number": "if size :over " + "9" * 65_000,
    "tags": "keep " + ":a" * 30_000,
    "arguments": "keep " + '"" ' * 11_000 + ";",
    "commands": "keep;" * 5_900,
    "words": "keep;" * 13_000,
    "texts": "text:\n" * 10_000,
    "a list": 'if header "a" [' + '"",' * 20_000 + '""] {}',
    "too long": "#" * (MAX_SCRIPT + 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_made_to_hurt_is_refused_or_harmless_and_soon(name: str) -> None:
    began = time.process_time()
    with suppress(ScriptRefused, ScriptFailed):
        ask(HOSTILE[name])
    assert time.process_time() - began < 20  # each takes milliseconds


COSTLY = {
    "patterns": 'if header :matches "subject" "' + "*a" * 490 + 'b" { keep; }',
    "patterns with question marks": 'if header :matches "subject" "' + "*?a" * 330 + 'b" { keep; }',
    "many patterns": "if anyof(" + ",".join(['header :matches "subject" "*a?b*c?d"'] * 1_400) + ") { keep; }",
    "long keys": "if anyof("
    + ",".join(['header :contains ["subject", "subject", "subject"] "' + "a" * 900 + 'b"'] * 60)
    + ") { keep; }",
    "one field of addresses, again and again": "if address [" + ",".join(['"to"'] * 5_900) + '] "x" { keep; }',
    "one field of words, again and again": 'if header ["cc"' + ',"cc"' * 5_900 + '] "x" { keep; }',
    "a test for each": "if anyof(" + ",".join(['address ["to", "cc"] "x"'] * 1_100) + ") { keep; }",
    "many fields of addresses": 'if address "bcc" "x" { keep; }',
    "many keys": 'if header "subject" [' + ",".join(['"a"'] * 5_000) + "] { keep; }",
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_script_works_for_a_bounded_time(name: str) -> None:
    raw = b"Subject: " + b"a" * 60_000 + b"\r\nTo: " + b"," * 60_000 + b"\r\nCc: " + b"=?utf-8?q?a?= " * 4_600
    raw += b"\r\nBcc: " + b"\r\nBcc: ".join([b"a@b," * 15_000] * 100) + b"\r\n\r\n"
    began = time.process_time()
    with suppress(ScriptFailed):
        ask(COSTLY[name], mail(raw))
    assert time.process_time() - began < 30


def test_a_script_that_takes_too_many_steps_fails() -> None:
    with pytest.raises(ScriptFailed, match="too many steps"):
        ask('if header :matches "subject" [' + ",".join(['"*zz"'] * 5_500) + "] { keep; }")


def test_a_message_goes_to_a_few_folders_and_notices_to_a_few_addresses() -> None:
    folders = "".join(f'fileinto "f{number}";' for number in range(11))
    with pytest.raises(ScriptFailed, match="more than 10 folders"):
        ask('require "fileinto";' + folders)
    notices = "".join(f'notify "mailto:a{number}@b.example";' for number in range(5))
    with pytest.raises(ScriptFailed, match="more than 4 notices"):
        ask('require "enotify";' + notices)
