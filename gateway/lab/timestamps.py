"""The lab's time-stamp authority (RFC 3161 over HTTP): ``openssl ts`` makes the stamps."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from gateway.lab.authority import Issued
from gateway.lab.files import write_private, write_public

__all__ = ["Reply", "TimeStampServer", "TimeStamper"]

MAX_QUERY_BYTES: Final = 64 * 1024
MAX_HEAD_BYTES: Final = 16 * 1024
PATIENCE_SECONDS: Final = 10.0
POLICY: Final = "1.3.6.1.4.1.99999.1"  # of nobody
CONFIGURATION: Final = """\
[tsa]
default_tsa = lab
[lab]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key.pem
signer_digest = sha256
default_policy = {policy}
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
{more}
"""

Reply = Callable[[bytes], Awaitable[bytes]]
"""A TimeStampResp to a TimeStampReq, both in DER. Raises ValueError if there is none."""


class TimeStamper:
    """Stamps with a key and certificate of its own.

    Args:
        issued: the certificate's only purpose is time stamping.
        folder: where its files are kept; no stamp has the number of an earlier one.
        more: lines for the configuration of ``openssl ts``.
    """

    def __init__(self, issued: Issued, folder: Path, more: str = "") -> None:
        self._folder = folder
        self._one_at_a_time = asyncio.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_public(folder / "tsa.pem", issued.pem)
        write_private(folder / "tsa.key.pem", issued.key_pem)
        write_public(folder / "tsa.cnf", CONFIGURATION.format(folder=folder, policy=POLICY, more=more).encode())
        if not (folder / "serial").exists():
            write_public(folder / "serial", b"01\n")

    @staticmethod
    def is_possible() -> bool:
        """Whether there is an ``openssl`` command."""
        return shutil.which("openssl") is not None

    async def __call__(self, query: bytes) -> bytes:
        """Raises ValueError: OpenSSL gives no answer to this."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._stamped, query)

    def _stamped(self, query: bytes) -> bytes:
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            asked, answer = Path(folder, "query.tsq"), Path(folder, "reply.tsr")
            asked.write_bytes(query)
            command = ("openssl", "ts", "-reply", "-config", self._folder / "tsa.cnf", "-section", "lab")
            subprocess.run(
                [*command, "-queryfile", asked, "-out", answer],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=PATIENCE_SECONDS,
            )
            if not answer.exists():
                raise ValueError("openssl gives no answer")
            return answer.read_bytes()


class TimeStampServer:
    """Answers every POST with what ``reply`` makes of its body."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._server: asyncio.Server | None = None

    async def start(self, host: str | list[str], port: int) -> int:
        """Serve; the port, for callers that gave 0."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                writer.write(await self._answer(reader))
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(fields.get("content-length", "0"))
            if not first.startswith("POST ") or not 0 < length <= MAX_QUERY_BYTES:
                return _page(b"", "400 Bad Request")
            return _page(await self._reply(await reader.readexactly(length)))
        except (ValueError, subprocess.TimeoutExpired, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _page(b"", "400 Bad Request")


def _page(body: bytes, status: str = "200 OK") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/timestamp-reply\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
