"""A client without manners: it writes what the test says, when the test says, and reads replies one by one."""

import asyncio
import base64
import socket
import ssl
import struct
from collections.abc import Callable

from tests.smtp.fakes import PASSWORD

__all__ = ["Client", "Gone", "connected_pair", "until"]


class Gone(Exception):
    """The server closed the connection."""


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None, *, greeting: bool = True) -> "Client":
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
        client = cls(reader, writer)
        if greeting:
            assert (await client.reply()).startswith("220 mx.alfa.example ")
        return client

    async def reply(self) -> str:
        """The next reply, its lines joined by LF."""
        lines: list[str] = []
        async with asyncio.timeout(60):
            while True:
                try:
                    line = await self.reader.readline()
                except OSError:
                    line = b""
                if not line:
                    raise Gone
                assert line.endswith(b"\r\n"), line
                lines.append(line.decode("ascii").rstrip("\r\n"))
                if lines[-1][3:4] != "-":
                    return "\n".join(lines)

    async def gone(self) -> bool:
        """Whether the server closes without another word."""
        try:
            word = await self.reply()
        except Gone:
            return True
        raise AssertionError(f"still there: {word}")

    async def write(self, data: bytes, *, one_by_one: bool = False) -> None:
        pieces = [data[at : at + 1] for at in range(len(data))] if one_by_one else [data]
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def say(self, line: str | bytes) -> str:
        """Send a line, read a reply."""
        data = line if isinstance(line, bytes) else line.encode()
        await self.write(data + b"\r\n")
        return await self.reply()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert (await self.say("STARTTLS")).startswith("220 2.0.0 ")
        await self.writer.start_tls(context, server_hostname="localhost")

    async def sign_in(self, user: str = "anna@alfa.example", password: str = PASSWORD) -> None:
        await self.say("EHLO client.example")
        answer = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        assert await self.say(f"AUTH PLAIN {answer}") == "235 2.7.0 Welcome"

    async def begin(self, *recipients: str) -> None:
        """Open a transaction."""
        await self.say("EHLO client.example")
        assert (await self.say("MAIL FROM:<anna@alfa.example>")).startswith("250 2.1.0 ")
        for recipient in recipients or ("bruno@alfa.example",):
            assert (await self.say(f"RCPT TO:<{recipient}>")).startswith("250 2.1.5 ")

    async def send(self, message: bytes) -> str:
        """Send ``message``, which is dot-stuffed already and ends with CRLF, by DATA in an open transaction."""
        assert (await self.say("DATA")).startswith("354 ")
        await self.write(message + b".\r\n")
        return await self.reply()

    def reset(self) -> None:
        """Vanish, so that the server finds out at once."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def connected_pair(
    first: bytes,
) -> tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter], socket.socket]:
    """A connection on which ``first`` is waiting already when the server takes it."""
    listening = socket.create_server(("127.0.0.1", 0))
    writing = socket.create_connection(listening.getsockname())
    writing.sendall(first)
    ours, _ = listening.accept()
    listening.close()
    ours.setblocking(False)
    return await asyncio.open_connection(sock=writing), ours
