"""Conversations of the load generator: a mailbox's submission and POP3 sessions, over TLS."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

__all__ = ["Mailbox", "Session", "pop3", "submission"]

LONGEST_REPLY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mailbox:
    address: str
    password: str
    submissions: int  # ports
    pop3s: int


class Session:
    """Lines out, replies in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    async def line(self) -> bytes:
        return await self._reader.readuntil(b"\r\n")

    async def ask(self, command: str) -> str:
        self.write(command.encode() + b"\r\n")
        return (await self.line()).decode("utf-8", "replace")

    async def expect(self, start: bytes, *, accepted: bool = False) -> None:
        """Read a reply, all its lines. Raises RuntimeError if it is another one."""
        line = await self.line()
        while line[3:4] == b"-":
            line = await self.line()
        if not line.startswith(start) or (accepted and b"not accepted" in line):
            raise RuntimeError(line.decode("utf-8", "replace").strip())

    async def listing(self) -> bytes:
        """A multi-line reply of POP3."""
        first = await self.line()
        if not first.startswith(b"+OK"):
            raise RuntimeError(first.decode("utf-8", "replace").strip())
        return await self._reader.readuntil(b"\r\n.\r\n")


@contextlib.asynccontextmanager
async def submission(box: Mailbox, context: ssl.SSLContext) -> AsyncIterator[Session]:
    async with _connected(box.submissions, context) as session:
        await session.expect(b"220")
        session.write(b"EHLO load.example\r\n")
        await session.expect(b"250")
        token = base64.b64encode(f"\0{box.address}\0{box.password}".encode()).decode()
        session.write(f"AUTH PLAIN {token}\r\n".encode())
        await session.expect(b"235")
        yield session
        session.write(b"QUIT\r\n")


@contextlib.asynccontextmanager
async def pop3(box: Mailbox, context: ssl.SSLContext) -> AsyncIterator[Session]:
    async with _connected(box.pop3s, context) as session:
        await session.expect(b"+OK")
        session.write(f"USER {box.address}\r\nPASS {box.password}\r\n".encode())
        await session.expect(b"+OK")
        await session.expect(b"+OK")
        yield session
        session.write(b"QUIT\r\n")
        await session.expect(b"+OK")


@contextlib.asynccontextmanager
async def _connected(port: int, context: ssl.SSLContext) -> AsyncIterator[Session]:
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context, limit=LONGEST_REPLY)
    try:
        yield Session(reader, writer)
    finally:
        writer.close()
