"""Sets of message numbers: sequence numbers or UIDs, written as ``1:4,7,9:*`` (RFC 3501 section 9, sequence-set)."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.mailbox.imap.tokens import Cursor, Malformed

__all__ = [
    "LARGEST",
    "SAVED",
    "NumberSet",
    "covered",
    "is_within",
    "merged",
    "number_set",
    "written",
    "written_without",
]

LARGEST: Final = 2**32 - 1
STAR: Final = 0  # in a range: the highest number there is

NumberSet = Sequence[tuple[int, int]]
"""Ranges as the client wrote them, either end first; 0 is ``*``."""

SAVED: Final[NumberSet] = ()
"""``$``: what the last search saved (RFC 5182). No written set is empty."""

_FEW: Final = 1_000  # ranges of a set, as people and programs write it

_RANGE: Final = rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?"
_SET: Final = re.compile(_RANGE + rb"(?:," + _RANGE + rb")*+")


def number_set(cursor: Cursor) -> NumberSet:
    """The set that comes next. Linear in its length, as people select a hundred thousand messages one by one."""
    if cursor.skip(b"$"):
        return SAVED
    parts = cursor.match(_SET, "message set").split(b",")
    if len(parts) <= _FEW:
        return [_range(part) for part in parts]
    return _gathered([_range(part) for part in dict.fromkeys(parts)])


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges (lower end first) in order, without overlap; those that touch become one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            if high > found[-1][1]:
                found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def written(numbers: Sequence[int]) -> bytes:
    """Ascending numbers as a set, runs as ranges; nothing for none."""
    parts: list[bytes] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and last >= 0:
            last = number
            continue
        if last >= 0:
            parts.append(_run(first, last))
        first = last = number
    if last >= 0:
        parts.append(_run(first, last))
    return b",".join(parts)


def covered(numbers: NumberSet, highest: int) -> list[tuple[int, int]]:
    """The ranges of a set of UIDs when ``highest`` is the last one given out."""
    ends = (sorted((one or highest, other or highest)) for one, other in numbers)
    return merged((low, min(high, highest)) for low, high in ends if 0 < low <= highest)


def is_within(ranges: Sequence[tuple[int, int]], number: int) -> bool:
    """Whether a number is in one of these ranges, which are as ``merged`` gives them."""
    index = bisect_right(ranges, number, key=lambda each: each[0]) - 1
    return index >= 0 and number <= ranges[index][1]


def written_without(ranges: Sequence[tuple[int, int]], numbers: Sequence[int]) -> bytes:
    """Ranges as ``merged`` gives them, less these ascending numbers, as a set."""
    parts: list[bytes] = []
    for low, high in ranges:
        for number in numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]:
            if low < number:
                parts.append(_run(low, number - 1))
            low = number + 1
        if low <= high:
            parts.append(_run(low, high))
    return b",".join(parts)


def _gathered(ranges: NumberSet) -> NumberSet:
    """The same messages in as few ranges as can be, whatever number ``*`` will stand for."""
    found = merged((one, other) if one <= other else (other, one) for one, other in ranges if one and other)
    ends = [one or other for one, other in ranges if not (one and other)]
    if not ends:
        return found
    numbers = [end for end in ends if end] or [STAR]
    return [*found, (min(numbers), STAR), (max(numbers), STAR)]


def _range(part: bytes) -> tuple[int, int]:
    low, colon, high = part.partition(b":")
    one = _number(low)
    return (one, _number(high)) if colon else (one, one)


def _number(text: bytes) -> int:
    if text == b"*":
        return STAR
    number = int(text)
    if not 0 < number <= LARGEST:
        raise Malformed("message number out of range")
    return number


def _run(first: int, last: int) -> bytes:
    return b"%d" % first if first == last else b"%d:%d" % (first, last)
