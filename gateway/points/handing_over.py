"""Handing over to a server that keeps boxes of ours: what a setback means, and where a message goes there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Final

from gateway.points.box import RECEIPTS
from gateway.points.marks import NAMES, RESERVED
from gateway.points.relay import EXPIRED

__all__ = ["Places", "Setback", "flags_of", "folder_there", "setback_of", "status_of_failure"]

REFUSED: Final = "5.2.0"  # RFC 3463: trouble with the mailbox that has no number of its own


class Setback(Enum):
    """Why a message is not there yet."""

    UNREACHED = auto()  # nobody to hand it to: no connection, no sign-in
    REFUSED = auto()  # the server does not want it
    FULL = auto()  # the box has no room
    TOO_BIG = auto()  # the message is larger than the server takes
    CUT = auto()  # no answer came to what was handed over
    OURS = auto()  # it is there, but we cannot say so now: no key, no time, no database


AT_ONCE: Final[Mapping[Setback, str]] = {Setback.FULL: "5.2.2", Setback.TOO_BIG: "5.3.4"}
"""What waiting does not change: as for a box here, the sender is told at once (D13)."""


def status_of_failure(setback: Setback, age: timedelta, *, patience: timedelta, doubt: bool) -> str | None:
    """With which status an envelope is given up (RFC 3463); None: it is tried again.

    While the server may have it, nobody says that it was not delivered: a receipt is true or is not issued.

    Args:
        age: since the envelope came.
        patience: how long a server may be away or refuse before that is the end.
        doubt: whether the server may have it in spite of the setback.
    """
    if doubt or setback in (Setback.CUT, Setback.OURS):
        return None
    if setback in AT_ONCE:
        return AT_ONCE[setback]
    if age < patience:
        return None
    return EXPIRED if setback is Setback.UNREACHED else REFUSED


def setback_of(words: str) -> Setback:
    """What a server means that says NO, by its response code (RFC 5530, RFC 7889)."""
    code = words.upper()
    return next((setback for name, setback in _CODES.items() if f"[{name}" in code), Setback.REFUSED)


_CODES: Final[Mapping[str, Setback]] = {"OVERQUOTA": Setback.FULL, "TOOBIG": Setback.TOO_BIG}


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of the other server."""

    inbox: str
    receipts: str


def folder_there(places: Places, kind: str, folder: str | None) -> str:
    """Where a message goes: a folder that a rule names keeps its name.

    Args:
        folder: as the flow that filed it named it; None: the inbox, or that of receipts.
    """
    if folder is None:
        return places.receipts if kind in RECEIPTS else places.inbox
    return {"INBOX": places.inbox, "Receipts": places.receipts}.get(folder, folder)


def flags_of(marks: int) -> tuple[str, ...]:
    """The marks that another server is told: not those by which we say what became of a message (it stays as it is)."""
    told = marks & ~int(RESERVED)
    return tuple(name for mark, name in NAMES.items() if told & mark)
