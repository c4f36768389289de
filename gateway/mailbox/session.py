"""One POP3 client: lines to the dialogue, acts to the flows, bytes to the client (RFC 1939)."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.flows.outcomes import Holder, Peer, SignIn, SignInFailure
from gateway.flows.sessions import LiveSessions
from gateway.mailbox import replies
from gateway.mailbox.connection import Connection
from gateway.mailbox.dialogue import Check, Dialogue, Leave, Listing, Say, Send, Upgrade
from gateway.mailbox.limits import MailboxLimits, Ticket
from gateway.mailbox.maildrop import Entry, Maildrop
from gateway.mailbox.stuffing import stuffed, top
from gateway.points.sharing import Act
from receipts.errors import GatewayError
from receipts.octets import InMemory, Octets

__all__ = ["Maildrops", "Opened", "Session", "Shared"]

log = logging.getLogger(__name__)

_AHEAD_BYTES: Final = 256 * 1024  # read ahead for a client that takes one message after the other
_AHEAD_MESSAGES: Final = 50
_TURN: Final = 100  # commands of one client before the others get their turn


class Opened(Protocol):
    """The mailbox of one holder. Methods raise TemporaryError when storage is away."""

    @property
    def entries(self) -> Sequence[Entry]:
        """Its messages in order of arrival, as they were when it was opened."""
        ...

    async def read(self, positions: Sequence[int], /) -> Sequence[Octets | None]:
        """The bytes of the entries at these positions, from 0; None for one that is gone."""
        ...

    def taken(self, position: int, /) -> None:
        """Note that the client is sent this message, for the journal of a box that is shared."""
        ...

    async def delete(self, ids: Sequence[int], /) -> object:
        """Remove these messages, in one transaction."""
        ...


class Maildrops(Protocol):
    """Opens mailboxes. Raises TemporaryError when storage is away."""

    async def open(self, holder: Holder, /) -> Opened: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all sessions of a process have in common."""

    sign_in: SignIn
    maildrops: Maildrops
    tls: ssl.SSLContext
    limits: MailboxLimits
    live: LiveSessions | None
    open_mailboxes: set[int] = field(default_factory=set)


class Session:
    """One client: does what the dialogue answers."""

    def __init__(self, shared: Shared, connection: Connection, ticket: Ticket, *, tls: bool) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._connection = connection
        self._ticket = ticket
        self._tls = tls
        self._dialogue = Dialogue(tls=tls)
        self._holder: Holder | None = None
        self._opened: Opened | None = None
        self._leave_live: Callable[[], None] | None = None
        self._bad = 0
        self._failures = 0
        self._midway = False  # part of a message is out: no further word may follow
        self._last = 0  # number of the message sent last
        self._ahead: dict[int, Octets | None] = {}  # number -> message, read before it was asked for
        self._sent = 0
        self._began = time.monotonic()
        self.farewell = replies.SHUTDOWN

    async def run(self) -> None:
        """Answer line after line until the client leaves."""
        connection, limits = self._connection, self._limits
        connection.write(replies.GREETING)
        turn = 0
        while True:
            if not connection.has_line:
                await connection.flush(limits.bytes_per_second)
            elif (turn := turn + 1) % _TURN == 0:
                await asyncio.sleep(0)
            most = limits.response_bytes if self._dialogue.in_auth else limits.line_bytes
            line = await connection.line(most, limits.idle_seconds)
            if await self._do(line):
                return

    def end(self, farewell: bytes) -> None:
        """End the session before its next command."""
        self.farewell = farewell
        self._connection.interrupt()

    def part(self, word: bytes) -> None:
        """Say a last word, unless it would land in the middle of a message."""
        if self._midway:
            self._connection.abort()
        else:
            self._connection.write(word)
            self._connection.close()

    async def over(self) -> None:
        """Let others have the mailbox."""
        if self._holder is None:
            return
        if self._leave_live is not None:
            self._leave_live()
        self._shared.open_mailboxes.discard(self._holder.mailbox_id)
        log.info(
            "pop3 session",
            extra={
                "account": self._holder.account_id,
                "peer": self._connection.address,
                "sent": self._sent,
                "seconds": round(time.monotonic() - self._began, 3),
            },
        )

    async def _do(self, line: bytes) -> bool:
        """Do what a line asks; whether the session is over."""
        match self._dialogue.take(line):
            case Say(reply, bad):
                return self._say(reply, bad=bad)
            case Listing(first, lines):
                await self._list(first, lines)
            case Upgrade():
                await self._upgrade()
            case Check(user, password):
                return await self._check(user, password)
            case Send(number, entry, lines):
                await self._send(number, entry, lines)
            case Leave(marked):
                await self._leave(marked)
                return True
        return False

    def _say(self, reply: bytes, *, bad: bool) -> bool:
        self._connection.write(reply)
        self._bad += bad
        if self._bad < self._limits.max_bad_commands:
            return False
        self._connection.write(replies.TOO_MANY_BAD)
        return True

    async def _list(self, first: bytes, lines: Iterator[bytes]) -> None:
        self._connection.write(first)
        for many in lines:
            await self._connection.send(many, self._limits.bytes_per_second)
            await asyncio.sleep(0)
        self._connection.write(b".\r\n")

    async def _upgrade(self) -> None:
        self._connection.write(replies.TLS_GO)
        await self._connection.flush(self._limits.bytes_per_second)
        await self._connection.start_tls(self._shared.tls, self._limits.handshake_seconds)
        self._tls = True
        self._dialogue.upgraded()

    async def _check(self, user: str, password: str) -> bool:
        connection, shared = self._connection, self._shared
        peer = Peer(address=connection.address, port=connection.port, tls=self._tls)
        who = await shared.sign_in(user, password, peer)
        if isinstance(who, SignInFailure):
            return await self._turn_away(who)
        if who.mailbox_id in shared.open_mailboxes:
            connection.write(replies.IN_USE)
            return False
        shared.open_mailboxes.add(who.mailbox_id)
        self._holder = who
        if shared.live is not None:
            word = replies.SIGNED_OUT if who.visit is None else replies.RIGHTS_CHANGED
            self._leave_live = shared.live.enter(who.account_id, lambda: self.end(word), who.visit)
        self._ticket.signed_in()
        connection.by = None
        self._opened = await shared.maildrops.open(who)
        connection.write(self._dialogue.signed_in(Maildrop(self._opened.entries, may_delete=who.may(Act.REMOVE))))
        return False

    async def _turn_away(self, why: SignInFailure) -> bool:
        log.info("pop3 sign-in failed", extra={"peer": self._connection.address, "why": why.name})
        self._failures += 1
        await asyncio.sleep(self._limits.failure_pause_seconds)
        self._connection.write(replies.REFUSED[why])
        return self._failures >= self._limits.max_failures

    async def _send(self, number: int, entry: Entry, lines: int | None) -> None:
        assert self._opened is not None
        message = await self._message(number, entry, whole=lines is None)
        if message is None:
            self._connection.write(replies.NO_MESSAGE)
            return
        self._connection.write(replies.ok(f"{entry.size} octets") if lines is None else replies.OK)
        if lines != 0:  # more than a header
            self._opened.taken(number - 1)
        pieces = stuffed(message.pieces() if lines is None else top(message.pieces(), lines))
        self._midway = True
        if _at_hand(message):
            await self._connection.send(b"".join(pieces), self._limits.bytes_per_second)
        else:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                await self._connection.send(piece, self._limits.bytes_per_second)
        self._midway = False
        self._sent += 1

    async def _message(self, number: int, entry: Entry, *, whole: bool) -> Octets | None:
        """The message; a client that takes one after the other gets the next ones from one reading."""
        assert self._opened is not None
        if number not in self._ahead:
            wanted = [number]
            if whole and number == self._last + 1 and number > 1 and (drop := self._dialogue.maildrop) is not None:
                wanted += drop.after(number, _AHEAD_BYTES - entry.size, _AHEAD_MESSAGES)
            read = await self._opened.read([each - 1 for each in wanted])
            self._ahead = dict(zip(wanted, read, strict=True))
        self._last = number
        return self._ahead.pop(number)

    async def _leave(self, marked: tuple[int, ...]) -> None:
        if marked:
            assert self._opened is not None
            try:
                await self._opened.delete(marked)
            except GatewayError:
                log.warning("pop3 deletions failed", exc_info=True)
                self._connection.write(replies.KEPT)
                return
        self._connection.write(replies.FAREWELL)


def _at_hand(message: Octets) -> bool:
    """Whether all its bytes are in memory already, so that sending it needs no thread."""
    return all(isinstance(part, bytes) or isinstance(part.source, InMemory) for part in message.parts)
