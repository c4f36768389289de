"""One ManageSieve client: commands to the scripts of its holder, outcomes to the client (RFC 5804)."""

import asyncio
import base64
import binascii
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.flows.outcomes import Holder, Peer, SignIn, SignInFailure
from gateway.flows.scripts import ScriptsRefused
from gateway.flows.sessions import LiveSessions
from gateway.mailbox.connection import Connection
from gateway.mailbox.grammar import plain_credentials
from gateway.mailbox.limits import Ticket
from gateway.mailbox.managesieve import replies
from gateway.mailbox.managesieve.grammar import Command, Malformed, Verb, command, string
from gateway.mailbox.managesieve.limits import SieveLimits
from gateway.mailbox.managesieve.reader import LiteralRefused, request
from gateway.mailbox.managesieve.states import ALLOWED, State
from gateway.points.sieve.errors import ScriptRefused
from receipts.errors import GatewayError

__all__ = ["Scripts", "Session", "Shared"]

log = logging.getLogger(__name__)

_TURN: Final = 20  # commands of one client before the others get their turn


class Kept(Protocol):
    """A script as a listing shows it."""

    @property
    def name(self) -> str: ...
    @property
    def active(self) -> bool: ...


class Scripts(Protocol):
    """The scripts of holders. Methods raise ScriptsRefused, and TemporaryError when storage is away.

    ``check`` and ``put`` give warnings, and raise ScriptRefused.
    """

    async def listed(self, holder: Holder, /) -> Sequence[Kept]: ...
    async def get(self, holder: Holder, name: str, /) -> bytes: ...
    async def check(self, holder: Holder, script: bytes, /) -> Sequence[str]: ...
    async def put(self, holder: Holder, name: str, script: bytes, /) -> Sequence[str]: ...
    async def has_space(self, holder: Holder, name: str, size: int, /) -> None: ...
    async def activate(self, holder: Holder, name: str, /) -> None: ...
    async def remove(self, holder: Holder, name: str, /) -> None: ...
    async def rename(self, holder: Holder, name: str, to: str, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all sessions of a process have in common."""

    sign_in: SignIn
    scripts: Scripts
    tls: ssl.SSLContext
    limits: SieveLimits
    live: LiveSessions | None


class Session:
    """One client: does what its commands say."""

    def __init__(self, shared: Shared, connection: Connection, ticket: Ticket, *, tls: bool) -> None:
        self._shared = shared
        self._limits = shared.limits
        self._connection = connection
        self._ticket = ticket
        self._tls = tls
        self._holder: Holder | None = None
        self._leave_live: Callable[[], None] | None = None
        self._bad = 0
        self._failures = 0
        self._began = time.monotonic()
        self.farewell = replies.SHUTDOWN

    async def run(self) -> None:
        """Answer command after command until the client leaves."""
        self._connection.write(self._capabilities())
        turn = 0
        while True:
            if (turn := turn + 1) % _TURN == 0:
                await asyncio.sleep(0)
            try:
                data = await self._request()
            except LiteralRefused:
                if self._mistake(replies.TOO_LARGE):
                    return
                continue
            if await self._take(data):
                return

    def end(self, farewell: bytes) -> None:
        """End the session before its next command."""
        self.farewell = farewell
        self._connection.interrupt()

    def part(self, word: bytes) -> None:
        """Say a last word and close."""
        self._connection.write(word)
        self._connection.close()

    async def over(self) -> None:
        """Let go of what the session held."""
        if self._leave_live is not None:
            self._leave_live()
        if self._holder is not None:
            seconds = round(time.monotonic() - self._began, 3)
            facts = {"account": self._holder.account_id, "peer": self._connection.address, "seconds": seconds}
            log.info("managesieve session", extra=facts)

    @property
    def _state(self) -> State:
        if self._holder is not None:
            return State.INSIDE
        return State.STRANGER if self._tls else State.CLEAR

    def _capabilities(self) -> bytes:
        return replies.capabilities(tls=self._tls, owner=None if self._holder is None else self._holder.address)

    async def _request(self) -> bytes:
        limits = self._limits
        most = limits.stranger_bytes if self._holder is None else limits.command_bytes
        return await request(self._connection, limits, most=most, seconds=limits.idle_seconds)

    async def _take(self, data: bytes) -> bool:
        """Do what a command asks; whether the session is over."""
        asked = command(data)
        if isinstance(asked, Malformed):
            return self._mistake(replies.MALFORMED[asked])
        if self._state not in ALLOWED[asked.verb]:
            clear = self._state is State.CLEAR and asked.verb is Verb.AUTHENTICATE
            return self._mistake(replies.CLEAR if clear else replies.NOT_NOW)
        match asked.verb:
            case Verb.LOGOUT:
                self._connection.write(replies.FAREWELL)
                return True
            case Verb.CAPABILITY:
                self._connection.write(self._capabilities())
            case Verb.NOOP:
                self._connection.write(replies.noted(asked.names[0] if asked.names else None))
            case Verb.STARTTLS:
                await self._upgrade()
            case Verb.AUTHENTICATE:
                return await self._authenticate(asked)
            case _:
                assert self._holder is not None
                await self._answer(self._holder, asked)
        return False

    def _mistake(self, reply: bytes) -> bool:
        self._connection.write(reply)
        self._bad += 1
        if self._bad < self._limits.max_bad_commands:
            return False
        self._connection.write(replies.TOO_MANY_BAD)
        return True

    async def _upgrade(self) -> None:
        self._connection.write(replies.TLS_GO)
        await self._connection.flush(self._limits.bytes_per_second)
        await self._connection.start_tls(self._shared.tls, self._limits.handshake_seconds)
        self._tls = True
        self._connection.write(self._capabilities())  # section 2.2: said again, without being asked

    async def _authenticate(self, asked: Command) -> bool:
        """RFC 5804 section 2.1; whether the session is over."""
        mechanism, initial = asked.octets[0].upper(), asked.octets[1] if len(asked.octets) > 1 else None
        if mechanism == b"PLAIN":
            response = await self._response(replies.CONTINUE) if initial is None else initial
            credentials = None if response is None else plain_credentials(response)
        elif mechanism == b"LOGIN":
            user = await self._response(replies.ASK_USER) if initial is None else initial
            response = None if user is None else await self._response(replies.ASK_PASSWORD)
            credentials = None if user is None or response is None else _pair(user, response)
        else:
            return self._mistake(replies.BAD_AUTH)
        if credentials is None:
            return self._mistake(replies.CANCELLED if response is None else replies.NO_CREDENTIALS)
        return await self._check(*credentials)

    async def _response(self, challenge: bytes) -> bytes | None:
        """What the client answers, in base64; None if it gives up."""
        self._connection.write(challenge)
        limits = self._limits
        seconds = limits.sign_in_seconds
        try:
            answer = string(await request(self._connection, limits, most=limits.stranger_bytes, seconds=seconds))
        except LiteralRefused:
            return None
        return None if answer == b"*" else answer

    async def _check(self, user: str, password: str) -> bool:
        connection, shared = self._connection, self._shared
        peer = Peer(address=connection.address, port=connection.port, tls=self._tls)
        who = await shared.sign_in(user, password, peer)
        if isinstance(who, SignInFailure):
            return await self._turn_away(who)
        self._holder = who
        if shared.live is not None:
            word = replies.SIGNED_OUT if who.visit is None else replies.RIGHTS_CHANGED
            self._leave_live = shared.live.enter(who.account_id, lambda: self.end(word), who.visit)
        self._ticket.signed_in()
        connection.by = None
        connection.write(replies.OK)
        return False

    async def _turn_away(self, why: SignInFailure) -> bool:
        log.info("managesieve sign-in failed", extra={"peer": self._connection.address, "why": why.name})
        self._failures += 1
        await asyncio.sleep(self._limits.failure_pause_seconds)
        self._connection.write(replies.REFUSED[why])
        if self._failures < self._limits.max_failures:
            return False
        self._connection.write(replies.TOO_MANY_FAILURES)
        return True

    async def _answer(self, holder: Holder, asked: Command) -> None:
        try:
            reply = await self._act(holder, asked)
        except ScriptRefused as refused:
            reply = replies.wrong(refused)
        except ScriptsRefused as refused:
            reply = replies.REFUSED_SCRIPTS[refused.why]
        except GatewayError:
            log.warning("managesieve command failed", extra={"verb": asked.verb.name}, exc_info=True)
            reply = replies.FAILED
        await self._connection.send(reply, self._limits.bytes_per_second)

    async def _act(self, holder: Holder, asked: Command) -> bytes:
        """Do it; what the client hears."""
        scripts, names = self._shared.scripts, asked.names
        match asked.verb:
            case Verb.LISTSCRIPTS:
                return replies.listing([(one.name, one.active) for one in await scripts.listed(holder)])
            case Verb.GETSCRIPT:
                return replies.script(await scripts.get(holder, names[0]))
            case Verb.CHECKSCRIPT:
                return replies.warned(await scripts.check(holder, asked.octets[0]))
            case Verb.PUTSCRIPT:
                return replies.warned(await scripts.put(holder, names[0], asked.octets[0]))
            case Verb.HAVESPACE:
                await scripts.has_space(holder, names[0], asked.number)
            case Verb.SETACTIVE:
                await scripts.activate(holder, names[0])
            case Verb.DELETESCRIPT:
                await scripts.remove(holder, names[0])
            case _:
                await scripts.rename(holder, names[0], names[1])
        return replies.OK


def _pair(user: bytes, password: bytes) -> tuple[str, str] | None:
    try:
        return _text(user), _text(password)
    except (binascii.Error, ValueError):
        return None


def _text(response: bytes) -> str:
    return base64.b64decode(response, validate=True).decode("utf-8", "surrogateescape")
