"""A message while it comes in: transparency, line rules, size and memory in one pass over whole buffers (D20).

Up to ``Limits.memory_bytes`` it stays in memory, beyond that it streams into a sink. A message with a fault is read to
its end and dropped, so that the reply comes where the other end waits for it.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from gateway.smtp import replies
from gateway.smtp.connection import Connection
from gateway.smtp.hardening import Budget, Doing
from gateway.smtp.limits import Limits
from gateway.smtp.replies import Reply
from receipts.octets import InMemory, Octets, Source

__all__ = ["DotStuffed", "Intake", "OpenSink", "Sink", "take_chunk", "take_message"]

log = logging.getLogger(__name__)

LONGEST_LINE = 1_000
"""Bytes of a line of a message, CRLF included (D11)."""

_CRLF = b"\r\n"
_TEXT = bytes(set(range(256)) - set(b"\r\n\0"))
"""Bytes that may stand anywhere. Taking them out shows what is left three times as fast as counting line ends does."""
_END = b"\r\n.\r\n"


class Sink(Protocol):
    """Where the bytes of a large message go while it comes in."""

    async def write(self, data: bytes, /) -> None: ...
    async def finish(self) -> Source | Octets: ...
    async def abort(self) -> None: ...


OpenSink = Callable[[], Sink]


class Intake:
    """One message. Feed it what came in, already without dots; ask it for the message at the end."""

    def __init__(self, limits: Limits, budget: Budget, open_sink: OpenSink) -> None:
        self._limits = limits
        self._budget = budget
        self._open_sink = open_sink
        self._pieces: list[bytes] = []
        self._held = 0
        self._sink: Sink | None = None
        self._last = b"\n"
        self._line = 0
        self.size = 0
        self.fault: Reply | None = None

    async def feed(self, piece: bytes) -> None:
        """Take the next bytes of the message, whatever the network made of their lines."""
        if not piece:
            return
        self.size += len(piece)
        fault = self.fault or self._fault_of(piece)
        if fault is not None:
            await self.drop(fault)
            return
        self._held += len(piece)
        try:
            await self._keep(piece)
        except Exception as error:
            await self.drop(replies.reply_for(error))

    async def finish(self) -> Octets | Reply:
        """The message, or why it is none. Its share of the budget stays taken until ``release``."""
        if self.fault is None and self._last == b"\r":
            self.fault = replies.MESSAGE_BAD_LINES
        if self.fault is not None:
            await self.drop(self.fault)
            return self.fault
        if self._sink is None:
            data = b"".join(self._pieces)
            self._pieces = []
            return Octets.whole(InMemory.of(data))
        try:
            kept = await self._sink.finish()
        except Exception as error:
            await self.drop(fault := replies.reply_for(error))
            return fault
        self._sink = None
        return kept if isinstance(kept, Octets) else Octets.whole(kept)

    async def drop(self, fault: Reply | None) -> None:
        """Nothing of this message is wanted any more, because of ``fault`` or because the other end is gone."""
        self.fault = fault
        self._pieces = []
        self.release()
        if self._sink is not None:
            sink, self._sink = self._sink, None
            try:
                await sink.abort()
            except Exception as error:
                log.warning("sink not aborted", exc_info=error)

    def release(self) -> None:
        """Give back the message's share of the budget: it is decided, or dropped."""
        self._budget.give_back(self._held)
        self._held = 0

    @property
    def hopeless(self) -> bool:
        """Whether so much came after a fault that reading on serves nobody."""
        return self.fault is not None and self.size > 2 * self._limits.max_message_bytes

    async def _keep(self, piece: bytes) -> None:
        if self._sink is not None:
            await self._sink.write(piece)
            return
        self._pieces.append(piece)
        if self.size > self._limits.memory_bytes:
            head, self._pieces = b"".join(self._pieces), []
            self._sink = self._open_sink()
            await self._sink.write(head)

    def _fault_of(self, piece: bytes) -> Reply | None:
        if self.size > self._limits.max_message_bytes:
            return replies.TOO_BIG
        if not self._clean(piece):
            return replies.MESSAGE_BAD_LINES
        if not self._short_lines(piece):
            return replies.MESSAGE_LONG_LINE
        if not self._budget.take(len(piece)):
            return replies.BUSY_MEMORY
        return None

    def _clean(self, piece: bytes) -> bool:
        """Whether every LF follows a CR and every CR precedes a LF, also across pieces, and there is no NUL."""
        marks = piece.translate(None, _TEXT)
        if self._last == b"\r":
            marks = b"\r" + marks if piece.startswith(b"\n") else b"\n"
        self._last = piece[-1:]
        if self._last == b"\r":
            marks = marks[:-1]
        return marks == _CRLF * (len(marks) // 2)

    def _short_lines(self, piece: bytes) -> bool:
        """Whether no line is over LONGEST_LINE: jumps from line end to line end, a line's length at a time."""
        at = -self._line  # where the line at hand began
        size = len(piece)
        while size - at > LONGEST_LINE:
            end = piece.rfind(b"\n", max(at, 0), at + LONGEST_LINE)
            if end < 0:
                return False
            at = end + 1
        end = piece.rfind(b"\n", max(at, 0))
        self._line = size - at if end < 0 else size - end - 1
        return True


class DotStuffed:
    """The bytes of DATA (RFC 5321 4.5.2): the lines of a message, with an extra dot where one begins with a dot.

    Only CRLF, dot, CRLF ends them. What waits here for its line end is never longer than a line may be.
    """

    def __init__(self) -> None:
        self._carry = _CRLF  # as if a line had just ended; goes out with the line after it
        self._begun = False

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """The message bytes that are certain by now, and what follows the end; None there if it is not reached."""
        data = self._carry + data
        end = data.find(_END)
        if end >= 0:
            return self._lines(data[: end + 2]), data[end + 5 :]
        cut = data.rfind(_CRLF)
        if cut <= 0 and len(data) <= LONGEST_LINE + 4:
            self._carry = data
            return b"", None
        if cut <= 0 or len(data) - cut > LONGEST_LINE + 4:
            cut = len(data) - 4  # an overlong line: let it through, the line rule will find it
        self._carry = data[cut:]
        return self._lines(data[:cut]), None

    def _lines(self, data: bytes) -> bytes:
        """``data`` without stuffing dots, and without the line end that stood before the message."""
        plain = data.replace(b"\r\n.", _CRLF)
        if not self._begun:
            self._begun = True
            return plain[2:]
        return plain


async def take_message(connection: Connection, intake: Intake) -> Octets | Reply:
    """Take the bytes of DATA up to their end, in the time they may take.

    Raises:
        ConnectionResetError: they have no end: the other end is gone, or sends on and on.
    """
    stuffed = DotStuffed()
    rest: bytes | None = None
    connection.turn(Doing.TAKING)
    try:
        while rest is None:
            lines, rest = stuffed.feed(await connection.take())
            await intake.feed(lines)
            _give_up(connection, intake)
        connection.inbox.put_back(rest)
        connection.turn(Doing.WORKING)
        return await intake.finish()
    except BaseException:
        await intake.drop(None)
        raise


async def take_chunk(connection: Connection, intake: Intake, size: int) -> None:
    """Take the ``size`` bytes of a BDAT chunk; raises as ``take_message``."""
    connection.turn(Doing.TAKING)
    while size:
        data = await connection.take(size)
        size -= len(data)
        await intake.feed(data)
        _give_up(connection, intake)
    connection.turn(Doing.WORKING)


def _give_up(connection: Connection, intake: Intake) -> None:
    """Read no further behind a fault than twice what a message may have."""
    if intake.hopeless:
        connection.leave(intake.fault)
        raise ConnectionResetError("a refused message went on and on")
