"""An IMAP server with boxes in memory, and a client that speaks lines."""

import asyncio
import re
import ssl
from dataclasses import replace

from gateway.flows.outcomes import Holder, Peer, SignInFailure
from gateway.flows.sessions import LiveSessions
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.imap.server import ImapServer
from tests.mailbox.imap.memory import Boxes, MemoryBox
from tests.throwaway import Throwaway

PASSWORD = "corretto cavallo"
ANNA = "anna@alfa.example"
LIMITS = ImapLimits(failure_pause_seconds=0.0, closing_seconds=60.0)
MESSAGES = (
    b"From: Carlo <carlo@beta.example>\r\nSubject: uno\r\nDate: Thu, 5 Mar 2026 10:00:00 +0100\r\n\r\nprima riga\r\n",
    b"Subject: due\r\nFrom: dora@beta.example\r\n\r\nseconda\r\n",
    b"Subject: tre\r\nTo: anna@alfa.example\r\n\r\n" + b"x" * 200 + b"\r\n",
)
_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n\Z")


class House:
    """Accounts, their boxes, and a server before them."""

    def __init__(self, tls: Throwaway, limits: ImapLimits = LIMITS) -> None:
        self.tls = tls
        self.boxes = Boxes(ANNA, "bruno@alfa.example")
        for message in MESSAGES:
            self.box.add(message)
        self.failure: SignInFailure | None = None
        self.peers: list[Peer] = []
        self.active = {1, 2}
        self.live = LiveSessions(self._active_among)
        self.server = ImapServer(
            sign_in=self.sign_in, open_box=self.boxes.open, tls=tls.server(), limits=limits, live=self.live
        )
        self.clear = self.secure = 0

    @property
    def box(self) -> MemoryBox:
        return self.boxes.boxes[ANNA]

    async def start(self) -> None:
        self.clear = await self.server.listen("localhost", 0, implicit_tls=False)
        self.secure = await self.server.listen("localhost", 0, implicit_tls=True)

    async def sign_in(self, user: str, password: str, peer: Peer) -> Holder | SignInFailure:
        self.peers.append(peer)
        if self.failure is not None:
            return self.failure
        number = list(self.boxes.boxes).index(user) + 1 if user in self.boxes.boxes else 0
        if not number or password != PASSWORD:
            return SignInFailure.WRONG
        return Holder(account_id=number, mailbox_id=number, address=user, addresses=frozenset({user}), may_submit=True)

    async def client(self, *, signed_in: bool = True, select: str = "") -> "Client":
        """A client under TLS that has heard the greeting, and gone as far as asked."""
        client = await Client.connect(self.secure, self.tls.client())
        assert (await client.hear()).startswith(b"* OK [CAPABILITY IMAP4rev1 ")
        if signed_in:
            assert b"OK" in (await client.ask(f'LOGIN {ANNA} "{PASSWORD}"'.encode()))[-1]
        if select:
            assert (await client.ask(b"SELECT " + select.encode()))[-1].startswith(b"OK ")
        return client

    async def _active_among(self, accounts: object) -> set[int]:
        return self.active


class Client:
    """A client that speaks lines and waits for nothing it was not told to wait for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._count = 0

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None) -> "Client":
        reader, writer = await asyncio.open_connection(
            "localhost", port, ssl=tls, limit=16_000_000, family=2, local_addr=("127.0.0.1", 0)
        )
        return cls(reader, writer)

    async def hear(self) -> bytes:
        """The next answer without its line end, literals included; empty when the server left."""
        answer = b""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 60)
            assert not line or line.endswith(b"\r\n"), line
            answer += line
            found = _LITERAL.search(line)
            if found is None:
                return answer[:-2]
            answer += await asyncio.wait_for(self.reader.readexactly(int(found[1])), 60)

    async def hear_until(self, start: bytes) -> list[bytes]:
        """Answers up to the first that begins so."""
        answers = [await self.hear()]
        while not answers[-1].startswith(start):
            assert answers[-1], answers
            answers.append(await self.hear())
        return answers

    def say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\r\n" for line in lines))

    async def ask(self, command: bytes) -> list[bytes]:
        """All answers to a command, the tagged one last and without its tag."""
        self._count += 1
        tag = b"t%d" % self._count
        self.say(tag + b" " + command)
        answers = await self.hear_until(tag + b" ")
        return [*answers[:-1], answers[-1].removeprefix(tag + b" ")]

    async def left_alone(self) -> bytes:
        """Everything until the server leaves; fails when it stays."""
        try:
            return await asyncio.wait_for(self.reader.read(), 60)
        except ConnectionError:
            return b""


def limits(**changes: float) -> ImapLimits:
    return replace(LIMITS, **changes)  # type: ignore[arg-type]
