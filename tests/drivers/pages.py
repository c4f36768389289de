"""A web server of the tests: says byte for byte what it is told to, and keeps what it was asked."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Pages", "answer", "pages"]


def answer(body: bytes = b"", status: int = 200, *fields: str) -> bytes:
    """A whole answer of HTTP."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Pages:
    """What is said on each path; an unknown one is 404."""

    port: int = 0
    scheme: str = "http"
    said: dict[str, bytes] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    holding: bool = False  # say nothing at all

    def url(self, path: str = "/", host: str = "localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-len")
                ),
                0,
            )
            self.asked.append(head + await reader.readexactly(length))
            if self.holding:
                await reader.read()
            path = head.split(b" ")[1].decode()
            writer.write(self.said.get(path, answer(b"", 404)))
            await writer.drain()
        writer.close()


@asynccontextmanager
async def pages(tls: ssl.SSLContext | None = None) -> AsyncIterator[Pages]:
    """A server on a free port of 127.0.0.1."""
    held = Pages(scheme="http" if tls is None else "https")
    server = await asyncio.start_server(held.serve, "127.0.0.1", 0, ssl=tls)
    held.port = server.sockets[0].getsockname()[1]
    try:
        yield held
    finally:
        server.close()
