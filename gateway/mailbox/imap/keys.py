"""Search keys (RFC 3501 section 6.4.4, RFC 7162 section 3.1.5, RFC 5032) from bytes to a query."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from gateway.mailbox.imap.numbers import NumberSet, number_set
from gateway.mailbox.imap.tokens import Cursor
from gateway.points.boxes import (
    ALL,
    Age,
    And,
    Changed,
    Compared,
    Day,
    HasFlag,
    HeaderHas,
    Not,
    Or,
    Query,
    SizeIs,
    TextHas,
    TextIn,
    Uids,
)

__all__ = ["CHARSETS", "Numbers", "search_keys"]

Numbers = Callable[[NumberSet, bool], Uids]
"""A set, whether it holds UIDs -> the messages it names now. May raise Malformed."""

CHARSETS: Final[Mapping[bytes, str]] = {
    b"US-ASCII": "ascii",
    b"UTF-8": "utf-8",
    b"ISO-8859-1": "latin-1",
    b"ISO-8859-15": "iso-8859-15",
    b"WINDOWS-1252": "cp1252",
}
_DEEPEST: Final = 50
_MOST: Final = 1_000  # keys of one search
_MOST_TEXTS: Final = 100  # of those that look for a text: each may look through all that a folder holds
_LARGEST: Final = 2**63 - 1

_FLAGS: Final[Mapping[bytes, str]] = {
    b"ANSWERED": "\\Answered",
    b"DELETED": "\\Deleted",
    b"DRAFT": "\\Draft",
    b"FLAGGED": "\\Flagged",
    b"SEEN": "\\Seen",
}
_DAYS: Final[Mapping[bytes, tuple[Compared, bool]]] = {
    b"BEFORE": (Compared.BEFORE, False),
    b"ON": (Compared.ON, False),
    b"SINCE": (Compared.SINCE, False),
    b"SENTBEFORE": (Compared.BEFORE, True),
    b"SENTON": (Compared.ON, True),
    b"SENTSINCE": (Compared.SINCE, True),
}
_TEXTS: Final = {where.name.encode("ascii"): where for where in TextIn}
_DATE: Final = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_MONTHS: Final = (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC")


def search_keys(cursor: Cursor, charset: str, numbers: Numbers, recent: Uids) -> Query:
    """All keys up to the end of the command.

    Args:
        charset: a codec, for the texts.
        numbers: looks up message sets.
        recent: the messages that are recent in this session.
    """
    return _Keys(cursor, charset, numbers, recent).all()


class _Keys:
    def __init__(self, cursor: Cursor, charset: str, numbers: Numbers, recent: Uids) -> None:
        self._cursor = cursor
        self._charset = charset
        self._numbers = numbers
        self._recent = recent
        self._count = self._texts = 0

    def all(self) -> Query:
        terms = [self._key(0)]
        while not self._cursor.at_end:
            self._cursor.space()
            terms.append(self._key(0))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _key(self, depth: int) -> Query:
        cursor = self._cursor
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST:
            cursor.fail("search too complex")
        if cursor.next_is(b"("):
            terms = cursor.many(lambda: self._key(depth + 1), _MOST)
            return And(tuple(terms)) if terms else cursor.fail("empty search")
        if cursor.data[cursor.at : cursor.at + 1] in b"0123456789*$" and not cursor.at_end:
            return self._numbers(number_set(cursor), False)
        word = cursor.word()
        if word in (b"NOT", b"OR"):
            cursor.space()
            one = self._key(depth + 1)
            if word == b"NOT":
                return Not(one)
            cursor.space()
            return Or(one, self._key(depth + 1))
        return self._plain(word)

    def _plain(self, word: bytes) -> Query:
        bare = self._bare(word)
        if bare is not None:
            return bare
        cursor = self._cursor
        if word not in _WITH_ARGUMENT:
            cursor.fail("no such search key")
        cursor.space()
        if word in _TEXTS:
            text = self._text()
            return TextHas(_TEXTS[word], text) if text else ALL
        if word in _DAYS:
            compared, sent = _DAYS[word]
            return Day(compared, self._day(), sent)
        return self._other(word)

    def _bare(self, word: bytes) -> Query | None:
        if word in _FLAGS:
            return HasFlag(_FLAGS[word])
        if word.startswith(b"UN") and word[2:] in _FLAGS:
            return Not(HasFlag(_FLAGS[word[2:]]))
        match word:
            case b"ALL":
                return ALL
            case b"RECENT":
                return self._recent
            case b"OLD":
                return Not(self._recent)
            case b"NEW":
                return And((self._recent, Not(HasFlag("\\Seen"))))
        return None

    def _other(self, word: bytes) -> Query:
        cursor = self._cursor
        match word:
            case b"KEYWORD":
                return HasFlag(cursor.atom().decode("ascii"))
            case b"UNKEYWORD":
                return Not(HasFlag(cursor.atom().decode("ascii")))
            case b"LARGER" | b"SMALLER":
                return SizeIs(word == b"LARGER", cursor.number())
            case b"OLDER" | b"YOUNGER":
                return Age(word == b"OLDER", max(1, cursor.number()))
            case b"HEADER":
                name = cursor.astring().decode("ascii", "replace")
                cursor.space()
                return HeaderHas(name, self._text())
            case b"UID":
                return self._numbers(number_set(cursor), True)
            case _:
                return self._modseq()

    def _modseq(self) -> Query:
        """``MODSEQ [entry type] number``; what the entry says makes no difference, as RFC 7162 3.1.5 allows."""
        cursor = self._cursor
        if cursor.next_is(b'"'):
            cursor.string()
            cursor.space()
            cursor.atom()
            cursor.space()
        return Changed(cursor.number(_LARGEST))

    def _text(self) -> str:
        self._texts += 1
        if self._texts > _MOST_TEXTS:
            self._cursor.fail("search too complex")
        data = self._cursor.astring()
        try:
            return data.decode(self._charset)
        except ValueError:
            self._cursor.fail("text not in its character set")

    def _day(self) -> date:
        cursor = self._cursor
        found = _DATE.match(cursor.data, cursor.at)
        if found is None or found[3].upper() not in _MONTHS:
            cursor.fail("date expected")
        cursor.at = found.end()
        try:
            return date(int(found[4]), _MONTHS.index(found[3].upper()) + 1, int(found[2]))
        except ValueError:
            cursor.fail("no such day")


_WITH_ARGUMENT: Final = frozenset(
    {
        *_TEXTS,
        *_DAYS,
        b"KEYWORD",
        b"UNKEYWORD",
        b"LARGER",
        b"SMALLER",
        b"OLDER",
        b"YOUNGER",
        b"HEADER",
        b"UID",
        b"MODSEQ",
    }
)
