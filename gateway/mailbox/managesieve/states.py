"""Which ManageSieve command may be said when (RFC 5804 section 2), as a table."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from gateway.mailbox.managesieve.grammar import Verb

__all__ = ["ALLOWED", "State"]


class State(Enum):
    CLEAR = auto()  # nobody signed in, no TLS: nobody can sign in either
    STRANGER = auto()  # nobody signed in, under TLS
    INSIDE = auto()  # signed in


_ANY: Final = frozenset(State)
_INSIDE: Final = frozenset({State.INSIDE})

ALLOWED: Final[Mapping[Verb, frozenset[State]]] = {
    Verb.CAPABILITY: _ANY,
    Verb.NOOP: _ANY,
    Verb.LOGOUT: _ANY,
    Verb.STARTTLS: frozenset({State.CLEAR}),
    Verb.AUTHENTICATE: frozenset({State.STRANGER}),
    Verb.HAVESPACE: _INSIDE,
    Verb.PUTSCRIPT: _INSIDE,
    Verb.CHECKSCRIPT: _INSIDE,
    Verb.LISTSCRIPTS: _INSIDE,
    Verb.SETACTIVE: _INSIDE,
    Verb.GETSCRIPT: _INSIDE,
    Verb.DELETESCRIPT: _INSIDE,
    Verb.RENAMESCRIPT: _INSIDE,
}
