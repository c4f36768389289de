"""Literals: octets of which the client said how many come (RFC 3501 section 4.3, RFC 5804 section 4)."""

from gateway.mailbox.connection import Connection, LineTooLong

__all__ = ["drain", "literal"]


async def literal(connection: Connection, size: int, seconds: float) -> bytes:
    """The next ``size`` octets, each part of them within so many seconds. Raises as ``Connection.octets``."""
    pieces: list[bytes] = []
    while size:
        pieces.append(await connection.octets(size, seconds))
        size -= len(pieces[-1])
    return b"".join(pieces)


async def drain(connection: Connection, size: int, seconds: float, *, most: int) -> None:
    """Read a literal for nothing. Raises LineTooLong if there is more of it than ``most`` bytes."""
    if size > most:
        raise LineTooLong
    while size:
        size -= len(await connection.octets(size, seconds))
