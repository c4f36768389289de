"""Mailbox names: modified UTF-7 or UTF-8 on the wire, plain text inside (RFC 3501 section 5.1.3, RFC 6855)."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from gateway.points.folder_names import from_utf7, to_utf7

__all__ = ["INBOX", "SEPARATOR", "Matcher", "above", "decoded", "encoded", "is_name"]

INBOX: Final = "INBOX"
SEPARATOR: Final = "/"

_LONGEST: Final = 255  # characters
_DEEPEST: Final = 20  # levels
_FORBIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def decoded(name: bytes, *, utf8: bool) -> str | None:
    """The name behind the bytes of a client; None if they are none in this encoding. The inbox is ``INBOX``.

    A client that did not enable UTF-8 may have sent it all the same: then it can be nothing else.
    """
    try:
        text = name.decode("utf-8" if utf8 or any(byte > 0x7F for byte in name) else "ascii")
        if not utf8 and "&" in text:
            text = from_utf7(text)
    except ValueError:
        return None
    text = unicodedata.normalize("NFC", text)
    first, separator, rest = text.partition(SEPARATOR)
    return INBOX + separator + rest if first.upper() == INBOX else text


def encoded(name: str, *, utf8: bool) -> bytes:
    """The bytes of a name for a client; they want quoting still."""
    return name.encode("utf-8", "replace") if utf8 else to_utf7(name).encode("ascii")


def is_name(name: str) -> bool:
    """Whether a folder may be called so."""
    levels = name.split(SEPARATOR)
    return (
        0 < len(name) <= _LONGEST
        and len(levels) <= _DEEPEST
        and all(level and level.strip() == level for level in levels)
        and not any(unicodedata.category(character) in _FORBIDDEN or character in "*%" for character in name)
    )


def above(name: str) -> list[str]:
    """The names of the folders above this one, from the top."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:depth]) for depth in range(1, len(levels))]


class Matcher:
    """Whether a name matches one of these LIST patterns (RFC 3501 section 6.3.8), in linear time.

    ``*`` stands for anything, ``%`` for anything within a level. INBOX matches in any case.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [_without_runs(pattern) for pattern in patterns]

    def __call__(self, name: str) -> bool:
        return any(_matches(pattern, name) for pattern in self._patterns)


def _matches(pattern: str, name: str) -> bool:
    if name == INBOX and pattern.upper() == INBOX:
        return True
    places = _onwards(pattern, {0})  # where in the pattern one may be after each character
    for character in name:
        reached: set[int] = set()
        for place in places:
            if place == len(pattern):
                continue
            wanted = pattern[place]
            if wanted == "*" or (wanted == "%" and character != SEPARATOR):
                reached.add(place)
            elif wanted == character and wanted != "%":
                reached.add(place + 1)
        if not reached:
            return False
        places = _onwards(pattern, reached)
    return len(pattern) in places


def _onwards(pattern: str, places: set[int]) -> set[int]:
    """These places, and those behind wildcards that stand for nothing."""
    found = set(places)
    for place in places:
        while place < len(pattern) and pattern[place] in "*%":
            place += 1
            found.add(place)
    return found


def _without_runs(pattern: str) -> str:
    """The same pattern with one wildcard where several stand together."""
    return re.sub(r"[*%]+", lambda run: "*" if "*" in run[0] else "%", pattern)
