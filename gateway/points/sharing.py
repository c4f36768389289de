"""Who may do what in a box that several people share (D35): grades of rights, and the one that each act needs."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

__all__ = ["MAX_NAME", "MAX_PEOPLE", "NEEDED", "Act", "Right", "allows", "is_person_name", "may"]

MAX_PEOPLE: Final = 100  # of one box
MAX_NAME: Final = 100  # characters


class Right(StrEnum):
    """What a person may do in a box. Each includes those before it."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    MANAGE = "manage"


class Act(StrEnum):
    """What a box's journal tells of; the value is how it stands there."""

    SIGN_IN = "signed in"
    READ = "read"
    FLAG = "flagged"
    COPY = "copied"
    MOVE = "moved"
    ADD = "added"
    REMOVE = "deleted"
    SEND = "sent"
    FOLDERS = "changed folders"
    RULES = "changed rules"
    DEVICES = "changed passwords"
    SHARES = "changed people"


NEEDED: Final[Mapping[Act, Right]] = {
    Act.SIGN_IN: Right.READ,
    Act.READ: Right.READ,
    Act.FLAG: Right.WRITE,
    Act.COPY: Right.WRITE,
    Act.MOVE: Right.WRITE,
    Act.ADD: Right.WRITE,
    Act.REMOVE: Right.WRITE,
    Act.SEND: Right.SEND,
    Act.FOLDERS: Right.MANAGE,
    Act.RULES: Right.MANAGE,
    Act.DEVICES: Right.MANAGE,
    Act.SHARES: Right.MANAGE,
}
_GRADES: Final = tuple(Right)
_TAKEN: Final = frozenset({"holder", "operator"})
"""What the journal calls those who are no people of a box."""


def allows(right: Right, needed: Right) -> bool:
    """Whether ``right`` includes ``needed``."""
    return _GRADES.index(right) >= _GRADES.index(needed)


def may(right: Right, act: Act) -> bool:
    """Whether somebody with this right may do this."""
    return allows(right, NEEDED[act])


def is_person_name(name: str) -> bool:
    """Whether a person can be called so: printable, without blanks at the ends, not too long, not as others are."""
    fits = 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()
    return fits and name.casefold() not in _TAKEN
