"""The client against a server of other hands: aiosmtpd."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.drivers.dialer import Dialer, Target
from gateway.drivers.smtp_client import ClientLimits, Destination, SmtpClient
from gateway.drivers.tls import ClientContexts, TlsPolicy
from gateway.drivers.transmission import Delivered, Outgoing, Permanent, Stage, Temporary
from receipts.octets import InMemory, Octets, Span
from tests.drivers.scripted import TestCa, make_ca


@dataclass
class Handler:
    envelopes: list[Envelope] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 taken"


@dataclass
class Served:
    handler: Handler
    destination: Destination


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return make_ca(tmp_path_factory.mktemp("ca"), "127.0.0.1")


@pytest.fixture
async def served(ca: TestCa) -> AsyncIterator[Served]:
    handler = Handler()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, loop=loop, tls_context=ca.server, require_starttls=True, data_size_limit=5_000_000),
        "127.0.0.1",
        0,
    )
    target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
    yield Served(handler, Destination((target,), TlsPolicy.VERIFY, str(ca.ca_file)))
    server.close()


@pytest.fixture
async def client() -> AsyncIterator[SmtpClient]:
    client = SmtpClient("me.example", Dialer(closed=True), ClientContexts(), ClientLimits(connections_per_peer=3))
    yield client
    await client.close(1)


def outgoing(message: Octets, *paths: str) -> Outgoing:
    return Outgoing(reverse_path="anna@alfa.example", forward_paths=paths or ("bruno@beta.example",), message=message)


async def test_messages_arrive_byte_for_byte(client: SmtpClient, served: Served) -> None:
    bodies = [b"Subject: %d\r\n\r\n.\r\n..\r\n.dot\r\n" % number + b"a line\r\n" * number for number in range(40)]
    sent = await asyncio.gather(*(client.send(served.destination, outgoing(Octets.of(body))) for body in bodies))
    assert all(isinstance(outcome, Delivered) for (outcome,) in sent)
    assert sorted(envelope.original_content for envelope in served.handler.envelopes) == sorted(bodies)


async def test_a_large_message_comes_from_its_source_in_pieces(client: SmtpClient, served: Served) -> None:
    line = b".this line begins with a dot and is eighty characters long, all of them............\r\n"
    source = Watched(line * 50_000)
    message = Octets.of(b"Subject: large\r\n\r\n", Span(source, 0, source.size))
    (outcome,) = await client.send(served.destination, outgoing(message))
    assert isinstance(outcome, Delivered)
    (envelope,) = served.handler.envelopes
    assert envelope.original_content == message.read()
    assert source.most <= 256 * 1024


async def test_one_unknown_recipient_does_not_cost_the_others(client: SmtpClient, served: Served) -> None:
    message = Octets.of(b"Subject: x\r\n\r\nx\r\n")
    known, unknown = await client.send(
        served.destination, outgoing(message, "bruno@beta.example", "nobody@beta.example")
    )
    assert isinstance(known, Delivered)
    assert unknown == Permanent("5.1.1", "5.1.1 no such user", Stage.RECIPIENT, 550)
    assert served.handler.envelopes[0].rcpt_tos == ["bruno@beta.example"]


async def test_a_message_over_the_announced_size_is_refused_before_its_bytes(
    client: SmtpClient, served: Served
) -> None:
    message = Octets.whole(InMemory.of(b"x" * 6_000_000))
    (outcome,) = await client.send(served.destination, outgoing(message))
    assert isinstance(outcome, Permanent)
    assert (outcome.code, outcome.stage) == (552, Stage.MAIL)
    (after,) = await client.send(served.destination, outgoing(Octets.of(b"Subject: x\r\n\r\nx\r\n")))
    assert isinstance(after, Delivered)


async def test_a_secure_channel_is_asked_for_by_the_peer_too(client: SmtpClient, served: Served) -> None:
    in_clear = Destination(served.destination.targets, TlsPolicy.OPPORTUNISTIC)
    (outcome,) = await client.send(in_clear, outgoing(Octets.of(b"Subject: x\r\n\r\nx\r\n")))
    assert isinstance(outcome, Delivered)
    wrong = Destination(served.destination.targets, TlsPolicy.VERIFY)
    (refused,) = await client.send(wrong, outgoing(Octets.of(b"Subject: x\r\n\r\nx\r\n")))
    assert isinstance(refused, Temporary)


class Watched:
    """A source that is no memory, and notes how much it was asked for at once."""

    def __init__(self, data: bytes) -> None:
        self._whole = InMemory.of(data)
        self.sha256, self.size, self.most = self._whole.sha256, self._whole.size, 0

    def pieces(self, start: int, stop: int):  # type: ignore[no-untyped-def]
        for piece in self._whole.pieces(start, stop):
            self.most = max(self.most, len(piece))
            yield piece
