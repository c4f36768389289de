"""ManageSieve commands, from bytes (RFC 5804 section 4)."""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

__all__ = ["LITERAL", "Command", "Malformed", "Verb", "command", "string"]


class Verb(Enum):
    AUTHENTICATE = b"AUTHENTICATE"
    CAPABILITY = b"CAPABILITY"
    CHECKSCRIPT = b"CHECKSCRIPT"
    DELETESCRIPT = b"DELETESCRIPT"
    GETSCRIPT = b"GETSCRIPT"
    HAVESPACE = b"HAVESPACE"
    LISTSCRIPTS = b"LISTSCRIPTS"
    LOGOUT = b"LOGOUT"
    NOOP = b"NOOP"
    PUTSCRIPT = b"PUTSCRIPT"
    RENAMESCRIPT = b"RENAMESCRIPT"
    SETACTIVE = b"SETACTIVE"
    STARTTLS = b"STARTTLS"


class Malformed(Enum):
    """Why this is no command of ours."""

    UNKNOWN = "command not known"
    ARGUMENTS = "arguments not understood"


class _Kind(Enum):
    NAME = auto()  # UTF-8
    OCTETS = auto()
    NUMBER = auto()


@dataclass(frozen=True, slots=True)
class Command:
    """A command; the other fields are empty where it has no such argument."""

    verb: Verb
    names: tuple[str, ...] = ()
    """Of scripts, in their order; the tag of NOOP."""
    octets: tuple[bytes, ...] = field(default=(), repr=False)
    """The script; mechanism and initial response of AUTHENTICATE."""
    number: int = 0


LITERAL: Final = re.compile(rb"\{([0-9]{1,20})(\+?)\}\Z")
"""The end of a line behind which a literal comes. Clients say "+", as they may not wait (RFC 5804 section 4)."""
_WORD: Final = re.compile(
    rb'(?P<atom>[A-Za-z]+|[0-9]+)|"(?P<quoted>(?:[^"\\\r\n\0]|\\["\\])*+)"|\{(?P<size>[0-9]{1,20})\+?\}\r\n'
)
_ESCAPED: Final = re.compile(rb"\\(.)")
_MOST_WORDS: Final = 4
_LONGEST_QUOTED: Final = 1_024  # octets (RFC 5804 section 4)
_MOST: Final = 2**32 - 1

_ARGUMENTS: Final[dict[Verb, tuple[tuple[_Kind, ...], int]]] = {  # kinds, and how many of them must be there
    Verb.AUTHENTICATE: ((_Kind.OCTETS, _Kind.OCTETS), 1),
    Verb.CAPABILITY: ((), 0),
    Verb.CHECKSCRIPT: ((_Kind.OCTETS,), 1),
    Verb.DELETESCRIPT: ((_Kind.NAME,), 1),
    Verb.GETSCRIPT: ((_Kind.NAME,), 1),
    Verb.HAVESPACE: ((_Kind.NAME, _Kind.NUMBER), 2),
    Verb.LISTSCRIPTS: ((), 0),
    Verb.LOGOUT: ((), 0),
    Verb.NOOP: ((_Kind.NAME,), 0),
    Verb.PUTSCRIPT: ((_Kind.NAME, _Kind.OCTETS), 2),
    Verb.RENAMESCRIPT: ((_Kind.NAME, _Kind.NAME), 2),
    Verb.SETACTIVE: ((_Kind.NAME,), 1),
    Verb.STARTTLS: ((), 0),
}


def command(data: bytes) -> Command | Malformed:
    """The command in these bytes, literals included, without the last line end. Keywords count without case."""
    words = _words(data)
    if not words or not isinstance(words[0], _Atom):
        return Malformed.UNKNOWN
    try:
        verb = Verb(words[0].upper())
    except ValueError:
        return Malformed.UNKNOWN
    kinds, fewest = _ARGUMENTS[verb]
    given = words[1:]
    if not fewest <= len(given) <= len(kinds):
        return Malformed.ARGUMENTS
    names, octets, number = list[str](), list[bytes](), 0
    for kind, word in zip(kinds, given, strict=False):
        if kind is _Kind.NUMBER:
            if not isinstance(word, _Atom) or not word.isdigit() or len(word) > 10 or int(word) > _MOST:
                return Malformed.ARGUMENTS
            number = int(word)
        elif isinstance(word, _Atom):
            return Malformed.ARGUMENTS
        elif kind is _Kind.NAME:
            try:
                names.append(word.decode("utf-8"))
            except UnicodeDecodeError:
                return Malformed.ARGUMENTS
        else:
            octets.append(word)
    return Command(verb, tuple(names), tuple(octets), number)


def string(data: bytes) -> bytes | None:
    """One string alone, as a client answers a challenge; None if it is none."""
    words = _words(data)
    return words[0] if words and len(words) == 1 and not isinstance(words[0], _Atom) else None


class _Atom(bytes):
    """A word that is no string."""


def _words(data: bytes) -> list[bytes] | None:
    """The words of a command, divided by one space each; None if they cannot be read."""
    words: list[bytes] = []
    position = 0
    while True:
        found = _WORD.match(data, position)
        if found is None or len(words) >= _MOST_WORDS:
            return None
        position = found.end()
        if found["size"] is not None:
            size = int(found["size"])
            words.append(data[position : position + size])
            position += size
        elif found["quoted"] is not None:
            if len(found["quoted"]) > _LONGEST_QUOTED:
                return None
            words.append(_ESCAPED.sub(rb"\1", found["quoted"]))
        else:
            words.append(_Atom(found["atom"]))
        if position >= len(data):
            return words if position == len(data) else None
        if data[position : position + 1] != b" ":
            return None
        position += 1
