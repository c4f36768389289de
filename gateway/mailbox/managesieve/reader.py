"""From lines and literals to one whole command (RFC 5804 section 4)."""

from gateway.mailbox.connection import Connection, LineTooLong
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
            await _drain(connection, limits, size)
            raise LiteralRefused
        text = b"".join((text, b"\r\n", await _literal(connection, size, seconds)))


async def _drain(connection: Connection, limits: SieveLimits, size: int) -> None:
    """Read a literal and what stands behind it for nothing."""
    if size > limits.drained_bytes:
        raise LineTooLong
    while size:
        size -= len(await connection.octets(size, limits.idle_seconds))
    await connection.line(limits.stranger_bytes, limits.idle_seconds)


async def _literal(connection: Connection, size: int, seconds: float) -> bytes:
    pieces: list[bytes] = []
    while size:
        pieces.append(await connection.octets(size, seconds))
        size -= len(pieces[-1])
    return b"".join(pieces)
