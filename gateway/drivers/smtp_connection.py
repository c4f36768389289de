"""One SMTP connection as a client: commands out, replies in, matched in order.

Towards a peer with PIPELINING and CHUNKING several small messages are in flight at once (RFC 2920, RFC 3030): each
goes out whole, MAIL to BDAT, without waiting. As long as the message before it is not known to have been taken,
RSET goes first: a server that keeps a failed transaction open would otherwise add our recipients to it and send
our content under the other's reverse path. Everything else has the connection to itself while it is sent.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import cast

from gateway.drivers.smtp_replies import BadReply, Reply, ReplyReader
from gateway.drivers.smtp_transaction import Features, Transaction, dot_stuffed, is_in_memory
from gateway.drivers.transmission import Stage, Temporary

__all__ = ["Connection", "ConnectionLost", "Timeouts"]

PIECE = 64 * 1024  # bytes written before the socket is given time to drain (D20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds (RFC 5321 section 4.5.3.2 where it speaks)."""

    tls: float = 60.0
    greeting: float = 300.0
    command: float = 300.0  # EHLO, STARTTLS, RSET, MAIL, RCPT
    data: float = 120.0  # the 354
    block: float = 180.0  # each piece of content to drain
    content: float = 600.0  # the reply to the final dot
    quit: float = 5.0
    idle: float = 30.0  # a connection nobody uses is closed


class ConnectionLost(Exception):
    """The connection ended before the answer came."""

    def __init__(self, cause: Temporary) -> None:
        super().__init__(cause.text)
        self.cause = cause


class _Awaited:
    """Collects the replies to a group of commands for a coroutine."""

    __slots__ = ("_count", "_each", "_replies", "future", "patience")

    def __init__(
        self,
        future: "asyncio.Future[list[Reply]]",
        count: int,
        patience: float,
        each: Callable[[Reply], object] | None,
    ) -> None:
        self.future = future
        self.patience = patience
        self._count = count
        self._each = each  # hears every reply at once, also when the group is never completed
        self._replies: list[Reply] = []

    def feed(self, reply: Reply) -> bool:
        self._replies.append(reply)
        if self._each is not None:
            self._each(reply)
        if len(self._replies) < self._count:
            return False
        if not self.future.done():
            self.future.set_result(self._replies)
        return True

    def lost(self, cause: Temporary) -> None:
        if not self.future.done():
            self.future.set_exception(ConnectionLost(cause))


class Connection(asyncio.Protocol):
    """Made by the dialer, greeted with ``open``, then given transactions by ``start`` while it ``has_room``.

    ``on_change`` is called whenever room was made or the connection has ended.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        window_messages: int,
        window_bytes: int,
        on_change: Callable[["Connection"], None],
    ) -> None:
        self.features = Features()
        self.closed = False
        self.secure = False
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._window_messages = window_messages
        self._window_bytes = window_bytes
        self._on_change = on_change
        self._transport: asyncio.Transport | None = None
        self._replies = ReplyReader()
        self._waiting: deque[Transaction | _Awaited] = deque()
        self._greeting = self._expect(1, timeouts.greeting)
        self._outbox: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._alone: asyncio.Task[None] | None = None
        self._clean = True  # the peer holds no half transaction
        self._closing = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # Opening

    async def open(self, hello: str) -> None:
        """Await the greeting and introduce ourselves.

        Raises:
            ConnectionLost: the peer does not want us, or is no mail server.
        """
        self._arm()
        greeting = (await self._greeting.future)[0]
        if greeting.code != 220:
            raise self._turned_away(greeting)
        await self._hello(hello)

    async def start_tls(self, context: ssl.SSLContext, host: str, hello: str) -> None:
        """STARTTLS, then EHLO anew: nothing said in clear counts any more (RFC 3207 section 4.2).

        Raises:
            ConnectionLost: the peer refuses, or the handshake fails; stage TLS.
        """
        reply = await self._command(b"STARTTLS\r\n")
        if reply.code != 220:
            raise self._tls_failed(f"STARTTLS refused: {reply.code} {reply.text}")
        if not self._replies.empty or self._waiting or self._transport is None:
            raise self._tls_failed("bytes in clear behind the reply to STARTTLS")
        self._disarm()
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_hostname=host,
                ssl_handshake_timeout=self._timeouts.tls,
                ssl_shutdown_timeout=self._timeouts.quit,
            )
        except OSError as error:
            raise self._tls_failed(f"TLS: {getattr(error, 'verify_message', '') or error}") from error
        if transport is None or self.closed:
            raise self._tls_failed("TLS: the connection ended")
        self._transport = transport
        self.secure = True
        await self._hello(hello)

    async def _hello(self, name: str) -> None:
        reply = await self._command(f"EHLO {name}\r\n".encode("ascii"))
        if reply.code // 100 == 5:
            reply = await self._command(f"HELO {name}\r\n".encode("ascii"))
            self.features = Features()
        else:
            self.features = Features.offered(reply)
        if reply.code != 250:
            raise self._turned_away(reply)

    # Sending

    def has_room(self, transaction: Transaction) -> bool:
        """Whether ``transaction`` may start now."""
        if self.closed or self._closing or self._alone is not None:
            return False
        if not self._in_flight:
            return True
        return (
            self._in_flight < self._window_messages
            and self._in_flight_bytes + transaction.size <= self._window_bytes
            and self._goes_at_once(transaction)
        )

    @property
    def idle(self) -> bool:
        return not self._waiting and self._alone is None

    @property
    def in_flight(self) -> int:
        """Messages begun and not ended."""
        return self._in_flight

    def start(self, transaction: Transaction) -> None:
        """Begin to send what there is room for; the transaction is told every reply, or that the connection is lost."""
        self._in_flight += 1
        self._in_flight_bytes += transaction.size
        if self._goes_at_once(transaction):
            self._send_at_once(transaction)
        else:
            self._alone = self._loop.create_task(self._send_alone(transaction))

    def _goes_at_once(self, transaction: Transaction) -> bool:
        return (
            self.features.pipelining
            and self.features.chunking
            and transaction.size <= self._window_bytes
            and is_in_memory(transaction.outgoing.message)
        )

    def _send_at_once(self, transaction: Transaction) -> None:
        reset = bool(self._waiting) or not self._clean
        transaction.begin(after_reset=reset)
        commands = transaction.commands(self.features)
        commands.append(b"BDAT %d LAST\r\n" % transaction.size)
        if reset:
            self._outbox.append(b"RSET\r\n")
        self._outbox.extend(commands)
        self._outbox.extend(transaction.outgoing.message.pieces())
        self._waiting.append(transaction)
        if len(self._waiting) == 1:
            self._arm()
        self._loop.call_soon(self._flush)

    async def _send_alone(self, transaction: Transaction) -> None:
        try:
            await self._converse(transaction)
        except ConnectionLost as lost:
            transaction.lost(lost.cause)
        except Exception as error:
            self._break(Temporary("4.3.0", "the message could not be read", Stage.CONTENT))
            transaction.lost(Temporary("4.3.0", "the message could not be read", Stage.CONTENT))
            self._loop.call_exception_handler({"message": "sending a message failed", "exception": error})
        finally:
            self._alone = None
            self._finished(transaction)

    async def _converse(self, transaction: Transaction) -> None:
        if not self._clean:
            await self._command(b"RSET\r\n")
        self._clean = False
        by_data = not self.features.chunking
        go_ahead = await self._propose(transaction, by_data=by_data)
        if not transaction.wanted:
            if go_ahead is not None and go_ahead.code == 354:
                await self._command(b".\r\n", self._timeouts.content)  # nothing for nobody (RFC 2920 section 3.1)
            transaction.end()
            return
        if by_data and go_ahead is None:
            go_ahead = await self._command(b"DATA\r\n", self._timeouts.data)
        if go_ahead is not None and go_ahead.code != 354:
            transaction.content(go_ahead if go_ahead.code >= 400 else Reply(451, (b"DATA was not understood",)))
            return
        reply = await self._content(transaction, by_data=by_data)
        self._clean = reply.code // 100 == 2
        transaction.content(reply)

    async def _propose(self, transaction: Transaction, *, by_data: bool) -> Reply | None:
        """MAIL and RCPT; with PIPELINING in one go, and with DATA, whose reply is then given back."""
        commands = transaction.commands(self.features)
        paths = len(commands) - 1
        if not self.features.pipelining:
            for command in commands:
                await self._exchange(command, 1, self._timeouts.command, transaction.proposed)
                if not transaction.wanted:
                    break
            return None
        if by_data:
            commands.append(b"DATA\r\n")
        group = b"".join(commands)
        replies = await self._exchange(group, len(commands), self._timeouts.command, transaction.proposed)
        return replies[1 + paths] if by_data else None

    async def _content(self, transaction: Transaction, *, by_data: bool) -> Reply:
        message = transaction.outgoing.message
        awaited = self._expect(1, self._timeouts.content)
        if by_data:
            pieces = dot_stuffed(message.pieces())
        else:
            pieces = chain((b"BDAT %d LAST\r\n" % transaction.size,), message.pieces())
        self._disarm()
        whole = await self._stream(pieces, awaited, in_memory=is_in_memory(message))
        self._arm()
        reply = (await awaited.future)[0]
        return reply if whole or reply.code >= 400 else Reply(451, (b"an answer before the end of the content",))

    async def _stream(self, pieces: Iterator[bytes], awaited: _Awaited, *, in_memory: bool) -> bool:
        """Write the content, giving the socket time after each piece and reading stored bytes in a thread.

        False if the answer came before the end: then the rest is not worth sending.
        """
        pending = 0
        while piece := next(pieces, b"") if in_memory else await self._loop.run_in_executor(None, next, pieces, b""):
            if awaited.future.done():
                self._closing = True
                if self._transport is not None:
                    self._transport.close()
                return False
            for part in _cut(piece):
                self._outbox.append(part)
                pending += len(part)
                if pending >= PIECE:
                    pending = 0
                    self._flush()
                    await self._drain()
        self._flush()
        return True

    async def _drain(self) -> None:
        if self._writable.is_set():
            return
        try:
            async with asyncio.timeout(self._timeouts.block):
                await self._writable.wait()
        except TimeoutError:
            self._break(Temporary("4.4.2", "the peer stopped reading", Stage.CONTENT))
        if self.closed:
            raise ConnectionLost(Temporary("4.4.2", "connection lost while sending", Stage.CONTENT))

    # Commands and replies

    async def _command(self, command: bytes, patience: float | None = None) -> Reply:
        return (await self._exchange(command, 1, patience or self._timeouts.command))[0]

    async def _exchange(
        self, commands: bytes, replies: int, patience: float, each: Callable[[Reply], object] | None = None
    ) -> list[Reply]:
        awaited = self._expect(replies, patience, each)
        self._outbox.append(commands)
        self._flush()
        self._arm()
        return await awaited.future

    def _expect(self, replies: int, patience: float, each: Callable[[Reply], object] | None = None) -> _Awaited:
        awaited = _Awaited(self._loop.create_future(), replies, patience, each)
        if self.closed:
            awaited.lost(Temporary("4.4.2", "connection lost", Stage.CONNECT))
        else:
            self._waiting.append(awaited)
        return awaited

    def _take(self, reply: Reply) -> None:
        if reply.code == 421:
            self._break(Temporary("4.3.2", reply.text or "service closing", Stage.CONNECT, 421))
            return
        if not self._waiting:
            self._break(Temporary("4.5.0", "a reply nobody asked for", Stage.CONNECT))
            return
        waiter = self._waiting[0]
        if waiter.feed(reply):
            self._waiting.popleft()
            if isinstance(waiter, Transaction):
                self._clean = waiter.taken
                self._finished(waiter)
        self._arm()

    def _finished(self, transaction: Transaction) -> None:
        self._in_flight -= 1
        self._in_flight_bytes -= transaction.size
        self._arm()
        self._on_change(self)

    def _flush(self) -> None:
        if self._outbox and self._transport is not None and not self.closed:
            self._transport.write(self._outbox[0] if len(self._outbox) == 1 else b"".join(self._outbox))
        self._outbox.clear()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for reply in self._replies.feed(data):
                self._take(reply)
                if self.closed:
                    return
        except BadReply as error:
            self._break(Temporary("4.5.0", str(error), Stage.CONNECT))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._break(Temporary("4.4.2", "connection lost", Stage.CONNECT))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # Ending

    def quit(self) -> None:
        """Take leave when what is in flight has ended; used on idle connections and at the stop."""
        self._closing = True
        if self.idle and not self.closed:
            farewell = self._expect(1, self._timeouts.quit)
            farewell.future.add_done_callback(self._after_quit)
            self._outbox.append(b"QUIT\r\n")
            self._flush()
            self._arm()

    def abort(self) -> None:
        """End at once; what is in flight is lost."""
        self._break(Temporary("4.3.2", "given up by us", Stage.CONNECT))

    def _after_quit(self, future: "asyncio.Future[list[Reply]]") -> None:
        future.cancelled() or future.exception()  # a peer that hangs up instead of answering is fine
        self._break(Temporary("4.4.2", "connection closed", Stage.CONNECT))

    def _break(self, cause: Temporary) -> None:
        if self.closed:
            return
        self.closed = True
        self._disarm()
        self._outbox.clear()
        self._writable.set()
        if self._transport is not None:
            self._transport.close() if self._closing else self._transport.abort()
        lost, self._waiting = self._waiting, deque()
        for waiter in lost:
            waiter.lost(cause)
            if isinstance(waiter, Transaction):
                self._in_flight -= 1
                self._in_flight_bytes -= waiter.size
        self._on_change(self)

    def _turned_away(self, reply: Reply) -> ConnectionLost:
        self.quit()
        text = f"turned away: {reply.code} {reply.text}"
        return ConnectionLost(Temporary("4.3.2", text, Stage.CONNECT, reply.code))

    def _tls_failed(self, text: str) -> ConnectionLost:
        cause = Temporary("4.7.5", text[:400], Stage.TLS)
        self._break(cause)
        return ConnectionLost(cause)

    # Time

    def _arm(self) -> None:
        """Set the time by which the next reply must be here, or an idle connection is closed."""
        if self.closed:
            return
        if not self._waiting:
            patience = self._timeouts.idle
        elif isinstance(head := self._waiting[0], _Awaited):
            patience = head.patience
        else:
            patience = self._timeouts.content
        self._deadline = self._loop.time() + patience
        if self._timer is None or self._deadline < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._tick)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._tick)
        elif not self._waiting and self._alone is None and not self._closing:
            self.quit()
        elif self._waiting:
            self._break(Temporary("4.4.2", "no answer in time", Stage.CONNECT))


def _cut(piece: bytes) -> Iterable[bytes]:
    if len(piece) <= PIECE:
        return (piece,)
    view = memoryview(piece)
    return (bytes(view[start : start + PIECE]) for start in range(0, len(piece), PIECE))
