"""A client of clamd, ClamAV's daemon: one message in, one verdict out (clamd(8): INSTREAM, VERSION).

The message goes through a socket in pieces and is never copied whole. Whatever is not a plain verdict is no verdict:
then ``ScannerUnavailable`` is raised, never "clean".
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol

from gateway.points.screening import Look, NotScreened, Verdict
from receipts.headers import visible
from receipts.octets import WINDOW, Octets

__all__ = ["Clamd", "ClamdAddress", "Scanner", "ScannerUnavailable"]

ClamdAddress = Path | tuple[str, int]
"""A unix socket, or host and port."""

PARALLEL: Final = 8
"""Messages handed over at the same time; clamd has ten threads unless it is told otherwise."""
MOST_REPLY: Final = 4_096
LONGEST_NAME: Final = 200
IN_MEMORY: Final = 1_000_000
"""Bytes of a message up to which all of it is in memory; the pieces of a larger one may have to be fetched."""

_LENGTH: Final = struct.Struct("!L")
_END: Final = _LENGTH.pack(0)
_FOUND: Final = " FOUND"
_STREAM: Final = "stream: "
_TOO_LARGE: Final = "INSTREAM size limit exceeded"
_MEETINGS: Final = {"Heuristics.Encrypted.": Look.ENCRYPTED, "Heuristics.Limits.Exceeded": Look.INCOMPLETE}
"""What clamd reports like a virus, though it has found none (AlertEncrypted, AlertExceedsMax)."""


class ScannerUnavailable(NotScreened):
    """The scanner is away, too slow, or talks nonsense."""


class Scanner(Protocol):
    """Whatever can tell whether a message holds a virus."""

    async def scan(self, message: Octets) -> Verdict:
        """Raises ScannerUnavailable if it cannot tell."""
        ...

    async def version(self) -> str:
        """Which scanner, with which signatures. Raises ScannerUnavailable if it does not answer."""
        ...


class Clamd:
    """Talks to one clamd.

    Args:
        timeout_seconds: for all of one scan, the wait for a turn included.
    """

    def __init__(self, address: ClamdAddress, *, timeout_seconds: float) -> None:
        self._address = address
        self._timeout = timeout_seconds
        self._turns = asyncio.Semaphore(PARALLEL)

    async def scan(self, message: Octets) -> Verdict:
        return _verdict(await self._ask(_portions(message)))

    async def version(self) -> str:
        return visible(await self._ask(_once(b"zVERSION\0")))

    async def _ask(self, portions: AsyncIterator[bytes]) -> str:
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                with contextlib.closing(await _connected(self._address)) as connection:
                    return await _answer(connection, portions)
        except TimeoutError as error:
            raise ScannerUnavailable(f"clamd gave no answer in {self._timeout:g} s") from error
        except OSError as error:
            raise ScannerUnavailable(f"clamd cannot be reached: {error.strerror or error}") from error


async def _connected(address: ClamdAddress) -> socket.socket:
    if isinstance(address, Path):
        return await _opened(socket.AF_UNIX, str(address))
    failure = OSError("no such host")
    found = await asyncio.get_running_loop().getaddrinfo(*address, type=socket.SOCK_STREAM)
    for family, _, _, _, where in found:
        try:
            return await _opened(family, where)
        except OSError as error:
            failure = error
    raise failure


async def _opened(family: int, where: str | tuple[object, ...]) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def _answer(connection: socket.socket, portions: AsyncIterator[bytes]) -> str:
    """Say all of it and hear the reply, which comes before the end if clamd has had enough."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # then the reply says why, if there is one
        async for portion in portions:
            await loop.sock_sendall(connection, portion)
    reply = b""
    while b"\0" not in reply:
        piece = await loop.sock_recv(connection, MOST_REPLY)
        if not piece or len(reply) > MOST_REPLY:
            raise ScannerUnavailable("clamd ended the connection without a reply")
        reply += piece
    return reply.partition(b"\0")[0].decode("utf-8", "replace")


async def _once(command: bytes) -> AsyncIterator[bytes]:
    yield command


async def _portions(message: Octets) -> AsyncIterator[bytes]:
    """The conversation of INSTREAM: each piece behind its length; a small message all at once."""
    pieces = message.pieces()
    if message.size <= WINDOW:
        yield b"".join((b"zINSTREAM\0", _LENGTH.pack(message.size), *pieces, _END if message.size else b""))
        return
    yield b"zINSTREAM\0"
    fetched = message.size > IN_MEMORY
    while piece := await asyncio.to_thread(next, pieces, b"") if fetched else next(pieces, b""):
        yield _LENGTH.pack(len(piece)) + piece
    yield _END


def _verdict(reply: str) -> Verdict:
    """Raises ScannerUnavailable for a reply that is none."""
    if reply == f"{_STREAM}OK":
        return Verdict(Look.CLEAN)
    if reply.startswith(_STREAM) and reply.endswith(_FOUND):
        name = visible(reply[len(_STREAM) : -len(_FOUND)]).strip()[:LONGEST_NAME]
        look = next((look for prefix, look in _MEETINGS.items() if name.startswith(prefix)), Look.INFECTED)
        return Verdict(look, name)
    if reply.startswith(_TOO_LARGE):
        return Verdict(Look.INCOMPLETE, _TOO_LARGE)
    raise ScannerUnavailable(f"clamd says {visible(reply)[:LONGEST_NAME]!r}")
