"""The wire of an SMTP client: bytes out, replies in and given to those who wait for them, in order and in time."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from gateway.drivers.smtp_replies import BadReply, Reply, ReplyReader
from gateway.drivers.transmission import Stage, Temporary

__all__ = ["Awaited", "ConnectionLost", "Timeouts", "Waiter", "Wire"]


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


class Waiter(Protocol):
    """Somebody who waits for one reply or several."""

    def feed(self, reply: Reply) -> bool:
        """Take a reply; True when it was the last one."""
        ...

    def lost(self, cause: Temporary) -> None:
        """No more replies will come."""
        ...


class Awaited:
    """Collects the replies to a group of commands for a coroutine, which awaits ``future``."""

    __slots__ = ("_count", "_each", "_replies", "future")

    def __init__(self, count: int, each: Callable[[Reply], object] | None = None) -> None:
        self.future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
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
            self.future.exception()  # whoever gave up waiting need not hear of it


class Wire(asyncio.Protocol):
    """One TCP connection.

    ``on_idle`` is called when nobody has waited for the idle time, ``on_end`` once, when the connection is over and
    everybody who waited has been told.
    """

    def __init__(self, timeouts: Timeouts, *, on_idle: Callable[[], None], on_end: Callable[[], None]) -> None:
        self.closed = False
        self.secure = False
        self._timeouts = timeouts
        self._on_idle = on_idle
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._replies = ReplyReader()
        self._waiting: deque[tuple[Waiter, float]] = deque()
        self._outbox: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._hanging_up = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # Sending

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for a reply."""
        return bool(self._waiting)

    def wait(self, waiter: Waiter, patience: float) -> None:
        """Let ``waiter`` have the replies behind those that others wait for, each within ``patience`` seconds."""
        if self.closed:
            waiter.lost(Temporary("4.4.2", "connection lost", Stage.CONNECT))
            return
        self._waiting.append((waiter, patience))
        if len(self._waiting) == 1:
            self._arm()

    def write_soon(self, pieces: list[bytes]) -> None:
        """Send with whatever else is written in the same turn of the event loop."""
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.extend(pieces)

    def write(self, data: bytes) -> None:
        self._outbox.append(data)
        self._flush()

    async def drain(self) -> None:
        """Return when the peer has read enough, or never will; a peer that stops reading ends the connection."""
        if self._writable.is_set():
            return
        try:
            async with asyncio.timeout(self._timeouts.block):
                await self._writable.wait()
        except TimeoutError:
            self.end(Temporary("4.4.2", "the peer stopped reading", Stage.CONTENT))

    def release(self) -> None:
        """Let ``drain`` return: what it waits with is not worth sending any more."""
        self._writable.set()

    def suspend(self) -> None:
        """Expect no reply until the next write that is waited for: content is on its way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        self._arm()

    async def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Change to TLS.

        Raises:
            ConnectionLost: the handshake failed, or the peer said something in clear behind its consent.
        """
        if not self._replies.empty or self._waiting or self._transport is None:
            raise self.tls_failed("bytes in clear behind the reply to STARTTLS")
        self.suspend()
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
            raise self.tls_failed(f"TLS: {getattr(error, 'verify_message', '') or error}") from error
        if transport is None or self.closed:
            raise self.tls_failed("TLS: the connection ended")
        self._transport = transport
        self.secure = True

    # Ending

    def hang_up(self) -> None:
        """End in good order: what was written is still sent."""
        self._hanging_up = True
        if self._transport is not None:
            self._transport.close()

    def end(self, cause: Temporary) -> None:
        """End at once. Everybody who waits is told ``cause``."""
        if self.closed:
            return
        self.closed = True
        self.suspend()
        self._outbox.clear()
        self._writable.set()
        if self._transport is not None:
            self._transport.close() if self._hanging_up else self._transport.abort()
        lost, self._waiting = self._waiting, deque()
        for waiter, _ in lost:
            waiter.lost(cause)
        self._on_end()

    def tls_failed(self, text: str) -> ConnectionLost:
        cause = Temporary("4.7.5", text[:400], Stage.TLS)
        self.end(cause)
        return ConnectionLost(cause)

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
            self.end(Temporary("4.5.0", str(error), Stage.CONNECT))
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ssl.SSLError):
            self.tls_failed(f"TLS: {exc}")
        else:
            self.end(Temporary("4.4.2", "connection lost", Stage.CONNECT))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _take(self, reply: Reply) -> None:
        if reply.code == 421:
            self.end(Temporary("4.3.2", reply.text or "service closing", Stage.CONNECT, 421))
        elif not self._waiting:
            self.end(Temporary("4.5.0", "a reply nobody asked for", Stage.CONNECT))
        else:
            head = self._waiting.popleft()
            if not head[0].feed(reply):
                self._waiting.appendleft(head)

    def _flush(self) -> None:
        if self._outbox and self._transport is not None and not self.closed:
            self._transport.write(self._outbox[0] if len(self._outbox) == 1 else b"".join(self._outbox))
        self._outbox.clear()

    # Time

    def _arm(self) -> None:
        """Set the time by which the next reply must be here, or an unused connection counts as idle."""
        if self.closed:
            return
        self._deadline = self._loop.time() + (self._waiting[0][1] if self._waiting else self._timeouts.idle)
        if self._timer is None or self._deadline < self._timer.when():
            self.suspend()
            self._timer = self._loop.call_at(self._deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._tick)
        elif self._waiting:
            self.end(Temporary("4.4.2", "no answer in time", Stage.CONNECT))
        else:
            self._on_idle()
