"""A search in one folder: each term finds a set of UIDs, and the sets are joined as the search says.

Texts are compared as ``receipts.plaintext.searched`` makes them: without regard to case, any run of white space as one
space. What a message holds of words beyond those that are kept (``MAX_WORDS``) is read again from the message itself.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection

from gateway.flows.boxwords import FlagWords
from gateway.points.boxes import (
    Age,
    And,
    Changed,
    Compared,
    Day,
    Found,
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
from gateway.storage import content, states
from gateway.storage import search as stored
from gateway.storage.statements import Row
from gateway.storage.values import clean, micros
from receipts.fields import decode_words
from receipts.outline import outline
from receipts.plaintext import searched, words_of
from receipts.scanner import scan_header

__all__ = ["needs_details", "search"]

COLUMNS: Final = {
    TextIn.FROM: "senders",
    TextIn.TO: "recipients",
    TextIn.CC: "copies",
    TextIn.BCC: "hidden",
    TextIn.SUBJECT: "subject",
}
EVERY_WORD: Final = 1 << 31


def needs_details(query: Query) -> bool:
    """Whether a search asks for what is worked out of messages."""
    match query:
        case And(terms):
            return any(map(needs_details, terms))
        case Or(one, other):
            return needs_details(one) or needs_details(other)
        case Not(term):
            return needs_details(term)
        case Day():
            return query.sent
        case TextHas() | HeaderHas():
            return True
        case _:
            return False


def search(
    connection: Connection, mailbox_id: int, folder: str, query: Query, words: FlagWords, now: datetime
) -> Found:
    """The messages of a folder that fit. ``folder`` is its key, ``now`` in the zone in which days are counted."""
    searching = _Search(connection, mailbox_id, folder, words, now)
    found = searching.find(query)
    modseq = max((row[1] for row in searching.rows if row[0] in found), default=0) if _by_modseq(query) else 0
    return Found(sorted(found), modseq)


def _by_modseq(query: Query) -> bool:
    match query:
        case And(terms):
            return any(map(_by_modseq, terms))
        case Or(one, other):
            return _by_modseq(one) or _by_modseq(other)
        case Not(term):
            return _by_modseq(term)
        case _:
            return isinstance(query, Changed)


class _Search:
    def __init__(self, connection: Connection, mailbox_id: int, folder: str, words: FlagWords, now: datetime) -> None:
        self._connection = connection
        self._place = (connection, mailbox_id, folder)
        self._words = words
        self._now = now
        self._sent: list[Row] | None = None

    @cached_property
    def rows(self) -> list[Row]:
        """What changes of every message, and its size: for those terms that ask for it."""
        return stored.states_and_sizes(*self._place)

    @cached_property
    def _times(self) -> list[Row]:
        return stored.times(*self._place)

    @cached_property
    def _all(self) -> frozenset[int]:
        return frozenset(states.uids(*self._place))

    def find(self, query: Query) -> frozenset[int]:
        match query:
            case And(terms):
                found = self.find(terms[0]) if terms else self._all
                for term in terms[1:]:
                    if not found:
                        break
                    found &= self.find(term)
                return found
            case Or(one, other):
                return self.find(one) | self.find(other)
            case Not(term):
                return self._all - self.find(term)
            case Uids(ranges):
                return _within(sorted(self._all), ranges)
            case HasFlag(flag):
                mark, own = self._words.mask(flag)
                return self._where(lambda row: bool(row[2] & mark or row[3] & own))
            case Day():
                return self._on(query)
            case SizeIs(larger, size):
                return self._where(lambda row: row[4] > size if larger else row[4] < size)
            case Changed(modseq):
                return self._where(lambda row: row[1] >= modseq)
            case Age(older, seconds):
                limit = micros(self._now - timedelta(seconds=min(seconds, 10**10)))
                return frozenset(uid for uid, at in self._times if (at <= limit if older else at > limit))
            case TextHas(where, text):
                return self._text(where, clean(searched(text)))
            case HeaderHas(name, text):
                return self._header(name, clean(searched(text)))

    def _where(self, fits: Callable[[Row], bool]) -> frozenset[int]:
        return frozenset(row[0] for row in self.rows if fits(row))

    def _on(self, query: Day) -> frozenset[int]:
        if query.sent:
            if self._sent is None:
                self._sent = stored.sent_days(*self._place)
            low, high = _bounds(query.compared, query.day.toordinal(), query.day.toordinal() + 1)
            return frozenset(uid for uid, day in self._sent if day is not None and low <= day < high)
        low, high = _bounds(query.compared, self._midnight(query.day), self._midnight(query.day, after=1))
        return frozenset(uid for uid, at in self._times if low <= at < high)

    def _midnight(self, day: date, after: int = 0) -> int:
        try:
            return micros(datetime.combine(day + timedelta(days=after), time(), self._now.tzinfo))
        except OverflowError:
            return EVERY_WORD << 31

    def _text(self, where: TextIn, needle: str) -> frozenset[int]:
        if not needle:
            return self._all
        if where in COLUMNS:
            return frozenset(stored.in_field(*self._place, COLUMNS[where], needle))
        found = stored.holding_words(*self._place, needle)
        if where is TextIn.TEXT:
            found |= stored.in_field(*self._place, "heads", needle)
        found |= {uid for uid, body in stored.not_whole(*self._place) if uid not in found and self._holds(body, needle)}
        return frozenset(found)

    def _holds(self, body_id: int, needle: str) -> bool:
        """Whether a message with more words than are kept holds the text after all."""
        message = content.load(self._connection, body_id)
        return needle in words_of(outline(message), message, EVERY_WORD).body

    def _header(self, name: str, needle: str) -> frozenset[int]:
        rows = stored.holding_header(*self._place, needle or name.lower())
        return frozenset(uid for uid, header in rows if _field_has(bytes(header), name, needle))


def _field_has(header: bytes, name: str, needle: str) -> bool:
    return any(needle in searched(decode_words(field.value)) for field in scan_header(header).all(name))


def _bounds(compared: Compared, start: int, stop: int) -> tuple[int, int]:
    match compared:
        case Compared.BEFORE:
            return -(1 << 62), start
        case Compared.ON:
            return start, stop
        case Compared.SINCE:
            return start, 1 << 62


def _within(uids: list[int], ranges: Any) -> frozenset[int]:
    """Those of ``uids`` that lie in one of the ranges; both ascend."""
    found: list[int] = []
    spans = iter(ranges)
    span = next(spans, None)
    for uid in uids:
        while span is not None and span[1] < uid:
            span = next(spans, None)
        if span is None:
            break
        if span[0] <= uid:
            found.append(uid)
    return frozenset(found)
