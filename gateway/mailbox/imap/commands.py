"""The commands of IMAP as records: what a client asked, without a word of how it was written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from gateway.mailbox.imap.items import Body, Item
from gateway.mailbox.imap.numbers import NumberSet
from gateway.points.boxes import FlagChange, Query, SpecialUse

__all__ = [
    "BAD_NAME",
    "Append",
    "Asked",
    "Authenticate",
    "Command",
    "Compress",
    "Copy",
    "Create",
    "Delete",
    "Enable",
    "Expunge",
    "Fetch",
    "Id",
    "List",
    "Login",
    "Lsub",
    "QuotaOf",
    "Rename",
    "Resync",
    "Search",
    "Select",
    "StatusItem",
    "StatusOf",
    "Store",
    "Subscribe",
    "Verb",
]


class Verb(Enum):
    APPEND = b"APPEND"
    AUTHENTICATE = b"AUTHENTICATE"
    CAPABILITY = b"CAPABILITY"
    CHECK = b"CHECK"
    CLOSE = b"CLOSE"
    COMPRESS = b"COMPRESS"
    COPY = b"COPY"
    CREATE = b"CREATE"
    DELETE = b"DELETE"
    ENABLE = b"ENABLE"
    EXAMINE = b"EXAMINE"
    EXPUNGE = b"EXPUNGE"
    FETCH = b"FETCH"
    GETQUOTA = b"GETQUOTA"
    GETQUOTAROOT = b"GETQUOTAROOT"
    ID = b"ID"
    IDLE = b"IDLE"
    LIST = b"LIST"
    LOGIN = b"LOGIN"
    LOGOUT = b"LOGOUT"
    LSUB = b"LSUB"
    MOVE = b"MOVE"
    NAMESPACE = b"NAMESPACE"
    NOOP = b"NOOP"
    RENAME = b"RENAME"
    SEARCH = b"SEARCH"
    SELECT = b"SELECT"
    STARTTLS = b"STARTTLS"
    STATUS = b"STATUS"
    STORE = b"STORE"
    SUBSCRIBE = b"SUBSCRIBE"
    UNSELECT = b"UNSELECT"
    UNSUBSCRIBE = b"UNSUBSCRIBE"


class StatusItem(Enum):
    DELETED = b"DELETED"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    SIZE = b"SIZE"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    mechanism: bytes  # in upper case
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resync:
    """What a client of QRESYNC knew when it was last here (RFC 7162 section 3.2.5)."""

    uid_validity: int
    modseq: int
    known: NumberSet | None


@dataclass(frozen=True, slots=True)
class Select:
    name: str
    read_only: bool
    condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    name: str
    use: SpecialUse | None


@dataclass(frozen=True, slots=True)
class Delete:
    name: str


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    name: str
    on: bool


@dataclass(frozen=True, slots=True)
class List:
    """LIST, plain or extended (RFC 5258, RFC 5819, RFC 6154)."""

    patterns: Sequence[str]  # with the reference before each; none: the client asks for the separator
    subscribed: bool = False
    special_use: bool = False
    recursive: bool = False  # also folders above what matches
    status: Sequence[StatusItem] = ()
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub:
    pattern: str


@dataclass(frozen=True, slots=True)
class StatusOf:
    name: str
    items: Sequence[StatusItem]


@dataclass(frozen=True, slots=True)
class Append:
    """All of APPEND but its message."""

    name: str | None  # None: bytes that are no name
    flags: frozenset[str]
    at: datetime | None
    wrapped: bool = False  # as UTF8 (~{...}), RFC 6855 section 4


@dataclass(frozen=True, slots=True)
class Fetch:
    numbers: NumberSet
    uid: bool
    items: Sequence[Item | Body]
    changed_since: int | None = None
    vanished: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    numbers: NumberSet
    uid: bool
    change: FlagChange
    flags: frozenset[str]
    silent: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    numbers: NumberSet
    uid: bool
    name: str
    move: bool


@dataclass(frozen=True, slots=True)
class Search:
    """``returns``: the options of ESEARCH (RFC 4731, RFC 5182); None: the answer is a plain SEARCH."""

    uid: bool
    query: Query
    returns: frozenset[bytes] | None
    by_modseq: bool  # a key spoke of modseqs


@dataclass(frozen=True, slots=True)
class Expunge:
    """``numbers``: UID EXPUNGE (RFC 4315 section 2.1)."""

    numbers: NumberSet | None = None


@dataclass(frozen=True, slots=True)
class Enable:
    words: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Id:
    fields: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class QuotaOf:
    """``root``: GETQUOTA of that root; else GETQUOTAROOT of a folder."""

    name: str
    root: bool


@dataclass(frozen=True, slots=True)
class Compress:
    mechanism: bytes


Asked = (
    Login
    | Authenticate
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Lsub
    | StatusOf
    | Fetch
    | Store
    | Copy
    | Search
    | Expunge
    | Enable
    | Id
    | QuotaOf
    | Compress
    | None
)
"""None: the verb says it all."""


@dataclass(frozen=True, slots=True)
class Command:
    tag: bytes
    verb: Verb
    asked: Asked = None
    uid: bool = False  # said behind UID


BAD_NAME: Final = "\0"
"""In place of a name whose bytes are none: no folder is called so."""
