"""The conversation of a holder's mail program with the access point, on aiosmtpd (D37).

aiosmtpd keeps the conversation: its command loop, its table of commands, its AUTH. Ours are its ends: bytes come
through the same ``Connection``, ``Inbox`` and ``Intake`` as on the relay port (lines end with CRLF, messages are taken
in whole buffers and never stand in memory whole, D20), every reply carries an enhanced code, and sign-in is
asynchronous (D16).
"""

import asyncio
import base64
import binascii
import logging
import ssl
from asyncio.sslproto import SSLProtocol
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiosmtpd.smtp import SMTP, AuthResult

from gateway.flows.outcomes import Holder, SignIn, SignInFailure, Submission, Submit
from gateway.flows.sessions import LiveSessions
from gateway.smtp import replies
from gateway.smtp.adapters import Commands, Lines, NoWriter
from gateway.smtp.allowance import Allowance
from gateway.smtp.connection import Connection
from gateway.smtp.grammar import ForwardPath, MailFrom
from gateway.smtp.inbox import LONGEST_LINE, BadLine
from gateway.smtp.intake import Intake, OpenSink, take_message
from gateway.smtp.listener import Listener
from gateway.smtp.replies import Reply
from gateway.smtp.session import Session
from receipts.identifiers import address_key

__all__ = ["Access", "HasRoom", "SubmissionProtocol"]

log = logging.getLogger(__name__)

HasRoom = Callable[[], bool]
"""Whether outbox and disk have room for another message (D17)."""

MAX_SIGN_IN_FAILURES = 3
"""Wrong passwords on one connection before it ends."""

_HANDLED = AuthResult(success=False, handled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the access point's conversations need; ``SubmissionServer`` says what each is."""

    hostname: str
    domain: str
    tls: ssl.SSLContext
    sign_in: SignIn
    submit: Submit
    open_sink: OpenSink
    has_room: HasRoom
    live: LiveSessions | None
    allowance: Allowance


class SubmissionProtocol(SMTP):
    """aiosmtpd's conversation over our connection."""

    command_size_limit = LONGEST_LINE
    command_size_limits = defaultdict(lambda: LONGEST_LINE)  # noqa: RUF012

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, server: Listener, access: Access, *, implicit_tls: bool) -> None:
        super().__init__(
            handler=None,
            data_size_limit=server.limits.max_message_bytes,
            hostname=access.hostname,
            ident="ESMTP",
            tls_context=access.tls,
            loop=asyncio.get_running_loop(),
        )
        self._server = server
        self._access = access
        self._implicit_tls = implicit_tls
        self._connection = Connection(server.limits, server.clock, server.left, signs_in=True)
        self._holder: Holder | None = None
        self._failures = 0
        self._leave_live: Callable[[], None] | None = None
        self._smtp_methods = Commands(self._smtp_methods, self._unknown)
        self.data_received = self._connection.received  # type: ignore[method-assign]

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        connection = self._connection
        connection.attach(transport)
        self.transport = transport
        self.session = self._create_session()
        self.session.peer = connection.address
        self._talk = Session(
            self._server.limits,
            hostname=self._access.hostname,
            domain=self._access.domain,
            address=connection.address,
            port=connection.port,
            takes_auth=True,
        )
        self._set_rset_state()
        self._reader = cast(asyncio.StreamReader, Lines(connection))
        self._writer = cast(asyncio.StreamWriter, NoWriter())
        if self._server.enter(connection):
            self._handler_coroutine = self.loop.create_task(self._run())

    def eof_received(self) -> bool:
        return self._connection.ended()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._connection.lost()
        self.transport = None
        if self._leave_live is not None:
            self._leave_live()

    def pause_writing(self) -> None:
        self._connection.unwritable()

    def resume_writing(self) -> None:
        self._connection.writable()

    # aiosmtpd's calls

    async def push(self, status: str | bytes) -> None:
        """Say a reply of aiosmtpd's or ours; it leaves with those that follow it at once."""
        text = status if isinstance(status, str) else status.decode("ascii", "replace")
        self._connection.say(f"{replies.enhanced(text)}\r\n".encode("ascii", "replace"))
        if "500" <= text[:3] <= "504" and self._connection.watch.error():
            self._connection.leave(replies.TOO_MANY_ERRORS)

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, BadLine):
            if error.fatal:
                self._connection.leave(error.reply)
            return str(error.reply)
        return str(replies.reply_for(error))

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Time is kept by the connection's watch."""

    def _set_rset_state(self) -> None:
        super()._set_rset_state()  # type: ignore[no-untyped-call]
        self._talk.reset()

    # Commands

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802
        await self._hello("HELO", hostname)

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802
        await self._hello("EHLO", hostname)

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        connection = self._connection
        if arg:
            await self._say(replies.BAD_ARGUMENT)
        elif connection.encrypted:
            await self._say(replies.TLS_ALREADY)
        elif connection.inbox.size:
            connection.leave(replies.TLS_INJECTION)
        else:
            await self._say(replies.TLS_READY)
            await self._encrypt()

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        if self._talk.transaction is not None:
            await self._say(replies.OUT_OF_ORDER)
            return
        mechanism, _, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        await self._say(self._mail(arg or ""))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        path = self._talk.rcpt(arg or "")
        await self._say(self._talk.add(path) if isinstance(path, ForwardPath) else path)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        refusal = replies.BAD_ARGUMENT if arg else self._no_data()
        await self._say(refusal or await self._message())

    async def smtp_QUIT(self, arg: str | None) -> None:  # noqa: N802
        if arg:
            await self._say(replies.BAD_ARGUMENT)
        else:
            self._connection.leave(replies.BYE)

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: ARG002, N802
        await self._say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, arg: str | None) -> None:  # noqa: ARG002, N802
        await self._say(replies.NOT_IMPLEMENTED)

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: ARG002, N802
        await self._say(replies.HELP)

    # Sign-in; aiosmtpd calls these from its AUTH, under TLS only

    async def auth_PLAIN(self, _: object, args: list[str]) -> AuthResult:  # noqa: N802
        """RFC 4616. Nobody may act as somebody else."""
        answer = await self._first_answer(args, "")
        if answer is None:
            return _HANDLED
        identity, *user_and_password = answer.split(b"\0")
        if len(user_and_password) != 2:
            await self._say(replies.SIGN_IN_BAD_SYNTAX)
            return _HANDLED
        user, password = user_and_password
        return await self._sign_in(user if identity in {b"", user} else b"", password)

    async def auth_LOGIN(self, _: object, args: list[str]) -> AuthResult:  # noqa: N802
        """The oldest mechanism, which Outlook and many devices still use."""
        user = await self._first_answer(args, self.AuthLoginUsernameChallenge)
        if user is None:
            return _HANDLED
        password = await self.challenge_auth(self.AuthLoginPasswordChallenge)
        return await self._sign_in(user, password) if isinstance(password, bytes) else _HANDLED

    async def _first_answer(self, args: list[str], challenge: str) -> bytes | None:
        """The answer to ``challenge``, which may have come with the command; None if it is none."""
        if len(args) == 1:
            answer = await self.challenge_auth(challenge)
            return answer if isinstance(answer, bytes) else None
        try:
            return base64.b64decode("" if args[1] == "=" else args[1], validate=True)
        except binascii.Error:
            await self._say(replies.SIGN_IN_BAD_SYNTAX)
            return None

    async def _sign_in(self, user: bytes, password: bytes) -> AuthResult:
        try:
            who = await self._access.sign_in(user.decode(), password.decode(), self._talk.peer)
        except UnicodeDecodeError:
            who = SignInFailure.WRONG
        except Exception as error:
            replies.reply_for(error)  # logs it
            await self._say(replies.SIGN_IN_UNAVAILABLE)
            return _HANDLED
        if isinstance(who, Holder):
            self._holder = who
            self._note(who)
            return AuthResult(success=True, message=str(replies.SIGNED_IN))
        self._failures += 1
        await self._say(replies.sign_in_failed(who))
        if self._failures >= MAX_SIGN_IN_FAILURES:
            self._connection.leave(replies.TOO_MANY_ERRORS)
        return _HANDLED

    def _note(self, holder: Holder) -> None:
        """Somebody is signed in: no stranger any more, and gone as soon as the account is disabled."""
        self._connection.signed_in()
        if self._access.live is not None:
            self._leave_live = self._access.live.enter(
                holder.account_id, lambda: self._connection.leave(replies.SESSION_REVOKED)
            )

    # The rest

    async def _run(self) -> None:
        connection = self._connection
        try:
            if self._implicit_tls:
                await self._encrypt()
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # what came with the connection itself is read by now
            if connection.inbox.size:
                connection.leave(replies.TALKS_FIRST)
                return
            await self._handle_client()
        except OSError:
            pass  # the other end is gone
        finally:
            connection.leave()

    async def _encrypt(self) -> None:
        await self._connection.encrypt(self, self._access.tls)
        self.transport = self._connection.transport
        self._tls_protocol = cast(SSLProtocol, self.transport)  # it looks whether there is one
        self.session = self._create_session()
        self._talk.encrypted()

    async def _say(self, reply: Reply) -> None:
        await self.push(str(reply))

    async def _unknown(self, arg: str | None) -> None:  # noqa: ARG002
        await self._say(replies.UNKNOWN_COMMAND)

    async def _hello(self, verb: str, argument: str | None) -> None:
        capabilities = ["PIPELINING", f"SIZE {self._server.limits.max_message_bytes}", "8BITMIME"]
        capabilities.append("AUTH PLAIN LOGIN" if self._connection.encrypted else "STARTTLS")
        answer = self._talk.hello(verb, argument or "", [*capabilities, "ENHANCEDSTATUSCODES"])
        assert self.session is not None
        self.session.host_name = self._talk.peer.helo
        self.session.extended_smtp = self._talk.extended
        self._connection.say(answer)

    def _mail(self, argument: str) -> Reply:
        mail = self._talk.mail(argument)
        if mail is replies.HELLO_FIRST:
            return mail
        if not self._connection.encrypted:
            return replies.TLS_FIRST
        if self._holder is None:
            return replies.SIGN_IN_FIRST
        if not isinstance(mail, MailFrom):
            return mail
        if not self._holder.may_submit:
            return replies.NOT_A_SENDER
        if not mail.reverse_path or address_key(mail.reverse_path) not in self._holder.addresses:
            return replies.NOT_YOUR_ADDRESS
        return self._no_capacity(1) or self._talk.begin(mail)

    def _no_data(self) -> Reply | None:
        refusal = self._talk.no_data()
        if refusal is not None:
            return refusal
        assert self._talk.transaction is not None
        return self._no_capacity(len(self._talk.transaction.forward_paths))

    def _no_capacity(self, recipients: int) -> Reply | None:
        """Why no message can be taken at the moment, by this account or by this server."""
        assert self._holder is not None
        if not self._access.allowance.admits(self._holder.account_id, recipients, self._server.clock()):
            log.warning("account sends too much", extra={"account": self._holder.account_id, "alarm": True})
            return replies.TOO_MUCH_MAIL
        if self._server.budget.exhausted:
            return replies.BUSY_MEMORY
        return None if self._access.has_room() else replies.NO_ROOM

    async def _message(self) -> Reply:
        """Take the message in, hand it to the flow, and say what became of it."""
        connection, server, access = self._connection, self._server, self._access
        assert self._holder is not None
        transaction = self._talk.take_transaction()
        access.allowance.count(self._holder.account_id, len(transaction.forward_paths), server.clock())
        await self._say(replies.GO_AHEAD)
        intake = Intake(server.limits, server.budget, access.open_sink)
        message = await take_message(connection, intake)
        if isinstance(message, Reply):
            return message
        submission = Submission(
            holder=self._holder,
            reverse_path=transaction.mail.reverse_path,
            forward_paths=tuple(transaction.forward_paths),
            message=message,
            peer=self._talk.peer,
        )
        flow = self.loop.create_task(self._submit(submission, intake))
        server.flows.add(flow)
        flow.add_done_callback(server.flows.discard)
        await connection.flush()
        return await flow

    async def _submit(self, submission: Submission, intake: Intake) -> Reply:
        """Never cancelled: whatever becomes of the connection, a flow that began ends."""
        try:
            return replies.submitted(await self._access.submit(submission))
        except Exception as error:
            return replies.reply_for(error)
        finally:
            intake.release()
