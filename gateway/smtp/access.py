"""The conversation of a holder's mail program with the access point, on aiosmtpd (D37).

Its path for DATA is ours (D20), and so is sign-in, which may take its time without holding up anybody else (D16).
"""

import base64
import binascii
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from aiosmtpd.smtp import AuthResult

from gateway.flows.outcomes import Holder, SignIn, SignInFailure, Submission, Submit
from gateway.flows.sessions import LiveSessions
from gateway.points.sharing import Act
from gateway.smtp import replies
from gateway.smtp.adapters import ConnectedSMTP
from gateway.smtp.allowance import Allowance
from gateway.smtp.grammar import ForwardPath, MailFrom
from gateway.smtp.intake import Intake, OpenSink, take_message
from gateway.smtp.listener import Listener
from gateway.smtp.replies import Reply
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


class SubmissionProtocol(ConnectedSMTP):
    """The commands of a holder's mail program."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, server: Listener, access: Access, *, implicit_tls: bool) -> None:
        super().__init__(server, access.hostname, access.domain, access.tls, implicit_tls=implicit_tls)
        self._access = access
        self._holder: Holder | None = None
        self._failures = 0
        self._leave_live: Callable[[], None] | None = None

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        if self._leave_live is not None:
            self._leave_live()

    # Commands

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802
        await self._hello("HELO", hostname)

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802
        await self._hello("EHLO", hostname)

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        connection = self.connection
        if arg:
            await self.say(replies.BAD_ARGUMENT)
        elif connection.encrypted:
            await self.say(replies.TLS_ALREADY)
        elif connection.inbox.size:
            connection.leave(replies.TLS_INJECTION)
        else:
            await self.say(replies.TLS_READY)
            await self.encrypt()

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        if self.talk.transaction is not None:
            await self.say(replies.OUT_OF_ORDER)
            return
        mechanism, _, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        await self.say(self._mail(arg or ""))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        path = self.talk.rcpt(arg or "")
        await self.say(self.talk.add(path) if isinstance(path, ForwardPath) else path)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        refusal = replies.BAD_ARGUMENT if arg else self._no_data()
        await self.say(refusal or await self._message())

    async def smtp_QUIT(self, arg: str | None) -> None:  # noqa: N802
        if arg:
            await self.say(replies.BAD_ARGUMENT)
        else:
            self.connection.leave(replies.BYE)

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: ARG002, N802
        await self.say(replies.CANNOT_VERIFY)

    async def smtp_EXPN(self, arg: str | None) -> None:  # noqa: ARG002, N802
        await self.say(replies.NOT_IMPLEMENTED)

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: ARG002, N802
        await self.say(replies.HELP)

    # Sign-in; aiosmtpd calls these from its AUTH, under TLS only

    async def auth_PLAIN(self, _: object, args: list[str]) -> AuthResult:  # noqa: N802
        """RFC 4616. Nobody may act as somebody else."""
        answer = await self._first_answer(args, "")
        if answer is None:
            return _HANDLED
        identity, *user_and_password = answer.split(b"\0")
        if len(user_and_password) != 2:
            await self.say(replies.SIGN_IN_BAD_SYNTAX)
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
            await self.say(replies.SIGN_IN_BAD_SYNTAX)
            return None

    async def _sign_in(self, user: bytes, password: bytes) -> AuthResult:
        try:
            who = await self._access.sign_in(user.decode(), password.decode(), self.talk.peer)
        except UnicodeDecodeError:
            who = SignInFailure.WRONG
        except Exception as error:
            replies.reply_for(error)  # logs it
            await self.say(replies.SIGN_IN_UNAVAILABLE)
            return _HANDLED
        if isinstance(who, Holder):
            self._holder = who
            self._note(who)
            return AuthResult(success=True, message=str(replies.SIGNED_IN))
        self._failures += 1
        await self.say(replies.sign_in_failed(who))
        if self._failures >= MAX_SIGN_IN_FAILURES:
            self.connection.leave(replies.TOO_MANY_ERRORS)
        return _HANDLED

    def _note(self, holder: Holder) -> None:
        """Somebody is signed in: no stranger any more, and gone as soon as the account is disabled."""
        self.connection.signed_in()
        if self._access.live is not None:
            self._leave_live = self._access.live.enter(
                holder.account_id, lambda: self.connection.leave(replies.SESSION_REVOKED), holder.visit
            )

    async def _hello(self, verb: str, argument: str | None) -> None:
        capabilities = ["PIPELINING", f"SIZE {self.server.limits.max_message_bytes}", "8BITMIME"]
        capabilities.append("AUTH PLAIN LOGIN" if self.connection.encrypted else "STARTTLS")
        answer = self.talk.hello(verb, argument or "", [*capabilities, "ENHANCEDSTATUSCODES"])
        assert self.session is not None
        self.session.host_name = self.talk.peer.helo
        self.session.extended_smtp = self.talk.extended
        self.connection.say(answer)

    def _mail(self, argument: str) -> Reply:
        mail = self.talk.mail(argument)
        if mail is replies.HELLO_FIRST:
            return mail
        if not self.connection.encrypted:
            return replies.TLS_FIRST
        if self._holder is None:
            return replies.SIGN_IN_FIRST
        if not isinstance(mail, MailFrom):
            return mail
        if not self._holder.may_submit:
            return replies.NOT_A_SENDER
        if not self._holder.may(Act.SEND):
            return replies.NO_RIGHT_TO_SEND
        if not mail.reverse_path or address_key(mail.reverse_path) not in self._holder.addresses:
            return replies.NOT_YOUR_ADDRESS
        return self._no_capacity(1) or self.talk.begin(mail)

    def _no_data(self) -> Reply | None:
        refusal = self.talk.no_data()
        if refusal is not None:
            return refusal
        assert self.talk.transaction is not None
        return self._no_capacity(len(self.talk.transaction.forward_paths))

    def _no_capacity(self, recipients: int) -> Reply | None:
        """Why no message can be taken at the moment, by this account or by this server."""
        assert self._holder is not None
        if not self._access.allowance.admits(self._holder.account_id, recipients, self.server.clock()):
            log.warning("account sends too much", extra={"account": self._holder.account_id, "alarm": True})
            return replies.TOO_MUCH_MAIL
        if self.server.budget.exhausted:
            return replies.BUSY_MEMORY
        return None if self._access.has_room() else replies.NO_ROOM

    async def _message(self) -> Reply:
        """Take the message in, hand it to the flow, and say what became of it."""
        connection, server, access = self.connection, self.server, self._access
        assert self._holder is not None
        transaction = self.talk.take_transaction()
        access.allowance.count(self._holder.account_id, len(transaction.forward_paths), server.clock())
        await self.say(replies.GO_AHEAD)
        intake = Intake(server.limits, server.budget, access.open_sink)
        message = await take_message(connection, intake)
        if isinstance(message, Reply):
            return message
        submission = Submission(
            holder=self._holder,
            reverse_path=transaction.mail.reverse_path,
            forward_paths=tuple(transaction.forward_paths),
            message=message,
            peer=self.talk.peer,
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
