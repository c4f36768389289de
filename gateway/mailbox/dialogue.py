"""The POP3 dialogue without a socket: commands in, what to do out (RFC 1939, 2449, 2595, 5034, 6856).

The session hands in one line at a time and does what the dialogue answers; what takes time (checking a password,
reading a message) comes back as an act, and its outcome is told by ``signed_in`` or ``not_signed_in``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.mailbox import replies
from gateway.mailbox.grammar import Command, Malformed, Verb, command, plain_credentials
from gateway.mailbox.maildrop import Entry, Maildrop

__all__ = ["Act", "Check", "Dialogue", "Leave", "Listing", "Say", "Send", "Upgrade"]


@dataclass(frozen=True, slots=True)
class Say:
    """A whole reply. ``bad``: it counts against the client's patience."""

    reply: bytes
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A multi-line reply: its first line, its further lines; the closing dot is the session's."""

    first: bytes
    lines: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Say that TLS begins, and begin it."""


@dataclass(frozen=True, slots=True)
class Check:
    """Find out who this is."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message, or its header and ``lines`` lines of its body."""

    number: int
    entry: Entry
    lines: int | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Delete these messages for good and end the session."""

    marked: tuple[int, ...] = ()


Act = Say | Listing | Upgrade | Check | Send | Leave

_BEFORE: Final = frozenset({Verb.AUTH, Verb.PASS, Verb.STLS, Verb.USER, Verb.UTF8})


class Dialogue:
    """Where one client stands: before sign-in, or in its maildrop."""

    def __init__(self, *, tls: bool) -> None:
        self._tls = tls
        self._user: str | None = None  # USER was the last command
        self._in_auth = False  # the next line is the response to "+ "
        self._drop: Maildrop | None = None

    @property
    def in_auth(self) -> bool:
        """Whether the next line is a response, which may be longer than a command (RFC 5034 section 4)."""
        return self._in_auth

    @property
    def maildrop(self) -> Maildrop | None:
        """The open maildrop; None before sign-in."""
        return self._drop

    def take(self, line: bytes) -> Act:
        """What to do about a line, given without its line end."""
        if self._in_auth:
            self._in_auth = False
            return Say(replies.CANCELLED) if line == b"*" else self._plain(line)
        asked = command(line)
        if isinstance(asked, Malformed):
            return Say(replies.MALFORMED[asked], bad=True)
        user, self._user = self._user, None
        if asked.verb is Verb.CAPA:
            return Say(replies.capabilities(tls=self._tls))
        if asked.verb is Verb.QUIT:
            return Leave(self._drop.marked() if self._drop is not None else ())
        if self._drop is not None:
            return Say(replies.WRONG_STATE, bad=True) if asked.verb in _BEFORE else self._inside(asked, self._drop)
        return self._before(asked, user) if asked.verb in _BEFORE else Say(replies.WRONG_STATE, bad=True)

    def upgraded(self) -> None:
        """TLS is on: nothing said before counts (RFC 2595 section 4)."""
        self._tls = True
        self._user = None

    def signed_in(self, drop: Maildrop) -> bytes:
        self._drop = drop
        return _totals("maildrop has", drop)

    def _before(self, asked: Command, user: str | None) -> Act:
        if asked.verb is Verb.STLS:
            return Say(replies.TLS_ALREADY, bad=True) if self._tls else Upgrade()
        if asked.verb is Verb.UTF8:
            return Say(replies.UTF8)
        if not self._tls:
            return Say(replies.CLEAR, bad=True)
        if asked.verb is Verb.AUTH:
            return self._auth(asked)
        text = _decoded(asked.text)
        if asked.verb is Verb.USER:
            self._user = text
            return Say(replies.USER)
        return Say(replies.WRONG_STATE, bad=True) if user is None else Check(user, text)

    def _auth(self, asked: Command) -> Act:
        if asked.text != b"PLAIN":
            return Say(replies.BAD_AUTH, bad=True)
        if asked.initial is not None:
            return self._plain(asked.initial)
        self._in_auth = True
        return Say(replies.ASK)

    def _plain(self, response: bytes) -> Act:
        credentials = plain_credentials(response)
        return Say(replies.MALFORMED[Malformed.ARGUMENTS], bad=True) if credentials is None else Check(*credentials)

    def _inside(self, asked: Command, drop: Maildrop) -> Act:
        if asked.verb is Verb.NOOP:
            return Say(replies.OK)
        if asked.verb is Verb.STAT:
            return Say(b"+OK %d %d\r\n" % drop.totals())
        if asked.verb is Verb.RSET:
            drop.unmark_all()
            return Say(_totals("maildrop has", drop))
        if asked.number is None:
            return Listing(_totals("", drop), drop.sizes() if asked.verb is Verb.LIST else drop.tokens())
        entry = drop.entry(asked.number)
        return Say(replies.NO_MESSAGE) if entry is None else self._about(asked, asked.number, entry, drop)

    def _about(self, asked: Command, number: int, entry: Entry, drop: Maildrop) -> Act:
        if asked.verb is Verb.LIST:
            return Say(b"+OK %d %d\r\n" % (number, entry.size))
        if asked.verb is Verb.UIDL:
            return Say(b"+OK %d %s\r\n" % (number, entry.token.encode("ascii")))
        if asked.verb is Verb.DELE:
            if not drop.may_delete:
                return Say(replies.NO_RIGHT)
            drop.mark(number)
            return Say(replies.OK)
        return Send(number, entry, asked.lines if asked.verb is Verb.TOP else None)


def _totals(text: str, drop: Maildrop) -> bytes:
    messages, size = drop.totals()
    return replies.ok(f"{text} {messages} messages ({size} octets)".strip())


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")  # what is no UTF-8 is a wrong password, not an error
