"""A small SMTP server that does as it is told, and certificates for it: a peer for the tests of our client."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

CUT = "cut"  # instead of a reply: end the connection
SILENCE = "silence"  # instead of a reply: none

Answer = Callable[[str, str], str | None]


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something that no event announces."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@dataclass
class Received:
    reverse_path: str
    forward_paths: list[str]
    content: bytes
    connection: int
    parameters: str


@dataclass
class ScriptedPeer:
    """Takes mail. ``answer`` is asked before the usual reply is given to a command (verb, argument) or to content."""

    features: tuple[str, ...] = ("PIPELINING", "CHUNKING", "8BITMIME", "SIZE 1000000")
    answer: Answer = lambda verb, argument: None
    greeting: str = "220 peer.example ESMTP"
    tls: ssl.SSLContext | None = None
    keeps_failed_transactions: bool = False  # as some servers do after a refused BDAT
    messages: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    secure: int = 0
    live: int = 0
    most_live: int = 0
    waiting_most: int = 0
    port: int = 0
    gate: asyncio.Event | None = None

    @property
    def verbs(self) -> list[str]:
        return [command.split(" ")[0] for command in self.commands]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["ScriptedPeer"]:
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 22)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.live += 1
        self.most_live = max(self.most_live, self.live)
        try:
            await _Session(self, reader, writer, self.connections).run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.live -= 1
            writer.transport.abort()
            self._tasks.discard(task)


class _Session:
    def __init__(
        self, peer: ScriptedPeer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.peer, self.reader, self.writer, self.number = peer, reader, writer, number
        self.reverse_path: str | None = None
        self.parameters = ""
        self.forward_paths: list[str] = []
        self.encrypted = False

    async def say(self, text: str) -> None:
        if text == CUT:
            self.writer.transport.abort()
            raise ConnectionResetError
        if text != SILENCE:
            self.writer.write(text.encode() + b"\r\n")
            await self.writer.drain()

    async def run(self) -> None:
        await self.say(self.peer.greeting)
        while line := await self.reader.readline():
            text = line.decode("latin-1").removesuffix("\r\n")
            self.peer.commands.append(text)
            verb, _, argument = text.partition(" ")
            special = self.peer.answer(verb.upper(), argument)
            if verb.upper() == "QUIT":
                await self.say(special or "221 bye")
                return
            await self.command(verb.upper(), argument, special)

    async def command(self, verb: str, argument: str, special: str | None) -> None:
        if verb == "BDAT":
            content = await self.reader.readexactly(int(argument.split()[0]))
            await self.content(content, special)
        elif special is not None:
            await self.say(special)
            if verb == "DATA" and special.startswith("354"):
                await self.data()
        elif verb == "EHLO":
            offered = ["peer.example", *self.peer.features]
            if self.peer.tls is not None and not self.encrypted:
                offered.append("STARTTLS")
            lines = [f"250-{word}" for word in offered[:-1]] + [f"250 {offered[-1]}"]
            await self.say("\r\n".join(lines))
        elif verb == "STARTTLS":
            assert self.peer.tls is not None
            await self.say("220 go ahead")
            await self.writer.start_tls(self.peer.tls)
            self.encrypted = True
            self.peer.secure += 1
        elif verb == "MAIL":
            if self.reverse_path is not None:
                await self.say("503 5.5.1 nested MAIL")
                return
            path, _, self.parameters = argument.removeprefix("FROM:").partition(" ")
            self.reverse_path = path.strip("<>")
            await self.say("250 2.1.0 ok")
        elif verb == "RCPT":
            if self.reverse_path is None:
                await self.say("503 5.5.1 need MAIL")
                return
            self.forward_paths.append(argument.removeprefix("TO:").strip("<>"))
            await self.say("250 2.1.5 ok")
        elif verb == "DATA":
            if not self.forward_paths:
                await self.say("554 5.5.1 no valid recipients")
                return
            await self.say("354 go ahead")
            await self.data()
        elif verb == "RSET":
            self.reset()
            await self.say("250 2.0.0 ok")
        else:
            await self.say("250 2.0.0 ok")

    async def data(self) -> None:
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise ConnectionResetError
            lines.append(line.removeprefix(b"."))
        await self.content(b"".join(lines), self.peer.answer("CONTENT", ""))

    async def content(self, content: bytes, special: str | None) -> None:
        if special is None and not self.forward_paths:
            if not self.peer.keeps_failed_transactions:
                self.reset()
            await self.say("503 5.5.1 no recipients")
            return
        if self.peer.gate is not None:
            await self.peer.gate.wait()
        if special is None or special.startswith("2"):
            assert self.reverse_path is not None
            taken = Received(self.reverse_path, self.forward_paths, content, self.number, self.parameters)
            self.peer.messages.append(taken)
        if special is None or not self.peer.keeps_failed_transactions:
            self.reset()
        await self.say(special or "250 2.0.0 kept")

    def reset(self) -> None:
        self.reverse_path, self.forward_paths = None, []


@dataclass(frozen=True)
class TestCa:
    """A root and a server certificate under it, good for ``names``."""

    __test__ = False
    ca_file: Path
    server: ssl.SSLContext


def make_ca(folder: Path, *names: str) -> TestCa:
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name.from_rfc4514_string("CN=Test Root")
    root = _certificate(root_name, root_name, root_key.public_key(), root_key, ca=True)
    leaf = _certificate(
        x509.Name.from_rfc4514_string("CN=peer"), root_name, leaf_key.public_key(), root_key, ca=False, names=names
    )
    ca_file, chain_file, key_file = folder / "root.pem", folder / "peer.pem", folder / "peer.key"
    ca_file.write_bytes(root.public_bytes(Encoding.PEM))
    chain_file.write_bytes(leaf.public_bytes(Encoding.PEM))
    key_file.write_bytes(leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file, key_file)
    return TestCa(ca_file, context)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    names: tuple[str, ...] = (),
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), False)
    return builder.sign(key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
