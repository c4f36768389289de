"""Found texts compared with those of a script (RFC 5228 section 2.7, RFC 4790, RFC 5231), in bounded work."""

import re
from collections.abc import Sequence
from typing import Final

from gateway.points.sieve.script import Comparator, Match, MatchType, Relation

__all__ = ["cost", "matches"]

_UPPER: Final = {number: number + 32 for number in range(ord("A"), ord("Z") + 1)}
_GLOB: Final = re.compile(r"\\(.)|([*?])|([^\\*?]+|\\)", re.DOTALL)
_DIGITS: Final = re.compile(r"[0-9]+")
_AT_ONCE: Final = 4_096
"""Products of two lengths that are one step of work."""
_PATTERN: Final = 10
"""Steps that it takes to make an expression of a pattern."""


def cost(match: Match, found: Sequence[str]) -> int:
    """An upper bound of the work, in steps."""
    keys = sum(len(key) + 16 for key in match.keys)
    each = _PATTERN if match.type is MatchType.MATCHES else 1
    return 1 + each * len(match.keys) + sum((len(text) + 16) * keys // _AT_ONCE + 1 for text in found)


def matches(match: Match, found: Sequence[str]) -> bool:
    """Whether one of the found texts goes with one of the script's."""
    if match.type is MatchType.COUNT:
        found = (str(len(found)),)
    keys = [_folded(key, match.comparator) for key in match.keys]
    if match.type is MatchType.MATCHES:
        patterns = [_pattern(key) for key in keys]
        return any(pattern.fullmatch(_folded(text, match.comparator)) for text in found for pattern in patterns)
    return any(_pair(match, _folded(text, match.comparator), key) for text in found for key in keys)


def _folded(text: str, comparator: Comparator) -> str:
    """What is compared: i;ascii-casemap knows no letters but those of ASCII."""
    return text.translate(_UPPER) if comparator is Comparator.CASEMAP else text


def _pair(match: Match, text: str, key: str) -> bool:
    if match.type is MatchType.CONTAINS:
        return key in text
    ours, theirs = _order(match.comparator, text), _order(match.comparator, key)
    match match.relation:
        case None | Relation.EQUAL:
            return ours == theirs
        case Relation.UNEQUAL:
            return ours != theirs
        case Relation.GREATER:
            return ours > theirs
        case Relation.GREATER_OR_EQUAL:
            return ours >= theirs
        case Relation.LESS:
            return ours < theirs
        case Relation.LESS_OR_EQUAL:
            return ours <= theirs


def _order(comparator: Comparator, text: str) -> tuple[int, bytes]:
    """A value that sorts as the comparator says.

    Numbers sort by value, whatever their length, and texts that begin with no digit are equal to each other and above
    every number (RFC 4790 section 9.1).
    """
    if comparator is not Comparator.NUMERIC:
        return 0, text.encode("utf-8", "surrogatepass")
    digits = _DIGITS.match(text)
    if digits is None:
        return 1 << 62, b""
    significant = digits[0].lstrip("0")
    return len(significant), significant.encode("ascii")


def _pattern(key: str) -> re.Pattern[str]:
    """A pattern with ``*`` and ``?`` (RFC 5228 section 2.7.1), as an expression that never goes back.

    What stands between two asterisks is taken where it is found first; a later place could only leave less room for
    the rest. So each such piece is an atomic group, and the last one stands at the end.
    """
    pieces: list[str] = [""]
    for found in _GLOB.finditer(key):
        escaped, wild, plain = found.groups()
        if wild == "*":
            pieces.append("")
        else:
            pieces[-1] += "." if wild else re.escape(escaped or plain)
    if len(pieces) == 1:
        return re.compile(pieces[0], re.DOTALL)
    first, *middle, last = pieces
    atoms = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    tail = f"(?>.*?{last}\\Z)" if last else ".*"
    return re.compile(first + atoms + tail, re.DOTALL)
