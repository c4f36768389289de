"""The commands of one connection to the relay port, and the replies to them.

PIPELINING and CHUNKING, and message n+1 may begin while n still waits for its commit: the replies keep their order, the
number and the bytes of unanswered messages are bounded (D37).
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gateway.flows.outcomes import Arrival, CheckRecipient, Receive, RecipientAnswer
from gateway.smtp import grammar, replies
from gateway.smtp.connection import Connection
from gateway.smtp.grammar import ForwardPath, MailFrom
from gateway.smtp.inbox import BadLine
from gateway.smtp.intake import Intake, OpenSink, take_chunk, take_message
from gateway.smtp.listener import Listener
from gateway.smtp.ordered import OrderedReplies
from gateway.smtp.replies import Reply
from gateway.smtp.session import Session, Transaction
from receipts.octets import Octets

__all__ = ["Conversation", "Incoming"]

log = logging.getLogger(__name__)

Obey = Callable[[str], Awaitable[Reply | bytes | None]]
"""Argument -> reply; None if it has been said, or will be."""

REFUSED_RECIPIENTS = [replies.recipient(answer) for answer in RecipientAnswer if answer is not RecipientAnswer.WELCOME]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What the incoming point's conversations need; ``RelayServer`` says what each is."""

    hostname: str
    domain: str
    tls: ssl.SSLContext | None
    check: CheckRecipient
    receive: Receive
    open_sink: OpenSink


class Conversation:
    """The commands of one connection, in order, and the replies to them."""

    def __init__(
        self, server: Listener, incoming: Incoming, connection: Connection, protocol: asyncio.Protocol
    ) -> None:
        self._server = server
        self._incoming = incoming
        self._connection = connection
        self._protocol = protocol
        self._session = Session(
            server.limits,
            hostname=incoming.hostname,
            domain=incoming.domain,
            address=connection.address,
            port=connection.port,
        )
        self._replies = OrderedReplies(connection)
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
        self._replies.say(replies.bare(220, f"{self._incoming.hostname} ESMTP"))
        while connection.open:
            await self._replies.room_to_speak()
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
        """Say ``reply`` in its turn; after too many bad commands or refused recipients that was the last one."""
        self._replies.say(reply)
        bad = isinstance(reply, Reply) and 500 <= reply.code < 505 and self._connection.watch.error()
        refused = reply in REFUSED_RECIPIENTS and self._connection.watch.refuse()
        if bad or refused:
            await self._replies.all_sent()
            self._connection.leave(replies.TOO_MANY_ERRORS)

    async def _hello(self, verb: str, argument: str) -> Reply | bytes:
        await self._forget_chunks()
        capabilities = ["PIPELINING", f"SIZE {self._server.limits.max_message_bytes}", "8BITMIME"]
        if self._incoming.tls is not None and not self._connection.encrypted:
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
            transaction = self._session.transaction
            answer = await self._incoming.check(transaction.mail.reverse_path, path.address, transaction.forward_paths)
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
        transaction, intake = self._session.take_transaction(), self._intake()
        return await self._hand_over(transaction, intake, await take_message(self._connection, intake))

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
        await take_chunk(self._connection, intake, chunk.size)
        if refusal is not None:
            return refusal
        if not chunk.last:
            return intake.fault or Reply(250, "2.0.0", f"{chunk.size} octets received")
        self._chunks = None
        return await self._hand_over(self._session.take_transaction(), intake, await intake.finish())

    async def _hand_over(self, transaction: Transaction, intake: Intake, message: Octets | Reply) -> Reply | None:
        """Give the message to the flow; its reply will come in its turn. Meanwhile the next one may begin."""
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
        self._replies.promise(task, message.size)
        await asyncio.sleep(0)
        return None

    async def _receive(self, arrival: Arrival, intake: Intake) -> Reply:
        """Never cancelled: whatever becomes of the connection, a flow that began ends."""
        try:
            return replies.arrived(await self._incoming.receive(arrival))
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
        if self._incoming.tls is None:
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
        await self._connection.encrypt(self._protocol, self._incoming.tls)
        self._session.encrypted()
        return None

    def _intake(self) -> Intake:
        return Intake(self._server.limits, self._server.budget, self._incoming.open_sink)

    async def _forget_chunks(self) -> None:
        if self._chunks is not None:
            intake, self._chunks = self._chunks, None
            await intake.drop(None)


def _always(reply: Reply) -> Obey:
    async def answer(_: str) -> Reply:
        return reply

    return answer
