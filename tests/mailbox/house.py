"""A POP3 server with a mailbox in memory, as tests want it."""

import asyncio
import hashlib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway.flows.outcomes import Holder, Peer, SignInFailure
from gateway.flows.sessions import LiveSessions
from gateway.mailbox.limits import MailboxLimits
from gateway.mailbox.pop3 import Pop3Server
from receipts.octets import WINDOW, Octets
from tests.drivers.scripted import until
from tests.throwaway import Throwaway

PASSWORD = "corretto cavallo"
MESSAGES = (
    b"Return-Path: <carlo@beta.example>\r\nSubject: uno\r\n\r\nprima riga\r\n.seconda riga\r\nterza riga\r\n",
    b"Subject: due\r\n\r\n.\r\n",
    b"Subject: tre\r\n\r\n" + b"x" * 200 + b"\r\n",
)
LIMITS = MailboxLimits(failure_pause_seconds=0.0, closing_seconds=60.0)


@dataclass(frozen=True)
class Kept:
    """A message in the mailbox."""

    id: int
    token: str
    message: Octets

    @property
    def size(self) -> int:
        return self.message.size


@dataclass(frozen=True)
class Reel:
    """Many bytes that stand nowhere: the same line over and over. Counts what was read of it."""

    size: int
    line: bytes = b".una riga che comincia con un punto e ne ha sessantadue\r\n"
    sha256: bytes = bytes(32)
    read: list[int] = field(default_factory=list)
    breaks_at: int | None = None

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, WINDOW):
            if self.breaks_at is not None and at >= self.breaks_at:
                raise OSError("the disk is gone")
            data = self.between(at, min(at + WINDOW, stop))
            self.read.append(len(data))
            yield data

    def between(self, start: int, stop: int) -> bytes:
        first = start // len(self.line)
        lines = self.line * ((stop - start) // len(self.line) + 2)
        return lines[start - first * len(self.line) :][: stop - start]


def reel(lines: int, **options: int) -> tuple[Reel, Octets]:
    source = Reel(len(Reel.line) * lines, **options)  # type: ignore[arg-type]
    return source, Octets.of(b"Subject: grande\r\n\r\n", Octets.whole(source))


class Box:
    """One mailbox; ``broken`` holds what its storage raises."""

    def __init__(self, *messages: bytes | Octets) -> None:
        self.kept: list[Kept] = []
        self.broken: Exception | None = None
        self.opened = 0
        self.readings: list[int] = []
        self._last = 0
        for message in messages:
            self.add(message)

    def add(self, message: bytes | Octets) -> None:
        number = self._last = self._last + 1
        octets = Octets.of(message) if isinstance(message, bytes) else message
        self.kept.append(Kept(number, hashlib.sha256(b"%d" % number).hexdigest()[:32], octets))


class OpenBox:
    """The box as it was when a session began."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.entries = tuple(box.kept)

    def taken(self, position: int, /) -> None:
        """No journal here."""

    async def read(self, positions: Sequence[int], /) -> Sequence[Octets | None]:
        if self._box.broken:
            raise self._box.broken
        self._box.readings.append(len(positions))
        here = {kept.id for kept in self._box.kept}
        wanted = [self.entries[position] for position in positions]
        return [kept.message if kept.id in here else None for kept in wanted]

    async def delete(self, ids: Sequence[int], /) -> None:
        if self._box.broken:
            raise self._box.broken
        self._box.kept = [kept for kept in self._box.kept if kept.id not in ids]


class House:
    """Accounts, their boxes, and a server before them."""

    def __init__(self, tls: Throwaway, limits: MailboxLimits = LIMITS) -> None:
        self.tls = tls
        self.boxes = {"anna@alfa.example": Box(*MESSAGES), "bruno@alfa.example": Box()}
        self.failure: SignInFailure | None = None
        self.peers: list[Peer] = []
        self.active = {1, 2}
        self.live = LiveSessions(self._active_among)
        self.context = tls.server()
        self.server = Pop3Server(sign_in=self.sign_in, maildrops=self, tls=self.context, limits=limits, live=self.live)
        self.clear = self.secure = 0

    @property
    def box(self) -> Box:
        return self.boxes["anna@alfa.example"]

    async def start(self) -> None:
        self.clear = await self.server.listen("localhost", 0, implicit_tls=False)
        self.secure = await self.server.listen("localhost", 0, implicit_tls=True)

    async def emptied(self) -> None:
        """Nobody has a mailbox open any more."""
        await until(lambda: not self.server.open_mailboxes)

    async def sign_in(self, user: str, password: str, peer: Peer) -> Holder | SignInFailure:
        self.peers.append(peer)
        if self.failure is not None:
            return self.failure
        number = list(self.boxes).index(user) + 1 if user in self.boxes else 0
        if not number or password != PASSWORD:
            return SignInFailure.WRONG
        return Holder(account_id=number, mailbox_id=number, address=user, addresses=frozenset({user}), may_submit=True)

    async def open(self, holder: Holder) -> OpenBox:
        box = self.boxes[holder.address]
        if box.broken:
            raise box.broken
        box.opened += 1
        return OpenBox(box)

    async def _active_among(self, accounts: object) -> set[int]:
        return self.active


class Client:
    """A client that speaks lines and waits for nothing it was not told to wait for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None) -> "Client":
        reader, writer = await asyncio.open_connection(
            "localhost", port, ssl=tls, limit=8_000_000, family=2, local_addr=("127.0.0.1", 0)
        )
        return cls(reader, writer)

    async def hear(self) -> bytes:
        """The next line without its end; empty when the server left."""
        line = await asyncio.wait_for(self.reader.readline(), 60)
        assert not line or line.endswith(b"\r\n")
        return line[:-2]

    async def hear_all(self) -> list[bytes]:
        """The lines up to the closing dot."""
        lines: list[bytes] = []
        while (line := await self.hear()) != b".":
            assert line or self.reader._buffer or not self.reader.at_eof()  # type: ignore[attr-defined]
            lines.append(line)
        return lines

    def say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\r\n" for line in lines))

    async def ask(self, line: bytes) -> bytes:
        self.say(line)
        return await self.hear()

    async def sign_in(self, user: bytes = b"anna@alfa.example") -> bytes:
        assert (await self.hear()).startswith(b"+OK")
        assert (await self.ask(b"USER " + user)).startswith(b"+OK")
        return await self.ask(b"PASS " + PASSWORD.encode())

    async def left_alone(self) -> bytes:
        """Everything until the server leaves; fails when it stays."""
        try:
            return await asyncio.wait_for(self.reader.read(), 60)
        except ConnectionError:
            return b""

    async def vanish(self) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)
