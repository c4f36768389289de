"""POP3 command lines to commands (RFC 1939 section 3, RFC 2449 section 4, RFC 5034 section 4, RFC 6856)."""

import base64
import binascii
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

__all__ = ["Command", "Malformed", "Verb", "command", "plain_credentials"]

_DIGITS: Final = 10  # a longer number names no message of any mailbox


class Verb(Enum):
    AUTH = b"AUTH"
    CAPA = b"CAPA"
    DELE = b"DELE"
    LIST = b"LIST"
    NOOP = b"NOOP"
    PASS = b"PASS"
    QUIT = b"QUIT"
    RETR = b"RETR"
    RSET = b"RSET"
    STAT = b"STAT"
    STLS = b"STLS"
    TOP = b"TOP"
    UIDL = b"UIDL"
    USER = b"USER"
    UTF8 = b"UTF8"


class Malformed(Enum):
    """Why a line is no command of ours."""

    UNKNOWN = "command not known"
    ARGUMENTS = "arguments not understood"
    OCTETS = "control characters in a command"


@dataclass(frozen=True, slots=True)
class Command:
    verb: Verb
    number: int | None = None
    """The message, for LIST, UIDL, RETR, DELE and TOP."""
    lines: int = 0
    """How many lines of the body, for TOP."""
    text: bytes = field(default=b"", repr=False)
    """User name, password or mechanism, for USER, PASS and AUTH."""
    initial: bytes | None = field(default=None, repr=False)
    """The initial response of AUTH, in base64; None when there is none."""


_NUMBERS: Final = {  # verb: fewest and most numbers
    Verb.LIST: (0, 1),
    Verb.UIDL: (0, 1),
    Verb.RETR: (1, 1),
    Verb.DELE: (1, 1),
    Verb.TOP: (2, 2),
}


def command(line: bytes) -> Command | Malformed:
    """The command in a line without its line end. Keywords count without case."""
    keyword, _, rest = line.partition(b" ")
    try:
        verb = Verb(keyword.upper())
    except ValueError:
        return Malformed.UNKNOWN
    if any(octet < 0x20 or octet == 0x7F for octet in line):
        return Malformed.OCTETS
    if verb is Verb.PASS:  # blanks belong to the password (RFC 1939 section 7)
        return Command(verb, text=rest)
    words = rest.split()
    if verb is Verb.USER:
        return Command(verb, text=words[0]) if len(words) == 1 else Malformed.ARGUMENTS
    if verb is Verb.AUTH:
        return _auth(words)
    return _numbered(verb, words)


def plain_credentials(response: bytes) -> tuple[str, str] | None:
    """User name and password of a SASL PLAIN response in base64 (RFC 4616), None if it is none.

    An authorization identity other than the user's own name asks to act for somebody else; nobody may.
    """
    try:
        identity, user, password = base64.b64decode(response, validate=True).decode("utf-8").split("\0")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (user, password) if user and identity in ("", user) else None


def _auth(words: list[bytes]) -> Command | Malformed:
    if len(words) > 2:
        return Malformed.ARGUMENTS
    mechanism = words[0].upper() if words else b""
    initial = words[1] if len(words) == 2 else None
    return Command(Verb.AUTH, text=mechanism, initial=b"" if initial == b"=" else initial)


def _numbered(verb: Verb, words: list[bytes]) -> Command | Malformed:
    fewest, most = _NUMBERS.get(verb, (0, 0))
    if not fewest <= len(words) <= most or not all(word.isdigit() and len(word) <= _DIGITS for word in words):
        return Malformed.ARGUMENTS
    numbers = [int(word) for word in words]
    return Command(verb, number=numbers[0] if numbers else None, lines=numbers[1] if len(numbers) == 2 else 0)
