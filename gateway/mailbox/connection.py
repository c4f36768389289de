"""A connection of lines: bounded lines in, buffered bytes out, TLS from the start or later.

Nothing is read ahead of what the session takes beyond a small window, nothing is written faster than the client
takes it, and every wait has an end.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, cast

__all__ = ["Connection", "ConnectionGone", "Interrupted", "LineTooLong", "TooSlow"]

_WINDOW: Final = 64 * 1024  # bytes read ahead, and bytes of replies gathered before they are written
_FAREWELL_SECONDS: Final = 10.0  # for the last words of a connection to reach the client
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class ConnectionGone(Exception):
    """The other end left."""


class Interrupted(Exception):
    """This side wants to end the connection."""


class LineTooLong(Exception):
    """A line, or something that never becomes one."""


class TooSlow(Exception):
    """The other end neither says nor takes anything."""


class Connection(asyncio.Protocol):
    """One accepted connection; ``serve`` is called once with it and runs as a task."""

    def __init__(self, serve: "Callable[[Connection], Awaitable[None]]") -> None:
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._replies = bytearray()
        self._gone = False
        self._reading = True
        self._ended = False  # the other end sends no more
        self._interrupted = False
        self._last_call: asyncio.TimerHandle | None = None
        self._tls = False
        self._input: asyncio.Future[None] | None = None
        self._output: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport
        self.address = ""
        self.port = 0
        self.task: asyncio.Task[None]

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()  # until the session knows whether TLS or lines come first
        peer = transport.get_extra_info("peername")
        self.address, self.port = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("", 0)
        _keep_alive(transport.get_extra_info("socket"))
        self.task = self._loop.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _WINDOW and self._reading:
            self._reading = False
            self._transport.pause_reading()
        _wake(self._input)

    def eof_received(self) -> bool:
        self._ended = True
        _wake(self._input)
        return not self._tls  # whoever sends everything and closes his half still reads the answers; TLS has no halves

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._gone = True
        if self._last_call is not None:
            self._last_call.cancel()
        _wake(self._input)
        _wake(self._output)

    def pause_writing(self) -> None:
        if self._output is None or self._output.done():
            self._output = self._loop.create_future()

    def resume_writing(self) -> None:
        _wake(self._output)

    # What the session calls.

    @property
    def has_line(self) -> bool:
        """Whether a line has come that the session has not taken: the client pipelines."""
        return b"\n" in self._received

    def begin(self) -> None:
        """Take lines from now on, in clear."""
        self._reading = True
        self._transport.resume_reading()

    async def line(self, longest: int, seconds: float) -> bytes:
        """The next line without its line end (CRLF, or LF alone as people type it).

        Raises:
            LineTooLong: more than ``longest`` bytes with the line end.
            ConnectionGone: the other end left before a whole line came.
            Interrupted: somebody called ``interrupt``.
            TooSlow: nothing whole within ``seconds``.
        """
        until = self._loop.time() + seconds
        searched = 0
        if self._interrupted:
            raise Interrupted
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched >= longest:
                raise LineTooLong
            if self._gone or self._ended:
                raise ConnectionGone
            await self._more(until)
            if self._interrupted:
                raise Interrupted
        if end >= longest:
            raise LineTooLong
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        if not self._reading and len(self._received) <= _WINDOW:
            self.begin()
        return line.removesuffix(b"\r")

    def write(self, data: bytes) -> None:
        """Add to the replies; ``flush`` sends them."""
        self._replies += data

    async def flush(self, bytes_per_second: int) -> None:
        """Send what was written; waits while the client is behind.

        Raises:
            ConnectionGone: there is nobody to send it to.
            TooSlow: the client takes less than ``bytes_per_second``.
        """
        if self._gone:
            raise ConnectionGone
        data = bytes(self._replies)
        self._replies.clear()
        if data:
            self._transport.write(data)
        waiting = self._output
        if waiting is None or waiting.done():
            return
        backlog = self._transport.get_write_buffer_size() + _WINDOW
        try:
            async with asyncio.timeout(backlog / bytes_per_second):
                await waiting
        except TimeoutError:
            raise TooSlow from None
        if self._gone:
            raise ConnectionGone

    async def send(self, data: bytes, bytes_per_second: int) -> None:
        """Write, and flush when enough has gathered."""
        self._replies += data
        if len(self._replies) >= _WINDOW:
            await self.flush(bytes_per_second)

    async def start_tls(self, context: ssl.SSLContext, seconds: float) -> None:
        """Begin TLS. Raises ConnectionGone when the handshake fails or something was said in clear before it."""
        if self._received or self._gone:  # said in clear to count as said under TLS (D11)
            raise ConnectionGone
        try:
            transport = await self._loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=seconds
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self._gone = True
            raise ConnectionGone from error
        if transport is None:
            raise ConnectionGone
        self._transport, self._tls = transport, True

    def interrupt(self) -> None:
        """End the session at its next line; what it does now it finishes."""
        self._interrupted = True
        _wake(self._input)

    def close(self) -> None:
        """Send what was written and end; does not wait, and gives a client that takes nothing a short while."""
        if self._gone or self._transport.is_closing():
            return
        if self._replies:
            self._transport.write(bytes(self._replies))
            self._replies.clear()
        self._last_call = self._loop.call_later(_FAREWELL_SECONDS, self._transport.abort)
        self._transport.close()

    def abort(self) -> None:
        """End at once, whatever is still to be sent."""
        self._transport.abort()

    async def _run(self) -> None:
        try:
            await self._serve(self)
        finally:
            self.close()

    async def _more(self, until: float) -> None:
        self._input = self._loop.create_future()
        try:
            async with asyncio.timeout_at(until):
                await self._input
        except TimeoutError:
            raise TooSlow from None


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


def _keep_alive(sock: socket.socket | None) -> None:
    """Notice a client that vanished without a word within two minutes, so that it holds no mailbox."""
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
