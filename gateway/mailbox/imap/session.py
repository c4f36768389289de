"""One IMAP client: commands in, acts of the box, answers out (RFC 3501)."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.flows.outcomes import Holder, SignIn
from gateway.flows.sessions import LiveSessions
from gateway.flows.work import deliberate
from gateway.mailbox.connection import Connection
from gateway.mailbox.imap import appending, changing, fetching, folders, idling, replies, searching, selecting
from gateway.mailbox.imap.commands import (
    Authenticate,
    Command,
    Compress,
    Copy,
    Create,
    Delete,
    Enable,
    Expunge,
    Fetch,
    List,
    Login,
    Lsub,
    QuotaOf,
    Rename,
    Search,
    Select,
    StatusOf,
    Store,
    Subscribe,
    Verb,
)
from gateway.mailbox.imap.grammar import Broken, Reading, command
from gateway.mailbox.imap.inside import Declined, Inside, tell_news
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.imap.reader import Incoming, LiteralRefused, request
from gateway.mailbox.imap.signing_in import Door
from gateway.mailbox.imap.states import ACTS, ALLOWED, State
from gateway.mailbox.imap.store import OpenBox
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.limits import Ticket
from gateway.points.boxes import BoxRefused, Why
from receipts.errors import GatewayError

__all__ = ["Session", "Shared"]

log = logging.getLogger(__name__)

_TURN: Final = 50  # commands of one client before the others get their turn
_BY_NUMBER: Final = frozenset({Verb.FETCH, Verb.STORE, Verb.SEARCH})
"""Commands during which numbers may not change (RFC 3501 section 7.4.1), unless they speak of UIDs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all sessions of a process have in common."""

    sign_in: SignIn
    open_box: OpenBox
    tls: ssl.SSLContext
    limits: ImapLimits
    live: LiveSessions | None


class Session:
    """One client: does what its commands say."""

    def __init__(self, shared: Shared, connection: Connection, ticket: Ticket, *, tls: bool) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._connection = connection
        self._ticket = ticket
        self._door = Door(shared.sign_in, connection, shared.limits, tls=tls)
        self._inside: Inside | None = None
        self._holder: Holder | None = None
        self._leave_live: Callable[[], None] | None = None
        self._compressed = False
        self._bad = 0
        self._began = time.monotonic()
        self.farewell = replies.BYE_SHUTDOWN

    async def run(self) -> None:
        """Answer command after command until the client leaves."""
        self._connection.write(replies.greeting(self._capabilities()))
        turn = 0
        while True:
            if (turn := turn + 1) % _TURN == 0:
                await asyncio.sleep(0)
            try:
                asked = await self._request()
            except LiteralRefused as refused:
                if self._mistake(replies.bad(refused.tag, "literal too large")):
                    return
                continue
            if await (self._append(asked) if isinstance(asked, Incoming) else self._take(asked)):
                return

    def end(self, farewell: bytes) -> None:
        """End the session before its next command."""
        self.farewell = farewell
        self._connection.interrupt()

    def part(self, word: bytes) -> None:
        """Say a last word, unless it would land in the middle of a literal."""
        if self._inside is not None and self._inside.midway:
            self._connection.abort()
        else:
            self._connection.write(word)
            self._connection.close()

    async def over(self) -> None:
        """Let go of the box."""
        if self._leave_live is not None:
            self._leave_live()
        if self._inside is None or self._holder is None:
            return
        seconds = round(time.monotonic() - self._began, 3)
        facts = {"account": self._holder.account_id, "peer": self._connection.address, "seconds": seconds}
        log.info("imap session", extra=facts)
        await self._inside.box.close()

    @property
    def _state(self) -> State:
        if self._inside is None:
            return State.STRANGER if self._door.tls else State.CLEAR
        return State.INSIDE if self._inside.view is None else State.SELECTED

    def _capabilities(self) -> bytes:
        return replies.capabilities(
            tls=self._door.tls,
            signed_in=self._inside is not None,
            compressed=self._compressed,
            append_limit=self._limits.message_bytes,
        )

    async def _request(self) -> bytes | Incoming:
        inside, limits = self._inside, self._limits
        return await request(
            self._connection,
            limits,
            most=limits.stranger_bytes if inside is None else limits.command_bytes,
            seconds=limits.idle_seconds,
            utf8=inside is not None and inside.utf8,
            inside=inside is not None,
        )

    async def _take(self, data: bytes) -> bool:
        """Do what a command asks; whether the session is over."""
        view = None if self._inside is None else self._inside.view
        reading = Reading(
            numbers=lambda numbers, uid: searching.numbers_in(view, numbers, uid),
            recent=searching.recent_in(view),
            utf8=self._inside is not None and self._inside.utf8,
        )
        asked = await deliberate(len(data), lambda: command(data, reading))
        if isinstance(asked, Broken):
            if asked.charset:
                self._connection.write(replies.bad_charset(asked.tag))
                return False
            return self._mistake(replies.bad(asked.tag, asked.text))
        if self._state not in ALLOWED[asked.verb]:
            clear = self._state is State.CLEAR and State.STRANGER in ALLOWED[asked.verb]
            return self._mistake(
                replies.no(asked.tag, replies.CLEAR) if clear else replies.bad(asked.tag, replies.NOT_NOW)
            )
        if asked.verb is Verb.LOGOUT:
            self._connection.write(replies.BYE_LOGOUT + replies.ok(asked.tag, "LOGOUT done"))
            return True
        return await self._answer(asked.tag, asked)

    async def _answer(self, tag: bytes, asked: Command) -> bool:
        """Do a command that is allowed, and say how it went; whether the session is over."""
        try:
            text = await self._do(asked)
        except Declined as declined:
            self._connection.write(replies.no(tag, declined.text))
        except BoxRefused as refused:
            self._connection.write(replies.no(tag, replies.REFUSED_BY_BOX[refused.why]))
        except Malformed as malformed:
            return self._mistake(replies.bad(tag, str(malformed)))
        except GatewayError:
            if self._inside is not None and self._inside.midway:
                raise
            log.warning("imap command failed", extra={"verb": asked.verb.name}, exc_info=True)
            self._connection.write(replies.no(tag, replies.FAILED))
        else:
            if text:
                self._connection.write(replies.ok(tag, text))
        return self._door.failures >= self._limits.max_failures

    def _mistake(self, reply: bytes) -> bool:
        self._connection.write(reply)
        self._bad += 1
        if self._bad < self._limits.max_bad_commands:
            return False
        self._connection.write(replies.BYE_TOO_MANY_BAD)
        return True

    async def _do(self, asked: Command) -> str:
        """Do it; the text of the answer, empty if it has been given."""
        if self._inside is None:
            return await self._outside(asked)
        self._check_right(asked.verb)
        text = await self._act(self._inside, asked)
        by_number = asked.verb in _BY_NUMBER and not asked.uid
        ask = asked.verb in (Verb.NOOP, Verb.CHECK)
        await tell_news(self._inside, ask=ask, may_expunge=not by_number, uid=asked.uid)
        return text

    async def _outside(self, asked: Command) -> str:
        match asked.verb, asked.asked:
            case Verb.CAPABILITY, _:
                self._connection.write(replies.untagged(b"CAPABILITY " + self._capabilities()))
            case Verb.ID, _:
                self._connection.write(replies.ID)
            case Verb.STARTTLS, _:
                await self._upgrade(asked.tag)
                return ""
            case _, Login(user, password):
                return await self._enter(await self._door.check(user, password))
            case _, Authenticate(mechanism, initial):
                return await self._enter(await self._door.authenticate(mechanism, initial))
        return replies.DONE[asked.verb]

    async def _upgrade(self, tag: bytes) -> None:
        self._connection.write(replies.ok(tag, "begin TLS"))
        await self._connection.flush(self._limits.bytes_per_second)
        await self._connection.start_tls(self._shared.tls, self._limits.handshake_seconds)
        self._door.tls = True

    async def _enter(self, holder: Holder) -> str:
        box = await self._shared.open_box(holder)
        self._inside = Inside(box, self._connection, self._limits)
        self._holder = holder
        if self._shared.live is not None:
            word = replies.BYE_SIGNED_OUT if holder.visit is None else replies.BYE_RIGHTS_CHANGED
            self._leave_live = self._shared.live.enter(holder.account_id, lambda: self.end(word), holder.visit)
        self._ticket.signed_in()
        self._connection.by = None
        return f"[CAPABILITY {self._capabilities().decode('ascii')}] welcome"

    def _check_right(self, verb: Verb) -> None:
        """Raises BoxRefused if whoever signed in may not do this in this box; the box asks again when it is done."""
        assert self._holder is not None
        if verb in ACTS and not self._holder.may(ACTS[verb]):
            raise BoxRefused(Why.NO_PERMISSION)

    async def _act(self, inside: Inside, asked: Command) -> str:
        match asked.asked:
            case Fetch():
                there = await fetching.fetch(inside, asked.asked)
                return "FETCH done" if there or asked.uid else replies.ISSUED
            case Store():
                return await changing.store(inside, asked.asked)
            case Copy():
                return await changing.copy(inside, asked.asked)
            case Search():
                await searching.search(inside, asked.tag, asked.asked)
            case Select():
                return await selecting.select(inside, asked.asked)
            case Enable(words):
                await self._enable(inside, words)
            case Compress(mechanism):
                return await self._compress(asked.tag, mechanism)
            case Expunge():
                return await changing.expunge(inside, asked.asked)
            case None:
                return await self._bare(inside, asked)
            case _:
                await _about_folders(inside, asked)
        return replies.DONE[asked.verb]

    async def _bare(self, inside: Inside, asked: Command) -> str:
        match asked.verb:
            case Verb.CAPABILITY:
                await inside.say(replies.untagged(b"CAPABILITY " + self._capabilities()))
            case Verb.NAMESPACE:
                await inside.say(replies.NAMESPACE)
            case Verb.EXPUNGE:
                return await changing.expunge(inside, None)
            case Verb.CLOSE | Verb.UNSELECT:
                await selecting.close(inside, expunge=asked.verb is Verb.CLOSE)
            case Verb.IDLE:
                await idling.idle(inside)
        return replies.DONE[asked.verb]

    async def _enable(self, inside: Inside, words: frozenset[bytes]) -> None:
        """RFC 5161, RFC 7162 section 3.2.3, RFC 6855 section 3."""
        known = sorted(words & {b"CONDSTORE", b"QRESYNC", b"UTF8=ACCEPT"})
        inside.qresync = inside.qresync or b"QRESYNC" in known
        inside.condstore = inside.condstore or inside.qresync or b"CONDSTORE" in known
        inside.utf8 = inside.utf8 or b"UTF8=ACCEPT" in known
        await inside.say(replies.untagged(b" ".join([b"ENABLED", *known])))

    async def _compress(self, tag: bytes, mechanism: bytes) -> str:
        if mechanism != b"DEFLATE":
            raise Malformed("the mechanism is DEFLATE")
        if self._compressed:
            raise Declined(replies.COMPRESSED)
        self._connection.write(replies.ok(tag, "compressed from here on"))
        self._connection.compress()
        self._compressed = True
        return ""

    async def _append(self, incoming: Incoming) -> bool:
        assert self._inside is not None
        assert self._holder is not None
        try:
            text = await appending.append(self._inside, incoming, may=self._holder.may(ACTS[Verb.APPEND]))
            await tell_news(self._inside, ask=False, may_expunge=True)
        except Declined as declined:
            self._connection.write(replies.no(incoming.tag, declined.text))
        except BoxRefused as refused:
            self._connection.write(replies.no(incoming.tag, replies.REFUSED_BY_BOX[refused.why]))
        except Malformed as malformed:
            return self._mistake(replies.bad(incoming.tag, str(malformed)))
        except GatewayError:
            log.warning("imap command failed", extra={"verb": "APPEND"}, exc_info=True)
            self._connection.write(replies.no(incoming.tag, replies.FAILED))
        else:
            self._connection.write(replies.ok(incoming.tag, text))
        return False


async def _about_folders(inside: Inside, asked: Command) -> None:
    match asked.asked:
        case List():
            await folders.list_folders(inside, asked.asked)
        case Lsub():
            await folders.list_subscribed(inside, asked.asked)
        case StatusOf():
            await folders.count(inside, asked.asked)
        case Create():
            await folders.create(inside, asked.asked)
        case Delete():
            await folders.delete(inside, asked.asked)
        case Rename():
            await folders.rename(inside, asked.asked)
        case Subscribe():
            await folders.subscribe(inside, asked.asked)
        case QuotaOf():
            await folders.show_quota(inside, asked.asked)
        case _:  # ID
            await inside.say(replies.ID)
