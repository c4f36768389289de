"""What a mail program asks of a box, and what a box answers: folders, message rows, searches, refusals.

A message is named by its UID, which is unique in its box: a message that is copied or moved gets a new one there.
Every change of a box takes the next number of one counter, its modseq (RFC 7162), and every message carries the number
of its last change.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import Enum, Flag, StrEnum, auto
from itertools import compress
from typing import NamedTuple

from receipts.errors import GatewayError
from receipts.octets import Octets

__all__ = [
    "ALL",
    "NO_FLAGS",
    "Addition",
    "Age",
    "And",
    "BoxRefused",
    "Changed",
    "Changes",
    "Compared",
    "Copied",
    "Day",
    "Details",
    "FlagChange",
    "Folder",
    "Found",
    "HasFlag",
    "HeaderHas",
    "Known",
    "Not",
    "Opened",
    "Or",
    "Query",
    "Quota",
    "Row",
    "Section",
    "SizeIs",
    "SpecialUse",
    "Status",
    "Stored",
    "TextHas",
    "TextIn",
    "Uids",
    "Want",
    "Why",
]

NO_FLAGS: frozenset[str] = frozenset()


class SpecialUse(StrEnum):
    """What a folder is for (RFC 6154 section 2); the value is the attribute on the wire."""

    ARCHIVE = "\\Archive"
    DRAFTS = "\\Drafts"
    JUNK = "\\Junk"
    SENT = "\\Sent"
    TRASH = "\\Trash"


class Why(Enum):
    """Why a box does not do what it was asked."""

    NO_FOLDER = auto()
    EXISTS = auto()  # there is such a folder
    OVER_QUOTA = auto()
    NO_PERMISSION = auto()  # of this person, in this box
    CANNOT = auto()  # what nobody may do: delete INBOX, use one special use twice
    LIMIT = auto()  # too many folders, keywords


class BoxRefused(GatewayError):
    """The box stays as it was."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.name)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder, or a name that is subscribed to without being one (RFC 3501 section 6.3.9)."""

    name: str  # with "/" between levels; the inbox is "INBOX"
    special_use: SpecialUse | None = None
    subscribed: bool = False
    exists: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    messages: int
    unseen: int  # without \Seen
    deleted: int  # with \Deleted
    size: int  # bytes of all messages
    recent: int  # that no session was told of as recent
    uid_validity: int
    uid_next: int
    modseq: int  # the highest of the box


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A folder as it was at one moment."""

    folder_id: int  # for the life of the folder, whatever it is called
    name: str
    uid_validity: int
    uid_next: int
    modseq: int  # of the box at that moment; every change after it has a higher one
    uids: Sequence[int]  # of all its messages, ascending; an array of integers will do
    first_unseen: int | None  # the lowest UID without \Seen
    recent_from: int  # messages from this UID on are recent in this session alone (RFC 3501 section 2.3.2)
    flags: Sequence[str]  # keywords that this box knows, so that a client can be told of them
    may_write: bool


class Row(NamedTuple):
    """The part of a message that changes. Flags: system flags with their backslash, keywords as first written."""

    uid: int
    modseq: int
    flags: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happened to a folder after a moment."""

    modseq: int  # of the box at the end of what is told
    rows: Sequence[Row]  # new and changed messages that are there, by UID
    vanished: Sequence[int] | None  # UIDs that left since, ascending; None: it is no longer known


class Section(NamedTuple):
    """Where a part of a message lies, as offsets into the message (RFC 3501 section 6.4.5).

    The message itself has the empty path. A message that is no multipart has one part, (1,), which is its text, with
    its header as MIME header. Within message/rfc822 part (2,), its parts are (2, 1) and so on.
    """

    path: tuple[int, ...]
    start: int  # where its own header begins: the MIME header of a part
    body: int  # behind the empty line
    stop: int
    inner: int  # of message/rfc822: where the text of the enclosed message begins, whose header begins at body; else -1


class Want(Flag):
    """Which columns of ``Details`` are asked for. Flags, UID and modseq always come."""

    NOTHING = 0
    DATE = auto()
    SIZE = auto()
    ENVELOPE = auto()
    BODY = auto()  # BODY without extension data
    STRUCTURE = auto()  # BODYSTRUCTURE
    FIELDS = auto()
    HEADER = auto()
    SECTIONS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is kept of some messages beside their bytes, by UID: a column each, as there may be very many.

    A column that was not asked for is empty. The three forms stand as on the wire, in brackets, in 7-bit characters,
    with strings quoted rather than literal.
    """

    uids: Sequence[int] = ()
    modseqs: Sequence[int] = ()
    flags: Sequence[frozenset[str]] = ()
    dates: Sequence[datetime] = ()  # internal dates
    sizes: Sequence[int] = ()
    envelopes: Sequence[bytes] = ()  # RFC 3501 section 7.4.2
    bodies: Sequence[bytes] = ()
    structures: Sequence[bytes] = ()
    fields: Sequence[bytes] = ()  # of the header those in ``receipts.choice.USUAL``, with an empty line
    headers: Sequence[bytes] = ()  # with the empty line
    sections: Sequence[Sequence[Section]] = ()  # of each the message first, then in order

    def __len__(self) -> int:
        return len(self.uids)

    def rows(self) -> Iterator[Row]:
        return map(Row, self.uids, self.modseqs, self.flags)

    def only(self, uids: Container[int]) -> "Details":
        """Those of these messages."""
        kept = [uid in uids for uid in self.uids]
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        return Details(**{name: list(compress(column, kept)) for name, column in columns.items()})

    def with_rows(self, rows: Iterable[Row]) -> "Details":
        """The same messages, of which some have changed."""
        changed = {row.uid: row for row in rows}
        told = [changed.get(row.uid, row) for row in self.rows()]
        return replace(self, modseqs=[row.modseq for row in told], flags=[row.flags for row in told])


class FlagChange(Enum):
    ADD = auto()
    REMOVE = auto()
    REPLACE = auto()


class Stored(NamedTuple):
    """Messages after flags were stored. One of which nothing changed keeps its modseq."""

    messages: Details  # flags and modseqs of those that were there and not refused
    modified: Sequence[int]  # UIDs left alone, as they changed after the moment that was given
    modseq: int  # of the box then; one more than before

    @property
    def rows(self) -> Sequence[Row]:
        return list(self.messages.rows())


class Known(NamedTuple):
    """Messages as somebody knows them: their flags and modseqs when the box had this modseq."""

    modseq: int
    messages: Details


class Copied(NamedTuple):
    uid_validity: int  # of the folder they came into
    pairs: Sequence[tuple[int, int]]  # old UID, new UID; in the order of the old ones


class Quota(NamedTuple):
    used: int  # bytes
    limit: int | None


# A search (RFC 3501 section 6.4.4) as a tree. Texts are compared without regard to case.


@dataclass(frozen=True, slots=True)
class And:
    """All of them; with none: every message."""

    terms: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Or:
    one: "Query"
    other: "Query"


@dataclass(frozen=True, slots=True)
class Not:
    term: "Query"


@dataclass(frozen=True, slots=True)
class Uids:
    """Messages in any of these ranges, both ends included; ascending, apart from each other."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class HasFlag:
    flag: str  # compared without regard to case


class Compared(Enum):
    BEFORE = auto()
    ON = auto()
    SINCE = auto()  # that day or later


@dataclass(frozen=True, slots=True)
class Day:
    """By the internal date, or the Date field; the day is the one of the zone in which it is kept, or written."""

    compared: Compared
    day: date
    sent: bool = False


@dataclass(frozen=True, slots=True)
class SizeIs:
    """Larger than that many bytes, or smaller."""

    larger: bool
    size: int


@dataclass(frozen=True, slots=True)
class Changed:
    """With this modseq or a higher one."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Age:
    """Internal date within the last so many seconds, or before that (RFC 5032)."""

    older: bool
    seconds: int


class TextIn(Enum):
    FROM = auto()
    TO = auto()
    CC = auto()
    BCC = auto()
    SUBJECT = auto()
    BODY = auto()
    TEXT = auto()  # header and body


@dataclass(frozen=True, slots=True)
class TextHas:
    where: TextIn
    text: str  # not empty


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """A field of this name, with this text in it; with an empty text: any."""

    name: str
    text: str


Query = And | Or | Not | Uids | HasFlag | Day | SizeIs | Changed | Age | TextHas | HeaderHas
ALL = And(())


class Found(NamedTuple):
    """Messages that a search found, by UID."""

    uids: Sequence[int]
    modseq: int  # the highest among them, where the query speaks of modseqs; else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A message that a client puts into a folder. It is of the ordinary kind, whatever it says it is."""

    message: Octets
    flags: frozenset[str] = NO_FLAGS
    at: datetime | None = None  # internal date; None: now
