"""ManageSieve commands, from bytes."""

import random

import pytest

from gateway.mailbox.managesieve.grammar import Command, Malformed, Verb, command, string
from gateway.mailbox.managesieve.states import ALLOWED

UNDERSTOOD = [
    (b"CAPABILITY", Command(Verb.CAPABILITY)),
    (b"logout", Command(Verb.LOGOUT)),
    (b'NOOP "a"', Command(Verb.NOOP, names=("a",))),
    (b'HAVESPACE "a" 12', Command(Verb.HAVESPACE, names=("a",), number=12)),
    (b'SETACTIVE ""', Command(Verb.SETACTIVE, names=("",))),
    (b'GETSCRIPT "a\\"b\\\\c"', Command(Verb.GETSCRIPT, names=('a"b\\c',))),
    (b"GETSCRIPT {3+}\r\na\r\n", Command(Verb.GETSCRIPT, names=("a\r\n",))),
    (b'PUTSCRIPT "a" {5+}\r\nkeep;', Command(Verb.PUTSCRIPT, names=("a",), octets=(b"keep;",))),
    (b'PUTSCRIPT {1+}\r\na "\xc3\xa8"', Command(Verb.PUTSCRIPT, names=("a",), octets=(b"\xc3\xa8",))),
    (b'PUTSCRIPT "a" {0+}\r\n', Command(Verb.PUTSCRIPT, names=("a",), octets=(b"",))),
    (b'AUTHENTICATE "PLAIN" "AGE="', Command(Verb.AUTHENTICATE, octets=(b"PLAIN", b"AGE="))),
    (b'RENAMESCRIPT "a" "b"', Command(Verb.RENAMESCRIPT, names=("a", "b"))),
]


@pytest.mark.parametrize(("data", "understood"), UNDERSTOOD)
def test_what_is_understood(data: bytes, understood: Command) -> None:
    assert command(data) == understood


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", Malformed.UNKNOWN),
        (b" NOOP", Malformed.UNKNOWN),
        (b'"NOOP"', Malformed.UNKNOWN),
        (b"UNAUTHENTICATE", Malformed.UNKNOWN),
        (b"NOOP ", Malformed.UNKNOWN),
        (b'NOOP  "a"', Malformed.UNKNOWN),
        (b'NOOP "a', Malformed.UNKNOWN),
        (b'NOOP "a\\b"', Malformed.UNKNOWN),
        (b'NOOP "a\0"', Malformed.UNKNOWN),
        (b'NOOP "' + b"a" * 1_025 + b'"', Malformed.UNKNOWN),
        (b"NOOP {5+}\r\nabc", Malformed.UNKNOWN),
        (b"NOOP {3+}\r\nabcd", Malformed.UNKNOWN),
        (b'NOOP "a" "b" "c" "d"', Malformed.UNKNOWN),
        (b'NOOP "a" "b"', Malformed.ARGUMENTS),
        (b"NOOP a", Malformed.ARGUMENTS),
        (b'NOOP "\xff"', Malformed.ARGUMENTS),
        (b'HAVESPACE "a" "12"', Malformed.ARGUMENTS),
        (b'HAVESPACE "a" 4294967296', Malformed.ARGUMENTS),
        (b'HAVESPACE "a" 99999999999999999999', Malformed.ARGUMENTS),
        (b"PUTSCRIPT", Malformed.ARGUMENTS),
        (b'CAPABILITY "x"', Malformed.ARGUMENTS),
    ],
)
def test_what_is_not(data: bytes, why: Malformed) -> None:
    assert command(data) is why


def test_an_answer_is_one_string() -> None:
    assert string(b'"AGE="') == b"AGE="
    assert string(b"{2+}\r\nab") == b"ab"
    assert [string(data) for data in (b"", b"AGE=", b'"a" "b"', b'"a', b"7")] == [None] * 5


def test_every_command_has_its_states() -> None:
    assert set(ALLOWED) == set(Verb)


def test_whatever_comes_is_a_command_or_none() -> None:
    chance = random.Random(5)
    pieces = [
        b"PUTSCRIPT",
        b"NOOP",
        b" ",
        b'"',
        b"\\",
        b"{",
        b"3",
        b"+",
        b"}",
        b"\r\n",
        b"abc",
        b"\0",
        b"\xff",
        b"x" * 50,
    ]
    for _ in range(20_000):
        data = b"".join(chance.choice(pieces) for _ in range(chance.randint(0, 12)))
        assert isinstance(command(data), Command | Malformed)
