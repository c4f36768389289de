"""Flags as programs write them, and as they stand in storage: marks that all boxes know, keywords of one box."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from gateway.points.boxes import Addition, BoxRefused, Details, FlagChange, Opened, Row, Why
from gateway.points.marks import NAMES, RESERVED, marks_of
from gateway.storage import keywords
from gateway.storage.appends import Appended
from receipts.identifiers import is_msgid
from receipts.scanner import scan_header

__all__ = ["FlagWords", "appended", "bits", "keyword_bits", "with_recent"]

ALL: Final = -1
KINDS: Final = 10_000
"""Different sets of flags of one box that are remembered."""


class FlagWords:
    """The flags of one box's messages in words; each set of flags is made once."""

    def __init__(self, mailbox_id: int) -> None:
        self._mailbox_id = mailbox_id
        self._own: dict[int, str] = {}
        self._known: dict[tuple[int, int], frozenset[str]] = {}

    def load(self, connection: Connection) -> None:
        """See which keywords the box has now."""
        self.learn(keywords.keyword_names(connection, self._mailbox_id))

    def learn(self, own: dict[int, str]) -> None:
        """These keywords the box has now, by their bits."""
        if own != self._own:
            self._own, self._known = own, {}

    def names(self) -> list[str]:
        """The keywords that the box knows, its own last."""
        return [name for name in NAMES.values() if not name.startswith("\\")] + list(self._own.values())

    def rows(self, connection: Connection, rows: Iterable[Sequence[Any]]) -> list[Row]:
        """``storage.states`` rows as programs see them."""
        self.load(connection)
        return [self.row(row) for row in rows]

    def messages(self, rows: Collection[Sequence[Any]]) -> Details:
        """The same, with the keywords that were loaded, as columns."""
        uids, modseqs, marks, own = zip(*rows, strict=True) if rows else ((), (), (), ())
        return Details(uids=uids, modseqs=modseqs, flags=self.flags(marks, own))

    def changed(self, known: Details, bits: Mapping[str, int], modseq: int, unchanged_since: int | None) -> Details:
        """Messages that were known, after a change (``states.set_flags``) to which nothing came in between."""
        after = {flags: self._after(flags, bits) for flags in set(known.flags)}
        if unchanged_since is not None:
            rows = [row for row in known.rows() if row.modseq <= unchanged_since]
            changed = [Row(row.uid, modseq, after[row.flags]) for row in rows if after[row.flags] != row.flags]
            return known.with_rows(changed)
        flags = list(map(after.__getitem__, known.flags))
        stays = {old for old, new in after.items() if old == new}
        if not stays:
            return Details(uids=known.uids, modseqs=[modseq] * len(known), flags=flags)
        both = zip(known.flags, known.modseqs, strict=True)
        modseqs = [before if old in stays else modseq for old, before in both]
        return Details(uids=known.uids, modseqs=modseqs, flags=flags)

    def row(self, row: Sequence[Any]) -> Row:
        """One such row, with the keywords that were loaded."""
        return Row(row[0], row[1], self._kind(row[2], row[3]))

    def flags(self, marks: Iterable[int], own: Iterable[int]) -> list[frozenset[str]]:
        """The flags of many messages, by their marks and the bits of their keywords."""
        both = list(zip(marks, own, strict=True))
        kinds = {kind: self._kind(*kind) for kind in set(both)}
        return [kinds[kind] for kind in both]

    def mask(self, flag: str) -> tuple[int, int]:
        """The bit of a flag among the marks, or among the box's own keywords; neither for one that is not known."""
        marks, others = marks_of((flag,))
        own = next((1 << bit for bit, name in self._own.items() if others and name.lower() == others[0].lower()), 0)
        return int(marks), own

    def _after(self, flags: frozenset[str], bits: Mapping[str, int]) -> frozenset[str]:
        marks, others = marks_of(flags)
        own = 0
        for name in others:
            own |= self.mask(name)[1]
        return self._kind(int(marks) & bits["keep"] | bits["add"], own & bits["keep_keywords"] | bits["add_keywords"])

    def _kind(self, marks: int, own: int) -> frozenset[str]:
        known = self._known.get((marks, own))
        return self._words(marks, own) if known is None else known

    def _words(self, marks: int, own: int) -> frozenset[str]:
        names = {name for mark, name in NAMES.items() if marks & mark}
        names |= {name for bit, name in self._own.items() if own >> bit & 1}
        if len(self._known) >= KINDS:
            self._known.clear()
        return self._known.setdefault((marks, own), frozenset(names))


def bits(connection: Connection, mailbox_id: int, change: FlagChange, flags: Collection[str]) -> dict[str, int]:
    """A change of flags as ``states.set_flags`` wants it. What the service says of a message stays.

    Raises:
        BoxRefused: the box knows as many keywords as it can.
    """
    marks, others = marks_of(flags)
    marks &= ~RESERVED
    own = keyword_bits(connection, mailbox_id, others, add=change is not FlagChange.REMOVE)
    match change:
        case FlagChange.ADD:
            return {"keep": ALL, "add": int(marks), "keep_keywords": ALL, "add_keywords": own}
        case FlagChange.REMOVE:
            return {"keep": ~int(marks), "add": 0, "keep_keywords": ~own, "add_keywords": 0}
        case FlagChange.REPLACE:
            return {"keep": int(RESERVED), "add": int(marks), "keep_keywords": 0, "add_keywords": own}


def keyword_bits(connection: Connection, mailbox_id: int, names: Iterable[str], *, add: bool = True) -> int:
    try:
        return keywords.bits_for(connection, mailbox_id, names, add=add)
    except keywords.TooManyKeywords as error:
        raise BoxRefused(Why.LIMIT) from error


def appended(addition: Addition, token: str, now: datetime) -> Appended:
    """A message that a program puts into a folder. It is of the ordinary kind, whatever it says it is."""
    marks, words = marks_of(addition.flags)
    field = scan_header(addition.message).first("Message-ID")
    msgid = None if field is None else field.text
    return Appended(
        message=addition.message,
        token=token,
        marks=marks & ~RESERVED,
        words=words,
        at=addition.at or now,
        now=now,
        msgid=msgid if msgid is not None and is_msgid(msgid) else None,
    )


def with_recent(opened: Opened, recent_from: int) -> Opened:
    """The same folder with other messages recent."""
    return replace(opened, recent_from=recent_from)
