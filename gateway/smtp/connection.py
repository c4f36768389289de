"""The socket side of one SMTP connection, the same for both servers: bytes, TLS, time, and an end that is heard."""

import asyncio
import ssl
from collections.abc import Callable

from gateway.smtp.hardening import Doing, Ticket, Watch
from gateway.smtp.inbox import Inbox
from gateway.smtp.limits import Limits
from gateway.smtp.replies import Reply

__all__ = ["Clock", "Connection"]

Clock = Callable[[], float]
"""Monotonic seconds."""

LINES_IN_A_ROW = 64
"""Commands of one flight obeyed before their replies leave and other connections have their turn."""

LINGER_SECONDS = 5.0
LINGER_BYTES = 1_000_000


class Connection:
    """What the two kinds of protocol have in common; they pass asyncio's calls on to it."""

    def __init__(self, limits: Limits, clock: Clock, left: "Callable[[Connection], None]", *, signs_in: bool) -> None:
        self._clock = clock
        self._left = left
        self._limits = limits
        self._unsent: list[bytes] = []
        self._drained: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._leaving: float | None = None
        self._discarded = 0
        self._lines = 0
        self._heard_all = False
        self.inbox = Inbox(self._before_wait)
        self.watch = Watch(limits, clock(), signs_in)
        self.ticket: Ticket | None = None
        self.unanswered = 0
        """Messages whose flows have not ended yet."""
        self.encrypted = False
        self.address = ""
        self.port = 0

    def attach(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple) and len(name) >= 2:
            self.address, self.port = str(name[0]), int(name[1])
        self.inbox.attach(transport)

    # asyncio's calls

    def received(self, data: bytes) -> None:
        if self._leaving is None:
            self.inbox.feed(data)
            return
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self.abort()

    def ended(self) -> bool:
        """The other end sends no more; whether it may still be told something."""
        self._heard_all = True
        self.inbox.feed_eof()
        return self._leaving is None and not self.encrypted

    def lost(self) -> None:
        """The connection is gone, once and for all."""
        self._transport = None
        self.inbox.attach(None)
        self.inbox.feed_eof()
        self.writable()
        if self.ticket is not None:
            self.ticket.give_back()
        self._left(self)

    def unwritable(self) -> None:
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()

    def writable(self) -> None:
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    # The conversation's calls

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._transport

    @property
    def open(self) -> bool:
        return self._transport is not None and self._leaving is None

    def turn(self, doing: Doing) -> None:
        self.watch.turn(doing, self._clock())

    def signed_in(self) -> None:
        self.watch.signs_in = False
        if self.ticket is not None:
            self.ticket.signed_in()

    def answered(self) -> None:
        """A flow ended. While it lasted the other end was waiting for us, so its time begins now."""
        self.unanswered -= 1
        if self.watch.doing is Doing.LISTENING:
            self.turn(Doing.LISTENING)

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by leaving now."""
        return self.watch.doing is Doing.LISTENING and not self.unanswered

    async def line(self) -> bytes:
        """The next command line; the other end has its time for it."""
        self._lines += 1
        if self._lines % LINES_IN_A_ROW == 0:
            await self.flush()  # one that always has the next command ready would never be answered
            await asyncio.sleep(0)
        self.turn(Doing.LISTENING)
        line = await self.inbox.line()
        self.turn(Doing.WORKING)
        return line

    def say(self, reply: Reply | bytes) -> None:
        """Send ``reply`` at the next ``flush``, or when the other end is waited for."""
        self._unsent.append(reply if isinstance(reply, bytes) else bytes(reply))

    async def take(self, most: int | None = None) -> bytes:
        """Bytes of the message that comes in now, at most ``most``."""
        data = await self.inbox.take(most)
        self.watch.taken += len(data)
        return data

    async def flush(self) -> None:
        """Send what is unsent; wait while the other end does not read."""
        self.send()
        if self._drained is not None:
            with self.watch.replying(self._clock):
                await self._drained

    def send(self) -> None:
        if self._unsent:
            data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
            self._unsent.clear()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(data)

    async def encrypt(self, protocol: asyncio.Protocol, context: ssl.SSLContext) -> None:
        """Speak TLS from here on.

        Raises:
            OSError, ssl.SSLError, TimeoutError: the handshake failed; the connection is gone.
        """
        transport = self._transport
        if transport is None:
            raise ConnectionResetError("the other end is gone")
        await self.flush()
        self.inbox.attach(None)
        self.turn(Doing.WORKING)  # the handshake has a time limit of its own
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport, protocol, context, server_side=True, ssl_handshake_timeout=self._limits.handshake_seconds
            )
        except BaseException:
            self.lost()  # asyncio does not say so to a protocol that never was encrypted
            raise
        if encrypted is None or self._transport is None:
            raise ConnectionResetError("the other end is gone")
        self.encrypted = True
        self._transport = encrypted
        self.inbox.attach(encrypted)

    def leave(self, reply: Reply | None = None) -> None:
        """Say good-bye and go, but stay long enough for it to be heard: unread bytes would turn it into a reset."""
        if self._transport is None or self._leaving is not None:
            return
        if reply is not None:
            self.say(reply)
        self.send()
        self._leaving = self._clock()
        self.inbox.clear()
        self.inbox.feed_eof()
        if self.encrypted or self._heard_all:
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:
            self.abort()  # the other end is gone already

    def turn_away(self, reply: Reply) -> None:
        """Say ``reply`` and close at once: what is turned away shall cost nothing."""
        self.say(reply)
        self.send()
        self._leaving = self._clock()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, now: float) -> None:
        """End the connection if the other end is late."""
        if self._leaving is not None:
            if now - self._leaving > LINGER_SECONDS:
                self.abort()
            return
        if self.unanswered and self.watch.doing is Doing.LISTENING:
            return
        reply = self.watch.overdue(now)
        if reply is not None:
            self.leave(reply)

    async def _before_wait(self) -> None:
        await self.flush()
