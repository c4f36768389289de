"""A Sieve script that is understood: conditions and commands as values, every text of them checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from gateway.points.marks import Mark

__all__ = [
    "EXTENSIONS",
    "Address",
    "AddressPart",
    "AllOf",
    "Always",
    "AnyOf",
    "Certified",
    "Comparator",
    "Date",
    "Discard",
    "Envelope",
    "Exists",
    "Facet",
    "FileInto",
    "Flags",
    "FlagsAct",
    "HasFlag",
    "Header",
    "If",
    "Keep",
    "MailboxExists",
    "Match",
    "MatchType",
    "Not",
    "Notify",
    "Redirect",
    "Relation",
    "Script",
    "Size",
    "Step",
    "Stop",
    "Test",
    "Words",
]

CERTIFIED: Final = "vnd.ceralacca.certified"
EXTENSIONS: Final = (
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "copy",  # RFC 3894
    "date",  # RFC 5260
    "enotify",  # RFC 5435
    "envelope",  # RFC 5228 5.4
    "fileinto",  # RFC 5228 4.1
    "imap4flags",  # RFC 5232
    "mailbox",  # RFC 5490
    "relational",  # RFC 5231
    "subaddress",  # RFC 5233
    CERTIFIED,
)
"""What a script may require. Base commands and tests need no word."""


class Comparator(StrEnum):
    OCTET = "i;octet"
    CASEMAP = "i;ascii-casemap"  # RFC 4790 9.2; the one that is meant when none is named
    NUMERIC = "i;ascii-numeric"


class MatchType(Enum):
    IS = auto()
    CONTAINS = auto()
    MATCHES = auto()
    VALUE = auto()  # RFC 5231
    COUNT = auto()


class Relation(StrEnum):
    GREATER = "gt"
    GREATER_OR_EQUAL = "ge"
    LESS = "lt"
    LESS_OR_EQUAL = "le"
    EQUAL = "eq"
    UNEQUAL = "ne"


class AddressPart(Enum):
    ALL = auto()
    LOCAL = auto()
    DOMAIN = auto()
    USER = auto()  # RFC 5233: the local part before the first "+"
    DETAIL = auto()  # and what stands behind it


class Facet(StrEnum):
    """What the test ``certified`` looks at: what rules know of a message."""

    KIND = "kind"
    SIGNER = "signer"
    SENDER = "sender"
    RECIPIENT = "recipient"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Match:
    """How found texts are compared with those of the script; one pair that matches is enough."""

    type: MatchType
    comparator: Comparator
    keys: tuple[str, ...]
    relation: Relation | None = None


# Tests.


@dataclass(frozen=True, slots=True)
class Always:
    """``true`` and ``false``."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Not:
    test: "Test"


@dataclass(frozen=True, slots=True)
class AllOf:
    tests: tuple["Test", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    tests: tuple["Test", ...]


@dataclass(frozen=True, slots=True)
class Size:
    over: bool
    limit: int  # bytes


@dataclass(frozen=True, slots=True)
class Exists:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Header:
    names: tuple[str, ...]
    match: Match


@dataclass(frozen=True, slots=True)
class Address:
    names: tuple[str, ...]
    part: AddressPart
    match: Match


@dataclass(frozen=True, slots=True)
class Envelope:
    names: tuple[str, ...]  # of "from" and "to"
    part: AddressPart
    match: Match


@dataclass(frozen=True, slots=True)
class Date:
    """RFC 5260 section 4 and 5."""

    header: str | None  # None: the time of arrival (``currentdate``)
    zone: str | None  # "+0200"; None: legal time
    original: bool  # in the zone that the header names
    part: str
    match: Match


@dataclass(frozen=True, slots=True)
class HasFlag:
    match: Match


@dataclass(frozen=True, slots=True)
class MailboxExists:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Certified:
    facet: Facet
    match: Match


@dataclass(frozen=True, slots=True)
class Words:
    """A test about texts that are known beforehand: ``notify_method_capability``."""

    found: tuple[str, ...]
    match: Match


Test = (
    Always | Not | AllOf | AnyOf | Size | Exists | Header | Address | Envelope | Date | HasFlag | MailboxExists
    | Certified | Words
)  # fmt: skip


# Commands.


class FlagsAct(Enum):
    SET = auto()
    ADD = auto()
    REMOVE = auto()


@dataclass(frozen=True, slots=True)
class If:
    """``if`` with its ``elsif`` and ``else``: the first test that holds."""

    branches: tuple[tuple[Test, tuple["Step", ...]], ...]


@dataclass(frozen=True, slots=True)
class Keep:
    marks: Mark | None  # None: those that the script has set so far


@dataclass(frozen=True, slots=True)
class FileInto:
    folder: str
    copy: bool
    create: bool
    marks: Mark | None


@dataclass(frozen=True, slots=True)
class Redirect:
    """A forward (D34): ``:copy`` or not, the message stays."""

    address: str


@dataclass(frozen=True, slots=True)
class Notify:
    address: str


@dataclass(frozen=True, slots=True)
class Flags:
    act: FlagsAct
    marks: Mark


@dataclass(frozen=True, slots=True)
class Discard:
    pass


@dataclass(frozen=True, slots=True)
class Stop:
    pass


Step = If | Keep | FileInto | Redirect | Notify | Flags | Discard | Stop


@dataclass(frozen=True, slots=True)
class Script:
    steps: tuple[Step, ...]

    def folders(self) -> tuple[tuple[str, bool], ...]:
        """The folders it names, each with whether it is to be made."""
        found: dict[str, bool] = {}
        for step in _each(self.steps):
            if isinstance(step, FileInto):
                found[step.folder] = found.get(step.folder, False) or step.create
        return tuple(found.items())


def _each(steps: Sequence[Step]) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        found.append(step)
        if isinstance(step, If):
            for _, inner in step.branches:
                found += _each(inner)
    return found
