"""A cursor over the bytes of one whole command: atoms, strings, numbers, lists (RFC 3501 section 9).

A literal stands in the bytes as it came, ``{5}CRLF`` and its five bytes.
"""

import re
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

__all__ = ["Cursor", "Malformed"]

T = TypeVar("T")

_ATOM: Final = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_ASTRING: Final = re.compile(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+')
_PATTERN: Final = re.compile(rb'[^\x00-\x20(){"\\\x7f]+')  # with the wildcards of LIST, and UTF-8 (RFC 6855)
_QUOTED: Final = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_LITERAL: Final = re.compile(rb"~?\{([0-9]{1,10})\+?\}\r\n")
_NUMBER: Final = re.compile(rb"[0-9]{1,19}")
_ESCAPE: Final = re.compile(rb'\\(["\\])')
_LARGEST: Final = 2**63 - 1


class Malformed(Exception):
    """The bytes are no command; the text is for the client, in ASCII."""


class Cursor:
    """Reads forward; every method that finds something else than it names raises Malformed."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def at_end(self) -> bool:
        return self.at >= len(self.data)

    def end(self) -> None:
        if not self.at_end:
            self.fail("too many arguments")

    def fail(self, text: str) -> NoReturn:
        raise Malformed(text)

    def next_is(self, byte: bytes) -> bool:
        return self.data.startswith(byte, self.at)

    def skip(self, expected: bytes) -> bool:
        """Pass over ``expected`` if it is next."""
        if not self.data.startswith(expected, self.at):
            return False
        self.at += len(expected)
        return True

    def expect(self, expected: bytes) -> None:
        if not self.skip(expected):
            self.fail("missing argument" if self.at_end else "unexpected characters")

    def space(self) -> None:
        self.expect(b" ")

    def match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        found = pattern.match(self.data, self.at)
        if found is None:
            self.fail("missing argument" if self.at_end else f"{what} expected")
        self.at = found.end()
        return found[0]

    def atom(self) -> bytes:
        return self.match(_ATOM, "atom")

    def word(self) -> bytes:
        """An atom in upper case."""
        return self.atom().upper()

    def number(self, most: int = _LARGEST) -> int:
        number = int(self.match(_NUMBER, "number"))
        if number > most:
            self.fail("number too large")
        return number

    def is_string(self) -> bool:
        return self.next_is(b'"') or self.next_is(b"{") or self.next_is(b"~{")

    def string(self) -> bytes:
        if self.next_is(b'"'):
            text = self.match(_QUOTED, "string")[1:-1]
            return _ESCAPE.sub(rb"\1", text) if b"\\" in text else text
        size = int(self.match(_LITERAL, "string").strip(b"~{}+\r\n"))
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            self.fail("literal cut short")
        literal = self.data[start : self.at]
        if b"\0" in literal:
            self.fail("NUL in a literal")
        return literal

    def astring(self) -> bytes:
        return self.string() if self.is_string() else self.match(_ASTRING, "string")

    def nstring(self) -> bytes | None:
        return None if self.data[self.at : self.at + 3].upper() == b"NIL" and self._skip(3) else self.string()

    def pattern(self) -> bytes:
        """A mailbox name with wildcards, as LIST takes it."""
        return self.string() if self.is_string() else self.match(_PATTERN, "mailbox pattern")

    def many(self, one: Callable[[], T], most: int) -> list[T]:
        """A list in brackets, which may be empty."""
        self.expect(b"(")
        found: list[T] = []
        while not self.skip(b")"):
            if found:
                self.space()
            if len(found) >= most:
                self.fail("list too long")
            found.append(one())
        return found

    def _skip(self, number: int) -> bool:
        self.at += number
        return True
