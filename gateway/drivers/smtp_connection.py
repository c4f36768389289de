"""One SMTP connection as a client: what is said when, and how many messages are in flight.

Towards a peer with PIPELINING and CHUNKING several small messages are in flight at once (RFC 2920, RFC 3030): each
goes out whole, MAIL to BDAT, without waiting. As long as the message before it is not known to have been taken,
RSET goes first: a server that keeps a failed transaction open would otherwise add our recipients to it and send
our content under the other's reverse path. Everything else has the connection to itself while it is sent.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from gateway.drivers.smtp_replies import Reply
from gateway.drivers.smtp_transaction import Features, Transaction, dot_stuffed, is_in_memory
from gateway.drivers.smtp_wire import Awaited, ConnectionLost, Timeouts, Wire
from gateway.drivers.transmission import Stage, Temporary

__all__ = ["Connection"]

log = logging.getLogger(__name__)

PIECE = 64 * 1024  # bytes written before the socket is given time to drain (D20)

UNREADABLE = Temporary("4.3.0", "the message could not be read", Stage.CONTENT)
GIVEN_UP = Temporary("4.3.2", "given up by us", Stage.CONNECT)


class Connection:
    """Its ``wire`` is made by the dialer; then it is greeted with ``open`` and given transactions by ``start``.

    ``on_change`` is called whenever room was made, or the connection has ended.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        window_messages: int,
        window_bytes: int,
        on_change: Callable[["Connection"], None],
    ) -> None:
        self.wire = Wire(timeouts, on_idle=self._idled, on_end=lambda: on_change(self))
        self.features = Features()
        self._timeouts = timeouts
        self._window_messages = window_messages
        self._window_bytes = window_bytes
        self._on_change = on_change
        self._greeting = Awaited(1)
        self.wire.wait(self._greeting, timeouts.greeting)
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._alone: asyncio.Task[None] | None = None
        self._clean = True  # the peer holds no half transaction
        self._leaving = False

    @property
    def closed(self) -> bool:
        return self.wire.closed

    @property
    def idle(self) -> bool:
        return self._alone is None and not self.wire.awaited

    # Opening

    async def open(self, hello: str) -> None:
        """Await the greeting and introduce ourselves.

        Raises:
            ConnectionLost: the peer does not want us, or is no mail server.
        """
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
            raise self.wire.tls_failed(f"STARTTLS refused: {reply.code} {reply.text}")
        await self.wire.encrypt(context, host)
        await self._hello(hello)

    async def _hello(self, name: str) -> None:
        reply = await self._command(f"EHLO {name}\r\n".encode("ascii"))
        self.features = Features.offered(reply)
        if reply.code // 100 == 5:
            self.features = Features()
            reply = await self._command(f"HELO {name}\r\n".encode("ascii"))
        if reply.code != 250:
            raise self._turned_away(reply)

    def _turned_away(self, reply: Reply) -> ConnectionLost:
        text = f"turned away: {reply.code} {reply.text}"
        return ConnectionLost(Temporary("4.3.2", text, Stage.CONNECT, reply.code))

    # Sending

    def has_room(self, transaction: Transaction) -> bool:
        """Whether ``transaction`` may start now."""
        if self.closed or self._leaving or self._alone is not None:
            return False
        if not self._in_flight:
            return True
        return (
            self._in_flight < self._window_messages
            and self._in_flight_bytes + transaction.size <= self._window_bytes
            and self._goes_at_once(transaction)
        )

    def start(self, transaction: Transaction) -> None:
        """Begin to send what there is room for; it is told every reply, or that the connection is lost."""
        self._in_flight += 1
        self._in_flight_bytes += transaction.size
        if self._goes_at_once(transaction):
            self._send_at_once(transaction)
        else:
            self._alone = asyncio.create_task(self._send_alone(transaction))

    def _goes_at_once(self, transaction: Transaction) -> bool:
        return (
            self.features.pipelining
            and self.features.chunking
            and transaction.size <= self._window_bytes
            and is_in_memory(transaction.outgoing.message)
        )

    def _send_at_once(self, transaction: Transaction) -> None:
        reset = self.wire.awaited or not self._clean
        transaction.begin(after_reset=reset)
        pieces = [b"RSET\r\n"] if reset else []
        pieces += transaction.commands(self.features)
        pieces.append(b"BDAT %d LAST\r\n" % transaction.size)
        pieces += transaction.outgoing.message.pieces()
        self.wire.write_soon(pieces)
        self.wire.wait(_InWindow(self, transaction), self._timeouts.content)

    async def _send_alone(self, transaction: Transaction) -> None:
        try:
            await self._converse(transaction)
        except ConnectionLost as lost:
            transaction.lost(lost.cause)
        except Exception as error:
            log.warning("a message could not be read", exc_info=error)
            self.wire.end(UNREADABLE)
            transaction.lost(UNREADABLE)
        except asyncio.CancelledError:
            self.wire.end(GIVEN_UP)
            transaction.lost(GIVEN_UP)
            raise
        finally:
            self._alone = None
            self.finished(transaction, clean=self._clean)

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
        if not self.features.pipelining:
            for command in commands:
                await self._exchange(command, Awaited(1, transaction.proposed), self._timeouts.command)
                if not transaction.wanted:
                    break
            return None
        if by_data:
            commands.append(b"DATA\r\n")
        awaited = Awaited(len(commands), transaction.proposed)
        replies = await self._exchange(b"".join(commands), awaited, self._timeouts.command)
        return replies[-1] if by_data else None

    async def _content(self, transaction: Transaction, *, by_data: bool) -> Reply:
        message = transaction.outgoing.message
        awaited = Awaited(1)
        awaited.future.add_done_callback(lambda _: self.wire.release())
        if by_data:
            pieces = dot_stuffed(message.pieces())
        else:
            pieces = chain((b"BDAT %d LAST\r\n" % transaction.size,), message.pieces())
        self.wire.wait(awaited, self._timeouts.content)
        self.wire.suspend()
        whole = await self._stream(pieces, awaited, in_memory=is_in_memory(message))
        self.wire.resume()
        reply = (await awaited.future)[0]
        return reply if whole or reply.code >= 400 else Reply(451, (b"an answer before the end of the content",))

    async def _stream(self, pieces: Iterator[bytes], awaited: Awaited, *, in_memory: bool) -> bool:
        """Write the content, giving the socket time after each piece and reading stored bytes in a thread.

        False if the answer, or the end of the connection, came first: then the rest is not worth sending.
        """
        loop = asyncio.get_running_loop()
        batch: list[bytes] = []
        size = 0
        while piece := next(pieces, b"") if in_memory else await loop.run_in_executor(None, next, pieces, b""):
            for part in _cut(piece):
                if awaited.future.done():
                    self._leaving = True
                    self.wire.hang_up()
                    return False
                batch.append(part)
                size += len(part)
                if size >= PIECE:
                    self.wire.write(b"".join(batch))
                    batch, size = [], 0
                    await self.wire.drain()
        self.wire.write(b"".join(batch))
        return True

    async def _command(self, command: bytes, patience: float | None = None) -> Reply:
        return (await self._exchange(command, Awaited(1), patience or self._timeouts.command))[0]

    async def _exchange(self, commands: bytes, awaited: Awaited, patience: float) -> list[Reply]:
        self.wire.wait(awaited, patience)
        self.wire.write(commands)
        return await awaited.future

    def finished(self, transaction: Transaction, *, clean: bool) -> None:
        """A transaction has ended; ``clean``: the peer holds nothing of it any more."""
        self._clean = clean
        self._in_flight -= 1
        self._in_flight_bytes -= transaction.size
        self._on_change(self)

    # Ending

    def quit(self) -> None:
        """Take leave when what is in flight has ended; used on idle connections and at the stop."""
        self._leaving = True
        if self.idle and not self.closed:
            farewell = Awaited(1)
            farewell.future.add_done_callback(self._part)
            self.wire.wait(farewell, self._timeouts.quit)
            self.wire.write(b"QUIT\r\n")

    def abort(self) -> None:
        """End at once; what is in flight is lost."""
        self.wire.end(GIVEN_UP)

    def _idled(self) -> None:
        if self.idle and not self._leaving:
            self.quit()

    def _part(self, farewell: "asyncio.Future[list[Reply]]") -> None:
        """The peer has said good-bye, or hung up, which is fine too."""
        if not farewell.cancelled() and farewell.exception() is None:
            self.wire.hang_up()


class _InWindow:
    """A transaction of which everything has been sent."""

    __slots__ = ("_connection", "_transaction")

    def __init__(self, connection: Connection, transaction: Transaction) -> None:
        self._connection = connection
        self._transaction = transaction

    def feed(self, reply: Reply) -> bool:
        if not self._transaction.feed(reply):
            return False
        self._connection.finished(self._transaction, clean=self._transaction.taken)
        return True

    def lost(self, cause: Temporary) -> None:
        self._transaction.lost(cause)
        self._connection.finished(self._transaction, clean=False)


def _cut(piece: bytes) -> Iterable[bytes]:
    if len(piece) <= PIECE:
        return (piece,)
    view = memoryview(piece)
    return (bytes(view[start : start + PIECE]) for start in range(0, len(piece), PIECE))
