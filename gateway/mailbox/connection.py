"""A connection of lines: bounded lines in, buffered bytes out, TLS from the start or later, compressed if asked.

Nothing is read ahead of what the session takes beyond a small window, nothing is written faster than the client
takes it, and every wait has an end.
"""

import asyncio
import socket
import ssl
import zlib
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
        self._deflated: Deflated | None = None
        self._transport: asyncio.Transport
        self.by: float | None = None
        """The moment of the loop after which nothing is read any more, however much comes: for strangers."""
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
        if self._deflated is None:
            self._received += data
        elif not self._deflated.take(data, self._received, _WINDOW):
            self.abort()
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
        until = self._until(seconds)
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
        self._taken(end + 1)
        return line.removesuffix(b"\r")

    async def octets(self, most: int, seconds: float) -> bytes:
        """Some of the next bytes, one at least and ``most`` at most. Raises as ``line``."""
        until = self._until(seconds)
        while not self._received:
            if self._gone or self._ended:
                raise ConnectionGone
            await self._more(until)
        if self._interrupted:
            raise Interrupted
        found = bytes(self._received[:most])
        self._taken(len(found))
        return found

    def _until(self, seconds: float) -> float:
        """Until when to wait. Raises TooSlow if nothing more is read anyway."""
        now = self._loop.time()
        if self.by is not None and now >= self.by:
            raise TooSlow
        return now + seconds if self.by is None else min(now + seconds, self.by)

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
        self._hand_over()
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

    def compress(self) -> None:
        """Compress both ways from the next byte on (RFC 4978). Raises ConnectionGone if more was said already."""
        if self._received or self._gone:
            raise ConnectionGone
        self._hand_over()
        self._deflated = Deflated()

    def interrupt(self) -> None:
        """End the session at its next line; what it does now it finishes."""
        self._interrupted = True
        _wake(self._input)

    def close(self) -> None:
        """Send what was written and end; does not wait, and gives a client that takes nothing a short while."""
        if self._gone or self._transport.is_closing():
            return
        self._hand_over()
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

    def _hand_over(self) -> None:
        """Give the transport what was written."""
        if not self._replies:
            return
        data = bytes(self._replies)
        self._replies.clear()
        self._transport.write(data if self._deflated is None else self._deflated.pack(data))

    def _taken(self, number: int) -> None:
        del self._received[:number]
        if len(self._received) > _WINDOW:
            return
        if self._deflated is not None and not self._deflated.unpack(self._received, _WINDOW):
            self.abort()
        if not self._reading and len(self._received) <= _WINDOW:
            self.begin()

    async def _more(self, until: float) -> None:
        if self._deflated is not None and self._deflated.waiting:
            if not self._deflated.unpack(self._received, len(self._received) + _WINDOW):
                raise ConnectionGone
            return
        if not self._reading:  # a line, longer than the window
            self.begin()
        self._input = self._loop.create_future()
        try:
            async with asyncio.timeout_at(until):
                await self._input
        except TimeoutError:
            raise TooSlow from None


class Deflated:
    """Both streams of a compressed connection (RFC 4978)."""

    def __init__(self) -> None:
        # Windows of 8 kB out: an idle session holds 100 kB for them rather than 300.
        self._out = zlib.compressobj(6, zlib.DEFLATED, -13, 6)
        self._in = zlib.decompressobj(-zlib.MAX_WBITS)
        self._compressed = b""

    @property
    def waiting(self) -> bool:
        """Whether bytes came that are not unpacked: few may hide very many."""
        return bool(self._compressed)

    def pack(self, data: bytes) -> bytes:
        return self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)

    def take(self, data: bytes, received: bytearray, window: int) -> bool:
        """As ``unpack``, with more that came."""
        self._compressed += data
        return self.unpack(received, window)

    def unpack(self, received: bytearray, window: int) -> bool:
        """Fill ``received`` until it holds a little more than ``window``. False: what came is not compressed."""
        try:
            while self._compressed and len(received) <= window:
                received += self._in.decompress(self._compressed, window + 1)
                self._compressed = self._in.unconsumed_tail
        except zlib.error:
            return False
        return not self._in.eof


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
