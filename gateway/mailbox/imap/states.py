"""Which command may be said when (RFC 3501 section 3), and which act it is of a box that is shared, as tables."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from gateway.mailbox.imap.commands import Verb
from gateway.points.sharing import Act

__all__ = ["ACTS", "ALLOWED", "State"]


class State(Enum):
    CLEAR = auto()  # nobody signed in, no TLS: nobody can sign in either
    STRANGER = auto()  # nobody signed in, under TLS
    INSIDE = auto()  # signed in
    SELECTED = auto()  # signed in, with a folder open


_ANY: Final = frozenset(State)
_BEFORE: Final = frozenset({State.STRANGER})
_INSIDE: Final = frozenset({State.INSIDE, State.SELECTED})
_SELECTED: Final = frozenset({State.SELECTED})

ALLOWED: Final[Mapping[Verb, frozenset[State]]] = {
    Verb.CAPABILITY: _ANY,
    Verb.NOOP: _ANY,
    Verb.LOGOUT: _ANY,
    Verb.ID: _ANY,  # RFC 2971 section 3.1
    Verb.STARTTLS: frozenset({State.CLEAR}),
    Verb.AUTHENTICATE: _BEFORE,
    Verb.LOGIN: _BEFORE,
    Verb.ENABLE: frozenset({State.INSIDE}),  # RFC 5161 section 3.1
    Verb.SELECT: _INSIDE,
    Verb.EXAMINE: _INSIDE,
    Verb.CREATE: _INSIDE,
    Verb.DELETE: _INSIDE,
    Verb.RENAME: _INSIDE,
    Verb.SUBSCRIBE: _INSIDE,
    Verb.UNSUBSCRIBE: _INSIDE,
    Verb.LIST: _INSIDE,
    Verb.LSUB: _INSIDE,
    Verb.NAMESPACE: _INSIDE,
    Verb.STATUS: _INSIDE,
    Verb.APPEND: _INSIDE,
    Verb.IDLE: _INSIDE,  # RFC 2177 section 3
    Verb.GETQUOTA: _INSIDE,
    Verb.GETQUOTAROOT: _INSIDE,
    Verb.COMPRESS: _INSIDE,
    Verb.CHECK: _SELECTED,
    Verb.CLOSE: _SELECTED,
    Verb.UNSELECT: _SELECTED,
    Verb.EXPUNGE: _SELECTED,
    Verb.SEARCH: _SELECTED,
    Verb.FETCH: _SELECTED,
    Verb.STORE: _SELECTED,
    Verb.COPY: _SELECTED,
    Verb.MOVE: _SELECTED,
}

ACTS: Final[Mapping[Verb, Act]] = {
    Verb.APPEND: Act.ADD,
    Verb.STORE: Act.FLAG,
    Verb.COPY: Act.COPY,
    Verb.MOVE: Act.MOVE,
    Verb.EXPUNGE: Act.REMOVE,
    Verb.CREATE: Act.FOLDERS,
    Verb.DELETE: Act.FOLDERS,
    Verb.RENAME: Act.FOLDERS,
}
"""What these commands do, for which not everybody may have the right; the other commands only look (D35)."""
