"""Port 25: mail from other providers and from ordinary servers, for local recipients only (D7, D37).

PIPELINING and CHUNKING, and message n+1 may begin while n still waits for its commit: the replies keep their order,
the number and the bytes of unanswered messages are bounded.
"""

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from gateway.flows.outcomes import Arrival, CheckRecipient, Receive, RecipientAnswer
from gateway.smtp import grammar, replies
from gateway.smtp.connection import Clock, Connection
from gateway.smtp.grammar import ForwardPath, MailFrom
from gateway.smtp.hardening import Budget, Doing
from gateway.smtp.inbox import BadLine
from gateway.smtp.intake import Intake, OpenSink, take_chunk, take_data
from gateway.smtp.limits import Limits
from gateway.smtp.listener import Listener
from gateway.smtp.replies import Reply
from gateway.smtp.session import Session, Transaction
from receipts.octets import Octets

__all__ = ["RelayServer"]

log = logging.getLogger(__name__)

Obey = Callable[[str], Awaitable[Reply | bytes | None]]
"""Argument -> reply; None if it has been said, or will be."""


class RelayServer(Listener):
    """The incoming point's server.

    Args:
        hostname: how it calls itself.
        domain: the provider's own domain, whose postmaster the bare ``postmaster`` is.
        tls: offered by STARTTLS; None turns that off.
        budget: of message bytes, shared with the other servers of the process.
        check: says whether a recipient is welcome.
        receive: takes a message; 250 goes out after it returns.
        open_sink: makes the place where a large message goes while it comes in.
    """

    def __init__(
        self,
        *,
        hostname: str,
        domain: str,
        tls: ssl.SSLContext | None,
        limits: Limits,
        budget: Budget,
        check: CheckRecipient,
        receive: Receive,
        open_sink: OpenSink,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(limits, budget, signs_in=False, clock=clock)
        self.hostname = hostname
        self.domain = domain
        self.tls = tls
        self.check = check
        self.receive = receive
        self.open_sink = open_sink

    def protocol(self, *, implicit_tls: bool) -> asyncio.Protocol:  # noqa: ARG002
        return RelayProtocol(self)


class RelayProtocol(asyncio.Protocol):
    """asyncio's side of one connection."""

    def __init__(self, server: RelayServer) -> None:
        self._server = server
        self._connection = Connection(server.limits, server.clock, server.left, signs_in=False)
        self._task: asyncio.Task[None] | None = None
        self.data_received = self._connection.received  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connection.attach(transport)
        if self._server.enter(self._connection):
            conversation = Conversation(self._server, self._connection, self)
            self._task = asyncio.get_running_loop().create_task(conversation.run())

    def eof_received(self) -> bool:
        return self._connection.ended()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connection.lost()

    def pause_writing(self) -> None:
        self._connection.unwritable()

    def resume_writing(self) -> None:
        self._connection.writable()


class Conversation:
    """The commands of one connection, in order, and the replies to them."""

    def __init__(self, server: RelayServer, connection: Connection, protocol: RelayProtocol) -> None:
        self._server = server
        self._connection = connection
        self._protocol = protocol
        self._session = Session(
            server.limits,
            hostname=server.hostname,
            domain=server.domain,
            address=connection.address,
            port=connection.port,
        )
        self._replies = Replies(connection)
        self._chunks: Intake | None = None  # the message that BDAT brings
        self._verbs: Mapping[str, Obey] = {
            "EHLO": partial(self._hello, "EHLO"),
            "HELO": partial(self._hello, "HELO"),
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
            "RSET": self._rset,
            "NOOP": _always(replies.OK),
            "QUIT": self._quit,
            "STARTTLS": self._starttls,
            "VRFY": _always(replies.CANNOT_VERIFY),
            "HELP": _always(replies.HELP),
            "EXPN": _always(replies.NOT_IMPLEMENTED),
            "ETRN": _always(replies.NOT_IMPLEMENTED),
            "AUTH": _always(replies.NOT_IMPLEMENTED),
        }

    async def run(self) -> None:
        """Talk until either end leaves."""
        try:
            await self._talk()
        except (OSError, ssl.SSLError):
            pass  # the other end is gone
        except Exception as error:
            log.error("connection failed on a bug", exc_info=error)
            self._connection.leave(replies.TROUBLE)
        finally:
            await self._forget_chunks()
            await self._replies.all_sent()
            self._connection.leave()

    async def _talk(self) -> None:
        connection = self._connection
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # what came with the connection itself is read by now
        if connection.inbox.size:
            connection.leave(replies.TALKS_FIRST)
            return
        self._replies.say(replies.bare(220, f"{self._server.hostname} ESMTP"))
        while connection.open:
            try:
                line = await connection.line()
            except BadLine as bad:
                await self._answer(bad.reply)
                if bad.fatal:
                    return
                continue
            await self._obey(line)
            if self._server.stopping and self._session.transaction is None and connection.open:
                await self._replies.all_sent()
                connection.leave(replies.SHUTTING_DOWN)

    async def _obey(self, line: bytes) -> None:
        words = grammar.command(line)
        if isinstance(words, Reply):
            await self._answer(words)
            return
        verb, argument = words
        obey = self._verbs.get(verb)
        if obey is None:
            await self._answer(replies.UNKNOWN_COMMAND)
            return
        reply = await obey(argument)
        if reply is not None:
            await self._answer(reply)

    async def _answer(self, reply: Reply | bytes) -> None:
        """Say ``reply`` in its turn; after too many bad commands that was the last one."""
        self._replies.say(reply)
        if isinstance(reply, Reply) and 500 <= reply.code < 505 and self._connection.watch.error():
            await self._replies.all_sent()
            self._connection.leave(replies.TOO_MANY_ERRORS)

    async def _hello(self, verb: str, argument: str) -> Reply | bytes:
        await self._forget_chunks()
        capabilities = ["PIPELINING", f"SIZE {self._server.limits.max_message_bytes}", "8BITMIME"]
        if self._server.tls is not None and not self._connection.encrypted:
            capabilities.append("STARTTLS")
        return self._session.hello(verb, argument, [*capabilities, "ENHANCEDSTATUSCODES", "CHUNKING"])

    async def _mail(self, argument: str) -> Reply:
        mail = self._session.mail(argument)
        if not isinstance(mail, MailFrom):
            return mail
        if self._server.budget.exhausted:
            return replies.BUSY_MEMORY
        return self._session.begin(mail)

    async def _rcpt(self, argument: str) -> Reply:
        path = self._session.rcpt(argument)
        if not isinstance(path, ForwardPath):
            return path
        if self._chunks is not None:
            return replies.OUT_OF_ORDER
        assert self._session.transaction is not None
        try:
            answer = await self._server.check(self._session.transaction.mail.reverse_path, path.address)
        except Exception as error:
            return replies.reply_for(error)
        return self._session.add(path) if answer is RecipientAnswer.WELCOME else replies.recipient(answer)

    async def _data(self, argument: str) -> Reply | None:
        if argument:
            return replies.BAD_ARGUMENT
        refusal = self._session.no_data() or (replies.OUT_OF_ORDER if self._chunks is not None else None)
        if refusal is not None:
            return refusal
        await self._replies.room_for(self._server.limits)
        self._replies.say(replies.GO_AHEAD)
        self._connection.turn(Doing.TAKING)
        transaction = self._session.take_transaction()
        intake = self._intake()
        try:
            if not await take_data(self._connection.inbox, intake, self._connection.watch):
                assert intake.fault is not None
                self._connection.leave(intake.fault)
                return None
        except BaseException:
            await intake.drop(None)
            raise
        self._connection.turn(Doing.WORKING)
        return await self._hand_over(transaction, intake)

    async def _bdat(self, argument: str) -> Reply | None:
        chunk = grammar.chunk(argument)
        if chunk is None or chunk.size > 2 * self._server.limits.max_message_bytes:
            await self._replies.all_sent()  # its bytes cannot be told from commands, or are not worth reading
            self._connection.leave(replies.BAD_CHUNK if chunk is None else replies.TOO_BIG)
            return None
        refusal = self._session.no_data() if self._chunks is None else None
        intake = self._chunks or self._intake()
        if refusal is not None:
            await intake.drop(refusal)
        elif self._chunks is None:
            await self._replies.room_for(self._server.limits)
            self._chunks = intake
        self._connection.turn(Doing.TAKING)
        await take_chunk(self._connection.inbox, intake, self._connection.watch, chunk.size)
        self._connection.turn(Doing.WORKING)
        if refusal is not None:
            return refusal
        if intake.hopeless:
            self._connection.leave(intake.fault)
            return None
        if not chunk.last:
            return intake.fault or Reply(250, "2.0.0", f"{chunk.size} octets received")
        self._chunks = None
        return await self._hand_over(self._session.take_transaction(), intake)

    async def _hand_over(self, transaction: Transaction, intake: Intake) -> Reply | None:
        """Give the message to the flow; its reply will come in its turn. Meanwhile the next one may begin."""
        message = await intake.finish()
        if isinstance(message, Reply):
            return message
        arrival = Arrival(
            reverse_path=transaction.mail.reverse_path,
            forward_paths=tuple(transaction.forward_paths),
            message=message,
            peer=self._session.peer,
        )
        task = asyncio.get_running_loop().create_task(self._receive(arrival, intake))
        self._server.flows.add(task)
        task.add_done_callback(self._server.flows.discard)
        self._replies.promise(task, message)
        await asyncio.sleep(0)
        return None

    async def _receive(self, arrival: Arrival, intake: Intake) -> Reply:
        """Never cancelled: whatever becomes of the connection, a flow that began ends."""
        try:
            return replies.arrived(await self._server.receive(arrival))
        except Exception as error:
            return replies.reply_for(error)
        finally:
            intake.release()

    async def _rset(self, argument: str) -> Reply:
        if argument:
            return replies.BAD_ARGUMENT
        await self._forget_chunks()
        self._session.reset()
        return replies.OK

    async def _quit(self, argument: str) -> Reply | None:
        if argument:
            return replies.BAD_ARGUMENT
        await self._replies.all_sent()
        self._connection.leave(replies.BYE)
        return None

    async def _starttls(self, argument: str) -> Reply | None:
        if self._server.tls is None:
            return replies.NOT_IMPLEMENTED
        if argument:
            return replies.BAD_ARGUMENT
        if self._connection.encrypted:
            return replies.TLS_ALREADY
        await self._replies.all_sent()
        if self._connection.inbox.size:
            self._connection.leave(replies.TLS_INJECTION)
            return None
        await self._forget_chunks()
        self._replies.say(replies.TLS_READY)
        await self._connection.encrypt(self._protocol, self._server.tls)
        self._session.encrypted()
        return None

    def _intake(self) -> Intake:
        return Intake(self._server.limits, self._server.budget, self._server.open_sink)

    async def _forget_chunks(self) -> None:
        if self._chunks is not None:
            intake, self._chunks = self._chunks, None
            await intake.drop(None)


class Replies:
    """Replies in the order of their commands, though those to messages come when their flows end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: deque[Reply | bytes | asyncio.Task[Reply]] = deque()
        self._bytes = 0
        self._change: asyncio.Future[None] | None = None
        self._to_send = False

    def say(self, reply: Reply | bytes) -> None:
        if self._waiting:
            self._waiting.append(reply)
        else:
            self._connection.say(reply)

    def promise(self, task: asyncio.Task[Reply], message: Octets) -> None:
        """The reply will be what ``task`` returns. It never raises."""
        self._waiting.append(task)
        self._connection.unanswered += 1
        self._bytes += message.size
        task.add_done_callback(lambda _: self._advance(message.size))

    async def room_for(self, limits: Limits) -> None:
        """Wait until another message may begin."""
        while self._connection.unanswered >= limits.window_messages or self._bytes >= limits.window_bytes:
            await self._changed()

    async def all_sent(self) -> None:
        """Wait until every message has its reply."""
        while self._waiting:
            await self._changed()

    async def _changed(self) -> None:
        await self._connection.flush()
        if self._waiting:
            self._change = asyncio.get_running_loop().create_future()
            await self._change

    def _advance(self, size: int) -> None:
        """A flow ended: say all that need not wait any longer, and send it with what ends in the same moment."""
        self._bytes -= size
        self._connection.answered()
        while self._waiting:
            reply = self._waiting[0]
            if isinstance(reply, asyncio.Task):
                if not reply.done():
                    break
                reply = replies.TROUBLE if reply.cancelled() else reply.result()
            self._waiting.popleft()
            self._connection.say(reply)
        if not self._to_send:
            self._to_send = True
            asyncio.get_running_loop().call_soon(self._send)
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    def _send(self) -> None:
        self._to_send = False
        self._connection.send()


def _always(reply: Reply) -> Obey:
    async def answer(_: str) -> Reply:
        return reply

    return answer
