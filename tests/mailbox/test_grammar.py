"""POP3 command lines: what they are read as, and that nothing else is."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.grammar import Command, Malformed, Verb, command, plain_credentials


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (b"STAT", Command(Verb.STAT)),
        (b"stat", Command(Verb.STAT)),
        (b"QUIT ", Command(Verb.QUIT)),
        (b"LIST", Command(Verb.LIST)),
        (b"LIST 3", Command(Verb.LIST, number=3)),
        (b"UIDL 3  ", Command(Verb.UIDL, number=3)),
        (b"RETR 12", Command(Verb.RETR, number=12)),
        (b"DELE 1", Command(Verb.DELE, number=1)),
        (b"TOP 1 0", Command(Verb.TOP, number=1)),
        (b"TOP 1 25", Command(Verb.TOP, number=1, lines=25)),
        (b"USER anna@alfa.example", Command(Verb.USER, text=b"anna@alfa.example")),
        (b"PASS  with  blanks ", Command(Verb.PASS, text=b" with  blanks ")),
        (b"PASS", Command(Verb.PASS)),
        (b"PASS \xe8\xff", Command(Verb.PASS, text=b"\xe8\xff")),
        (b"AUTH PLAIN", Command(Verb.AUTH, text=b"PLAIN")),
        (b"AUTH plain AGE=", Command(Verb.AUTH, text=b"PLAIN", initial=b"AGE=")),
        (b"AUTH PLAIN =", Command(Verb.AUTH, text=b"PLAIN", initial=b"")),
        (b"AUTH", Command(Verb.AUTH)),
        (b"", Malformed.UNKNOWN),
        (b" STAT", Malformed.UNKNOWN),
        (b"STATS", Malformed.UNKNOWN),
        (b"APOP anna c4c9334bac560ecc979e58001b3e22fb", Malformed.UNKNOWN),
        (b"XTND", Malformed.UNKNOWN),
        (b"STAT 1", Malformed.ARGUMENTS),
        (b"RETR", Malformed.ARGUMENTS),
        (b"RETR 1 2", Malformed.ARGUMENTS),
        (b"RETR -1", Malformed.ARGUMENTS),
        (b"RETR +1", Malformed.ARGUMENTS),
        (b"RETR 1.0", Malformed.ARGUMENTS),
        (b"RETR \xd9\xa1", Malformed.ARGUMENTS),
        (b"RETR 12345678901", Malformed.ARGUMENTS),
        (b"TOP 1", Malformed.ARGUMENTS),
        (b"TOP 1 -1", Malformed.ARGUMENTS),
        (b"USER", Malformed.ARGUMENTS),
        (b"USER anna bruno", Malformed.ARGUMENTS),
        (b"AUTH PLAIN a b", Malformed.ARGUMENTS),
        (b"RETR 1\0", Malformed.OCTETS),
        (b"PASS a\rb", Malformed.OCTETS),
        (b"STAT\t", Malformed.UNKNOWN),
    ],
)
def test_a_line_is_read_as(line: bytes, read: Command | Malformed) -> None:
    assert command(line) == read


def plain(*fields: str) -> bytes:
    return base64.b64encode("\0".join(fields).encode())


@pytest.mark.parametrize(
    ("response", "credentials"),
    [
        (plain("", "anna@alfa.example", "geheim"), ("anna@alfa.example", "geheim")),
        (plain("anna@alfa.example", "anna@alfa.example", "x"), ("anna@alfa.example", "x")),
        (plain("", "anna", "perché"), ("anna", "perché")),
        (plain("", "anna", ""), ("anna", "")),
        (plain("bruno", "anna", "x"), None),
        (plain("", "", "x"), None),
        (plain("", "anna"), None),
        (plain("", "anna", "x", "y"), None),
        (base64.b64encode(b"\0anna\0\xff"), None),
        (b"not base64", None),
        (b"AGFubmEAe", None),
        (b"", None),
    ],
)
def test_plain_credentials(response: bytes, credentials: tuple[str, str] | None) -> None:
    assert plain_credentials(response) == credentials


@given(
    st.one_of(st.binary(max_size=80), st.builds(lambda v, r: v.value + b" " + r, st.sampled_from(Verb), st.binary()))
)
def test_any_line_is_read_as_something(line: bytes) -> None:
    read = command(line)
    assert isinstance(read, Command | Malformed)
    if isinstance(read, Command) and read.number is not None:
        assert 0 <= read.number < 10**10


def test_no_credentials_show_in_a_representation() -> None:
    assert "geheim" not in repr(command(b"PASS geheim")) + repr(command(b"AUTH PLAIN geheim"))
