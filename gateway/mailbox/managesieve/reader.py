"""From lines and literals to one whole command (RFC 5804 section 4)."""

from gateway.mailbox.connection import Connection
from gateway.mailbox.literals import drain, literal
from gateway.mailbox.managesieve.grammar import LITERAL
from gateway.mailbox.managesieve.limits import SieveLimits

__all__ = ["LiteralRefused", "request"]


class LiteralRefused(Exception):
    """A literal too large, which has been read for nothing together with the rest of its command."""


async def request(connection: Connection, limits: SieveLimits, *, most: int, seconds: float) -> bytes:
    """The next command without its last line end, sending first what was written.

    Args:
        most: bytes of the command, literals included.

    Raises:
        LiteralRefused: the command is to be answered; the next one can be read.
        LineTooLong: there is no way on. And what ``Connection.line`` raises.
    """
    text = b""
    while True:
        if not connection.has_line:
            await connection.flush(limits.bytes_per_second)
        line = await connection.line(most - len(text), seconds)
        found = LITERAL.search(line)
        if found is None:
            return text + line
        size = int(found[1])
        text += line
        if len(text) + size >= most:
            await drain(connection, size, limits.idle_seconds, most=limits.drained_bytes)
            await connection.line(limits.stranger_bytes, limits.idle_seconds)  # what stands behind it
            raise LiteralRefused
        text = b"".join((text, b"\r\n", await literal(connection, size, seconds)))
