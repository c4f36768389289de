"""Which messages a search finds by what a session knows of them: UIDs, flags, modseqs (RFC 3501 section 6.4.4).

A search may have a thousand terms, and a folder a hundred thousand messages. So what a term finds is a number with a
byte for each message, 1 or 0, the highest for the first: two of them are joined in microseconds. What takes longer
lets other sessions have their turn in between.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Final

from gateway.points.boxes import And, Changed, Details, HasFlag, Not, Or, Query, Uids

__all__ = ["Picker", "is_of_rows", "speaks_of_modseqs"]

_AT_A_STRETCH: Final = 200_000  # messages looked at, a few milliseconds


def is_of_rows(query: Query) -> bool:
    """Whether UIDs, flags and modseqs decide."""
    match query:
        case And(terms):
            return all(map(is_of_rows, terms))
        case Or(one, other):
            return is_of_rows(one) and is_of_rows(other)
        case Not(term):
            return is_of_rows(term)
        case _:
            return isinstance(query, Uids | HasFlag | Changed)


def speaks_of_modseqs(query: Query) -> bool:
    """Whether one of the terms asks for a modseq."""
    match query:
        case And(terms):
            return any(map(speaks_of_modseqs, terms))
        case Or(one, other):
            return speaks_of_modseqs(one) or speaks_of_modseqs(other)
        case Not(term):
            return speaks_of_modseqs(term)
        case _:
            return isinstance(query, Changed)


class Picker:
    """Picks messages of a folder.

    Args:
        messages: all of them, with flags and modseqs if a query will ask for those.
    """

    def __init__(self, messages: Details) -> None:
        self._messages = messages
        self._count = len(messages)
        self._all = int.from_bytes(b"\1" * self._count)
        self._kinds: frozenset[frozenset[str]] | None = None  # the sets of flags that occur: few, shared by many
        self._known: dict[str | int, int] = {}  # what flags and modseqs were found to pick
        self._looked_at = 0

    async def pick(self, query: Query) -> list[int]:
        """The UIDs that a query finds, ascending. ``is_of_rows`` is true of it."""
        found = await self._find(query)
        if found in (0, self._all):
            return list(self._messages.uids) if found else []
        return list(compress(self._messages.uids, found.to_bytes(self._count)))

    async def _find(self, query: Query) -> int:
        match query:
            case And(terms):
                found = self._all
                for term in terms:
                    found = found and found & await self._find(term)
                return found
            case Or(one, other):
                return await self._find(one) | await self._find(other)
            case Not(term):
                return self._all ^ await self._find(term)
            case Uids(ranges):
                return await self._within(ranges)
            case HasFlag(flag):
                return await self._once(flag.lower())
            case Changed(since):
                return await self._once(since)
        raise TypeError(f"{type(query).__name__} is not of rows")

    async def _within(self, ranges: Sequence[tuple[int, int]]) -> int:
        await self._look(len(ranges) + self._count // 100)
        uids, found = self._messages.uids, bytearray(self._count)
        for low, high in ranges:
            first, after = bisect_left(uids, low), bisect_right(uids, high)
            found[first:after] = b"\1" * (after - first)
        return int.from_bytes(found)

    async def _once(self, sought: str | int) -> int:
        """What a flag, in lower case, or a modseq finds."""
        found = self._known.get(sought)
        if found is None:
            await self._look(self._count)
            which = self._with_flag(sought) if isinstance(sought, str) else self._since(sought)
            found = self._known[sought] = int.from_bytes(bytes(which))
        return found

    def _with_flag(self, flag: str) -> Iterable[int]:
        if self._kinds is None:
            self._kinds = frozenset(self._messages.flags)
        spelt = {name for kind in self._kinds for name in kind if name.lower() == flag}
        if not spelt:
            return ()
        has = {kind: not kind.isdisjoint(spelt) for kind in self._kinds}
        return map(has.__getitem__, self._messages.flags)

    def _since(self, modseq: int) -> Iterable[int]:
        return map(modseq.__le__, self._messages.modseqs)

    async def _look(self, messages: int) -> None:
        """Count work, and let others have their turn after some of it."""
        self._looked_at += messages
        if self._looked_at >= _AT_A_STRETCH:
            self._looked_at = 0
            await asyncio.sleep(0)
