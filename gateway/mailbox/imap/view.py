"""A folder as one session sees it: which message has which number, and what the client has been told.

A client counts messages; when one is removed, all behind it count one less. So the view changes only at moments when
the client may be told (RFC 3501 sections 5.5, 7.4.1), and between them every number means the same message.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from gateway.mailbox.imap.numbers import SAVED, NumberSet, merged
from gateway.points.boxes import NO_FLAGS, Changes, Details, Known, Opened, Row, Stored

__all__ = ["View"]

T = TypeVar("T")
_FEW: Final = 20  # one of so many messages is looked up, more are counted through


class View:
    """The folder that a session has open.

    Args:
        read_only: the session changes nothing here.
    """

    def __init__(self, opened: Opened, *, read_only: bool) -> None:
        self.folder_id = opened.folder_id
        self.read_only = read_only
        self.modseq = opened.modseq
        self.uid_next = opened.uid_next
        self.saved: Sequence[int] = ()  # what SEARCH RETURN (SAVE) found
        self._uids = array("I", opened.uids)
        self._recent = [(opened.recent_from, opened.uid_next - 1)]
        self._told: dict[int, int] = {}  # UID -> modseq of a row told of already, newer than the view
        self._gone: set[int] = set()  # removed, but not told yet
        self._flags: list[frozenset[str]] | None = None  # by index, once somebody has asked
        self._modseqs = array("Q")

    def __len__(self) -> int:
        return len(self._uids)

    @property
    def uids(self) -> Sequence[int]:
        """In order of their numbers, from 1."""
        return self._uids

    @property
    def has_gone(self) -> bool:
        """Whether messages were removed of which the client could not be told yet."""
        return bool(self._gone)

    @property
    def recent_ranges(self) -> Sequence[tuple[int, int]]:
        """UIDs of the messages that are recent in this session."""
        return [(low, high) for low, high in self._recent if low <= high]

    @property
    def knows_rows(self) -> bool:
        """Whether flags and modseqs of all messages are here."""
        return self._flags is not None

    def learn(self, details: Details) -> None:
        """Keep flags and modseqs, which these are, of all messages; those without are gone."""
        flags, modseqs = list(details.flags), array("Q", details.modseqs)
        if len(details) < len(self._uids):
            self.keep_only(details.uids)
            known = {row.uid: row for row in details.rows()}
            rows = [known.get(uid, Row(uid, 0, NO_FLAGS)) for uid in self._uids]
            flags, modseqs = [row.flags for row in rows], array("Q", (row.modseq for row in rows))
        self._flags, self._modseqs = flags, modseqs

    def details(self, uids: Sequence[int]) -> Details:
        """Flags and modseqs, if they were learnt, of those of these messages of the view that are not gone."""
        numbers = self.numbers_of(uids)
        flags, modseqs = _picked(self._flags or (), numbers), _picked(self._modseqs, numbers)
        found = Details(uids=uids, modseqs=modseqs, flags=flags)
        return found.only(frozenset(uids) - self._gone) if self._gone else found

    def number(self, uid: int) -> int | None:
        """The sequence number of a message; None if it has none here."""
        index = bisect_left(self._uids, uid)
        return index + 1 if index < len(self._uids) and self._uids[index] == uid else None

    def numbers_of(self, uids: Sequence[int]) -> Sequence[int]:
        """The sequence numbers of messages that all have one, in order; of neighbours at no cost."""
        if not uids:
            return ()
        first = bisect_left(self._uids, uids[0])
        if self._uids[first : first + len(uids)] == array("I", uids):
            return range(first + 1, first + 1 + len(uids))
        return [bisect_left(self._uids, uid) + 1 for uid in uids]

    def numbers(self, uids: Iterable[int]) -> Iterator[int]:
        """The sequence numbers of messages, ascending, without those that have none."""
        wanted = frozenset(uids)
        if len(wanted) == len(self._uids) and wanted.issuperset(self._uids):
            return iter(range(1, len(wanted) + 1))
        if len(wanted) * _FEW > len(self._uids):
            return (number for number, uid in enumerate(self._uids, 1) if uid in wanted)
        return (number for uid in sorted(wanted) if (number := self.number(uid)) is not None)

    def chosen(self, numbers: NumberSet, *, uid: bool) -> list[int] | None:
        """UIDs of the messages in a set, ascending; None if it names a sequence number that nobody has."""
        if numbers == SAVED:
            return [each for each in self.saved if self.number(each) is not None]
        spans = self._spans(numbers, uid=uid)
        if spans is None:
            return None
        found: list[int] = []
        for low, high in spans:
            found.extend(self._uids[low : high + 1])
        return found

    def ranges(self, numbers: NumberSet, *, uid: bool) -> list[tuple[int, int]] | None:
        """The same as ranges of UIDs, each from a message to a message with none of the others between."""
        if numbers == SAVED:
            return merged((each, each) for each in self.saved)
        spans = self._spans(numbers, uid=uid)
        return None if spans is None else [(self._uids[low], self._uids[high]) for low, high in spans]

    def is_recent(self, uid: int) -> bool:
        return any(low <= uid <= high for low, high in self._recent)

    def are_recent(self, uids: Sequence[int]) -> list[bool]:
        """The same of many UIDs, ascending."""
        found = [False] * len(uids)
        for low, high in self.recent_ranges:
            first, last = bisect_left(uids, low), bisect_right(uids, high)
            found[first:last] = [True] * (last - first)
        return found

    def recent(self) -> int:
        """How many messages are recent in this session."""
        return sum(
            max(0, bisect_right(self._uids, high) - bisect_left(self._uids, low))
            for low, high in self._recent
            if high >= low
        )

    def claim_recent(self, start: int) -> None:
        """Messages from this UID on are recent here, as far as the view goes."""
        self._recent.append((start, self.uid_next - 1))
        self._recent = merged((low, high) for low, high in self._recent if low <= high)

    def tell(self, row: Row) -> None:
        """The client is told of this row now, so that it need not be told again."""
        if row.modseq > self.modseq:
            self._told[row.uid] = row.modseq
            self._keep(row)

    def known(self, uids: Sequence[int]) -> Known | None:
        """What is known of these messages of the view, if that is everything."""
        return None if self._flags is None or self._gone else Known(self.modseq, self.details(uids))

    def tell_stored(self, stored: Stored) -> None:
        """The client is told now of messages whose flags it stored."""
        there = stored.messages
        self._put(self.numbers_of(there.uids), there)
        if stored.modseq == self.modseq + 1:  # nobody else has changed the box: of this there is no news
            self.modseq = stored.modseq
        else:
            told = zip(there.uids, there.modseqs, strict=True)
            self._told.update((uid, modseq) for uid, modseq in told if modseq > self.modseq)

    def take(self, changes: Changes) -> tuple[bool, list[Row]]:
        """Let news in: whether there are new messages, and the rows of old ones of which the client does not know.

        Removed messages keep their numbers until ``remove_gone``.
        """
        last = self._uids[-1] if self._uids else 0
        fresh = array("I", (row.uid for row in changes.rows if row.uid > last))
        changed = [
            row
            for row in changes.rows
            if row.uid <= last and self._told.get(row.uid) != row.modseq and self.number(row.uid) is not None
        ]
        self._gone.update(uid for uid in changes.vanished or () if self.number(uid) is not None)
        if self._flags is not None:
            for row in changes.rows:
                if row.uid > last:
                    self._flags.append(row.flags)
                    self._modseqs.append(row.modseq)
                else:
                    self._keep(row)
        self._uids.extend(fresh)
        self._told.clear()
        self.modseq = changes.modseq
        highest = max((uids[-1] for uids in (fresh, changes.vanished) if uids), default=0)
        self.uid_next = max(self.uid_next, highest + 1)
        return bool(fresh), changed

    def keep_only(self, uids: Iterable[int]) -> None:
        """All messages but these are gone: for when nobody knows any more which were removed."""
        here = frozenset(uids)
        self._gone.update(uid for uid in self._uids if uid not in here)

    def remove_gone(self) -> tuple[list[int], list[int]]:
        """Take removed messages out; their UIDs, and the number each had when those behind it were out already."""
        uids = sorted(self._gone)
        numbers = [number for uid in reversed(uids) if (number := self.number(uid)) is not None]
        if uids:
            gone = self._gone
            if self._flags is not None:
                kept = [row for row in zip(self._uids, self._modseqs, self._flags, strict=True) if row[0] not in gone]
                self._modseqs = array("Q", (row[1] for row in kept))
                self._flags = [row[2] for row in kept]
            self._uids = array("I", (uid for uid in self._uids if uid not in gone))
        self._gone = set()
        return uids, numbers

    def _put(self, numbers: Sequence[int], there: Details) -> None:
        """Keep flags and modseqs of the messages with these numbers, if all are kept."""
        if self._flags is None:
            return
        if isinstance(numbers, range):
            here = slice(numbers.start - 1, numbers.stop - 1)
            self._flags[here], self._modseqs[here] = there.flags, array("Q", there.modseqs)
            return
        for number, modseq, flags in zip(numbers, there.modseqs, there.flags, strict=True):
            self._modseqs[number - 1], self._flags[number - 1] = modseq, flags

    def _keep(self, row: Row) -> None:
        number = None if self._flags is None else self.number(row.uid)
        if self._flags is not None and number is not None:
            self._flags[number - 1] = row.flags
            self._modseqs[number - 1] = row.modseq

    def _spans(self, numbers: NumberSet, *, uid: bool) -> list[tuple[int, int]] | None:
        """A set as ranges of indexes, both ends included; None if a sequence number is out of range.

        ``*`` is the last message, also in a range whose other end is a higher UID (RFC 3501 section 6.4.8).
        """
        count = len(self._uids)
        spans: list[tuple[int, int]] = []
        highest = (self._uids[-1] if uid else count) if count else 0
        for one, other in numbers:
            low, high = sorted((one or highest, other or highest))
            if uid:
                first, last = bisect_left(self._uids, low), bisect_right(self._uids, high) - 1
                if first <= last:
                    spans.append((first, last))
            elif not count and 0 in (one, other):
                continue  # "1:*" of an empty folder, as many ask
            elif low > 0 and high <= count:
                spans.append((low - 1, high - 1))
            else:
                return None
        return merged(spans)


def _picked(column: Sequence[T], numbers: Sequence[int]) -> Sequence[T]:
    """What stands at these numbers, if there is anything."""
    if isinstance(numbers, range):
        return column[numbers.start - 1 : numbers.stop - 1]
    return [column[number - 1] for number in numbers] if column else ()
