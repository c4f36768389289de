"""A Sieve script to its words (RFC 5228 section 2.1 to 2.4, 8.1), each with its place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from gateway.points.sieve.errors import ScriptRefused
from gateway.points.sieve.limits import MAX_NUMBER, MAX_SCRIPT, MAX_TOKENS

__all__ = ["Place", "Sort", "Token", "tokens"]


class Sort(Enum):
    """What a token is."""

    WORD = auto()  # an identifier, in lower case
    TAG = auto()  # the same behind a colon, without it
    NUMBER = auto()
    TEXT = auto()
    SIGN = auto()  # one of [ ] { } ( ) , ;
    END = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, from 1; columns count characters."""

    line: int
    column: int

    def refuse(self, reason: str) -> ScriptRefused:
        return ScriptRefused(self.line, self.column, reason)


@dataclass(frozen=True, slots=True)
class Token:
    sort: Sort
    text: str  # without quotes and escapes
    number: int
    place: Place


_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_TOKEN: Final = re.compile(
    r"""
    (?P<space> (?: [ \t\r\n]+ | \#[^\n]* )+ )
    | (?P<comment> /\* )
    | (?P<lines> [Tt][Ee][Xx][Tt]:[ \t]*(?:\#[^\n]*)?\r?\n )
    | (?P<word> [A-Za-z_][A-Za-z0-9_]*+ )
    | :(?P<tag> [A-Za-z_][A-Za-z0-9_]*+ )
    | (?P<digits> [0-9]++ )(?P<unit> [KMGkmg]? )(?![A-Za-z0-9_])
    | (?P<sign> [\[\]{}(),;] )
    | "(?P<text> (?: [^"\\] | \\. )*+ )"
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_LAST_LINE: Final = re.compile(r"^\.\r?$", re.MULTILINE)
_STUFFED: Final = re.compile(r"^\.\.", re.MULTILINE)


def tokens(script: bytes) -> Iterator[Token]:
    """The words of a script; the last one is the END.

    Raises:
        ScriptRefused: it is too long, no UTF-8, or holds what begins no word.
    """
    text = _decoded(script)
    places = _Places(text)
    position = count = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        place = places.at(position)
        if found is None:
            raise place.refuse(_why_not(text, position))
        if found.lastgroup == "space":
            position = found.end()
            continue
        if found.lastgroup == "comment":
            position = _after_comment(text, found.end(), place)
            continue
        token, position = _token(text, found, place)
        count += 1
        if count > MAX_TOKENS:
            raise place.refuse(f"a script has at most {MAX_TOKENS} words")
        yield token
    yield Token(Sort.END, "", 0, places.at(position))


class _Places:
    """Line and column of positions that never go back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line, self._start, self._seen = 1, 0, 0

    def at(self, position: int) -> Place:
        self._line += self._text.count("\n", self._seen, position)
        newline = self._text.rfind("\n", self._seen, position)
        if newline >= 0:
            self._start = newline + 1
        self._seen = position
        return Place(self._line, position - self._start + 1)


def _decoded(script: bytes) -> str:
    if len(script) > MAX_SCRIPT:
        raise ScriptRefused(1, 1, f"a script has at most {MAX_SCRIPT} bytes, this one has {len(script)}")
    try:
        text = script.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _Places(before := script[: error.start].decode("utf-8")).at(len(before))
        raise place.refuse("no UTF-8") from None
    nul = text.find("\0")
    if nul >= 0:
        raise _Places(text).at(nul).refuse("a NUL character")
    return text.removeprefix("\ufeff")


def _token(text: str, found: re.Match[str], place: Place) -> tuple[Token, int]:
    """A token, and where the next one may begin."""
    match found.lastgroup:
        case "lines":
            return _lines(text, found.end(), place)
        case "text":
            return Token(Sort.TEXT, _ESCAPED.sub(r"\1", found["text"]), 0, place), found.end()
        case "word":
            return Token(Sort.WORD, found["word"].lower(), 0, place), found.end()
        case "tag":
            return Token(Sort.TAG, found["tag"].lower(), 0, place), found.end()
        case "sign":
            return Token(Sort.SIGN, found["sign"], 0, place), found.end()
        case _:
            return Token(Sort.NUMBER, found[0], _number(found, place), place), found.end()


def _number(found: re.Match[str], place: Place) -> int:
    digits = found["digits"].lstrip("0") or "0"
    number = int(digits) * _UNITS[found["unit"].lower()] if len(digits) <= 16 else MAX_NUMBER
    if number >= MAX_NUMBER:
        raise place.refuse("the number is too large")
    return number


def _lines(text: str, start: int, place: Place) -> tuple[Token, int]:
    """A text of several lines, up to the one that is a dot (RFC 5228 section 2.4.2)."""
    end = _LAST_LINE.search(text, start)
    if end is None:
        raise place.refuse("the text ends nowhere: a line with nothing but a dot is missing")
    return Token(Sort.TEXT, _STUFFED.sub(".", text[start : end.start()]), 0, place), end.end()


def _after_comment(text: str, start: int, place: Place) -> int:
    end = text.find("*/", start)
    if end < 0:
        raise place.refuse("the comment ends nowhere: */ is missing")
    return end + 2


def _why_not(text: str, position: int) -> str:
    character = text[position]
    if character == '"':
        return "the text ends nowhere: a quotation mark is missing"
    if character.isdigit():
        return "a number is written as in 100, 100K, 100M or 1G"
    return f"{character!r} begins nothing here"
