"""Mailbox names on the wire and inside, and what LIST patterns match."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.imap.names import Matcher, above, decoded, encoded, is_name


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"INBOX", "INBOX"),
        (b"inBox", "INBOX"),
        (b"inbox/x", "INBOX/x"),
        (b"inboxes", "inboxes"),
        (b"A&-B", "A&B"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 section 5.1.3
        (b"&2D3cCQ-", "\U0001f409"),
        ("Città".encode(), "Città"),  # a client that did not ask whether it may
        ("Citta\u0300".encode(), "Città"),
    ],
)
def test_names_are_decoded(wire: bytes, name: str) -> None:
    assert decoded(wire, utf8=False) == name


@pytest.mark.parametrize("wire", [b"&", b"a&b", b"&AOA", b"&!-", b"&A-", b"&2D0-", b"\xff", b"\xc3"])
def test_what_is_no_name_in_any_encoding_is_none(wire: bytes) -> None:
    assert decoded(wire, utf8=False) is None


def test_utf8_means_what_it_says() -> None:
    assert decoded(b"A&B", utf8=True) == "A&B"
    assert encoded("Città & co", utf8=True) == "Città & co".encode()
    assert encoded("Città & co", utf8=False) == b"Citt&AOA- &- co"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_name_comes_back(name: str) -> None:
    for utf8 in (True, False):
        wire = encoded(name, utf8=utf8)
        again = decoded(wire, utf8=utf8)
        assert again is not None
        assert decoded(encoded(again, utf8=utf8), utf8=utf8) == again
        assert utf8 or wire.isascii()


@pytest.mark.parametrize("name", ["a", "INBOX/a", "Città", "a b", "a.b", "\U0001f409", "x" * 255, "/".join("x" * 20)])
def test_a_folder_may_be_called(name: str) -> None:
    assert is_name(name)


CONTROLS = [f"a{chr(code)}b" for code in (*range(32), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x202E, 0x2028, 0xFEFF, 0xE000)]


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "a//b", " a", "a ", "a*", "a%", "x" * 256, "/".join("x" * 21), *CONTROLS]
)
def test_a_folder_may_not_be_called(name: str) -> None:
    assert not is_name(name)


def test_the_names_above() -> None:
    assert above("a/b/c") == ["a", "a/b"]
    assert above("a") == []


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("%/%", "a/b", True),
        ("a*", "a", True),
        ("a*b", "a/x/b", True),
        ("a%b", "a/b", False),
        ("a%b", "axxb", True),
        ("inbox", "INBOX", True),
        ("Inbox", "inbox", False),
        ("a", "A", False),
        ("a?", "ab", False),
        ("*%*", "a/b", True),
        ("%a%", "xxaxx", True),
        ("", "a", False),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert Matcher([pattern])(name) is matches


def test_a_hostile_pattern_takes_no_time() -> None:
    matches = Matcher(["*a" * 120 + "b"])
    began = time.process_time()
    assert not matches("a" * 255)
    assert time.process_time() - began < 10  # what tries every way takes years
