"""What a connection sent and nobody has read yet: taken as command lines or as runs of message bytes.

Unlike asyncio's ``StreamReader`` it knows what a line of SMTP is (CRLF, nothing else; D11), hands messages out in
whole buffers, and says when it is about to wait, so that the replies to pipelined commands leave together.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.smtp import replies
from gateway.smtp.replies import Reply

__all__ = ["LONGEST_LINE", "BadLine", "Inbox"]

LONGEST_LINE = 1_000
"""Bytes of a command line, CRLF included (D11)."""

HIGH_WATER = 128 * 1024
"""Bytes that may wait here before the network has to."""


class BadLine(Exception):
    """A line that is no SMTP. After a ``fatal`` one the session ends: what follows it cannot be trusted."""

    def __init__(self, reply: Reply, *, fatal: bool) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.fatal = fatal


class Inbox:
    """Bytes in order of arrival. One reader at a time.

    Args:
        before_wait: awaited whenever the reader has to wait for the other end: time to send what is unsent.
    """

    def __init__(self, before_wait: Callable[[], Awaitable[None]]) -> None:
        self._before_wait = before_wait
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._at = 0
        self._arrived: deque[bytes] = deque()
        self._arrived_size = 0
        self._ended = False
        self._paused = False
        self._skipping = False
        self._waiter: asyncio.Future[None] | None = None

    def attach(self, transport: asyncio.Transport | None) -> None:
        """From now on ``transport`` is the one to pause; None while there is none."""
        self._transport = transport
        self._paused = False
        self._control()

    def feed(self, data: bytes) -> None:
        self._arrived.append(data)
        self._arrived_size += len(data)
        self._wake()
        if self._arrived_size > HIGH_WATER:
            self._control()

    def feed_eof(self) -> None:
        self._ended = True
        self._wake()

    @property
    def size(self) -> int:
        """Bytes that wait to be read."""
        return len(self._buffer) - self._at + self._arrived_size

    def clear(self) -> None:
        """Forget what waits."""
        self._buffer, self._at, self._arrived_size = b"", 0, 0
        self._arrived.clear()
        self._control()

    async def line(self) -> bytes:
        """The next line without its CRLF.

        Raises:
            BadLine: it is too long, or does not end with CRLF, or holds CR or NUL.
            ConnectionResetError: there is no further line.
        """
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            self._keep_tail()
            await self._more()
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        if self._skipping or len(line) > LONGEST_LINE:
            self._skipping = False
            raise BadLine(replies.LINE_TOO_LONG, fatal=False)
        text = line[:-2]
        if line[-2:] != b"\r\n" or b"\r" in text or b"\0" in text:
            raise BadLine(replies.LINE_NOT_CRLF, fatal=True)
        return text

    async def take(self, most: int | None = None) -> bytes:
        """What is here, at least one byte and not over ``most``.

        Raises:
            ConnectionResetError: nothing more will come.
        """
        while self._at == len(self._buffer):
            await self._more()
        start, stop = self._at, len(self._buffer)
        if most is not None:
            stop = min(stop, start + most)
        self._at = stop
        if start == 0 and stop == len(self._buffer):
            return self._buffer
        return self._buffer[start:stop]

    def put_back(self, data: bytes) -> None:
        """``data`` was taken too much."""
        if data:
            self._buffer, self._at = data + self._buffer[self._at :], 0

    async def _more(self) -> None:
        """Wait for bytes that follow those in the buffer."""
        while not self._arrived_size:
            if self._ended:
                raise ConnectionResetError("the other end is gone")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._before_wait()
                await self._waiter
            finally:
                self._waiter = None
        self._refill()

    def _refill(self) -> None:
        if self._arrived_size:
            rest = self._buffer[self._at :]
            if not rest and len(self._arrived) == 1:
                self._buffer = self._arrived.popleft()
            else:
                self._buffer = rest + b"".join(self._arrived)
                self._arrived.clear()
            self._arrived_size = 0
            self._at = 0
            if self._paused:
                self._control()

    def _keep_tail(self) -> None:
        """Of a line without end keep only that it is too long."""
        if len(self._buffer) - self._at > LONGEST_LINE:
            self._skipping = True
            self._buffer, self._at = b"", 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _control(self) -> None:
        """Let the network wait while too much waits here."""
        if self._transport is None or self._transport.is_closing():
            return
        if not self._paused and self._arrived_size > HIGH_WATER:
            self._paused = True
            self._transport.pause_reading()
        elif self._paused and not self._arrived_size:
            self._paused = False
            self._transport.resume_reading()
