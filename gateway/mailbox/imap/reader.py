"""From lines and literals to one whole command; the message of an APPEND stays on the wire."""

import re
from dataclasses import dataclass
from typing import Final

from gateway.mailbox.connection import Connection
from gateway.mailbox.imap import replies
from gateway.mailbox.imap.commands import Append
from gateway.mailbox.imap.grammar import append_head
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.literals import drain, literal

__all__ = ["Incoming", "LiteralRefused", "request"]

_LITERAL: Final = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
_LONGEST: Final = 30  # bytes of that: all before them need not be looked through
_TAG: Final = re.compile(rb"[\x21-\x7e]{1,100}")
_DRAINED: Final = 4  # times what a client may send: a refused literal may be so large before the connection ends


class LiteralRefused(Exception):
    """A literal too large, of which nothing has been read, or nothing is left to read."""

    def __init__(self, tag: bytes) -> None:
        super().__init__("literal too large")
        self.tag = tag


@dataclass(frozen=True, slots=True)
class Incoming:
    """An APPEND whose message comes next."""

    tag: bytes
    append: Append
    size: int
    waits: bool  # the client waits for a word before it sends the message


async def request(
    connection: Connection, limits: ImapLimits, *, most: int, seconds: float, utf8: bool, inside: bool
) -> bytes | Incoming:
    """The next command without its last line end, sending first what was written.

    Args:
        most: bytes of the command, literals included.
        inside: somebody has signed in, and may put messages into folders.

    Raises:
        LiteralRefused: the command is to be answered; the next one can be read.
        LineTooLong: there is no way on. And what ``Connection.line`` raises.
    """
    text = b""
    while True:
        if not connection.has_line:
            await connection.flush(limits.bytes_per_second)
        line = await connection.line(most - len(text), seconds)
        found = _LITERAL.search(line, max(0, len(line) - _LONGEST))
        if found is None:
            return text + line
        size, waits = int(found[2]), not found[3]
        head = append_head(text + line[: found.start()], utf8=utf8) if inside else None
        if head is not None:
            return Incoming(head[0], head[1], size, waits)
        text += line
        if len(text) + size > most:
            if not waits:
                await drain(connection, size, limits.idle_seconds, most=most * _DRAINED)
                await connection.line(most, seconds)
            tag = _TAG.match(text)
            raise LiteralRefused(tag[0] if tag else b"*")
        if waits:
            connection.write(replies.READY_FOR_LITERAL)
            await connection.flush(limits.bytes_per_second)
        text = b"".join((text, b"\r\n", await literal(connection, size, seconds)))
