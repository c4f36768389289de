"""Our client and our server, over TLS on loopback: the relay between two providers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.drivers.dialer import Dialer, Target
from gateway.drivers.smtp_client import ClientLimits, Destination, SmtpClient
from gateway.drivers.tls import ClientContexts, TlsPolicy
from gateway.drivers.transmission import Delivered, Outgoing, Permanent, Stage, Temporary
from gateway.flows.outcomes import Arrival, RecipientAnswer, Refusal, Refused, Taken
from gateway.smtp.hardening import Budget
from gateway.smtp.limits import Limits
from gateway.smtp.relay_server import RelayServer
from receipts.errors import TemporaryError
from receipts.octets import InMemory, Octets, Source
from tests.drivers.scripted import TestCa, make_ca, until


class ListSink:
    """Keeps a large message in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        self.data += data

    async def finish(self) -> Source:
        return InMemory.of(bytes(self.data))

    async def abort(self) -> None:
        self.data.clear()


@dataclass
class Provider:
    """The other provider: by the number in a message's body it is refused, put off, or taken after a while."""

    arrivals: list[Arrival] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def check(self, reverse_path: str, forward_path: str, before: Sequence[str]) -> RecipientAnswer:
        return RecipientAnswer.UNKNOWN_MAILBOX if forward_path.startswith("nobody") else RecipientAnswer.WELCOME

    async def receive(self, arrival: Arrival) -> Taken | Refused:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.002)
        self.under_way -= 1
        if b"put off" in arrival.message.read(0, 100):
            raise TemporaryError("not now")
        if b"refuse" in arrival.message.read(0, 100):
            return Refused(Refusal.LOOP)
        self.arrivals.append(arrival)
        return Taken()


@dataclass
class Pair:
    provider: Provider
    server: RelayServer
    client: SmtpClient
    destination: Destination

    async def send(self, body: bytes, *paths: str, reverse_path: str = "anna@alfa.example") -> tuple[object, ...]:
        message = Octets.whole(InMemory.of(b"Subject: x\r\n\r\n" + body + b"\r\n"))
        outgoing = Outgoing(reverse_path=reverse_path, forward_paths=paths or ("bruno@beta.example",), message=message)
        return await self.client.send(self.destination, outgoing)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return make_ca(tmp_path_factory.mktemp("ca"), "localhost")


@pytest.fixture
async def pair(ca: TestCa, tmp_path: Path) -> AsyncIterator[Pair]:
    provider = Provider()
    server = RelayServer(
        hostname="beta.example",
        domain="beta.example",
        tls=ca.server,
        limits=Limits(window_messages=8),
        budget=Budget(100_000_000),
        check=provider.check,
        receive=provider.receive,
        open_sink=ListSink,
    )
    port = await server.listen("127.0.0.1", 0)
    target = Target("localhost", port, ("127.0.0.1",))
    client = SmtpClient("alfa.example", Dialer(closed=True), ClientContexts(), ClientLimits(connections_per_peer=1))
    yield Pair(provider, server, client, Destination((target,), TlsPolicy.VERIFY, str(ca.ca_file)))
    await client.close(1)
    await server.close(0.1)


async def test_many_messages_travel_at_once_and_arrive_whole(pair: Pair) -> None:
    bodies = [b"number %d " % number + b"x" * 900 for number in range(300)]
    sent = await asyncio.gather(*(pair.send(body) for body in bodies))
    assert all(isinstance(outcome, Delivered) for (outcome,) in sent)
    arrived = sorted(arrival.message.read() for arrival in pair.provider.arrivals)
    assert arrived == sorted(b"Subject: x\r\n\r\n" + body + b"\r\n" for body in bodies)
    assert all(arrival.peer.tls for arrival in pair.provider.arrivals)
    assert pair.client.connections == 1
    assert 1 < pair.provider.most_under_way <= 8


async def test_refusals_stay_with_their_messages_in_a_crowded_window(pair: Pair) -> None:
    """Also the reverse path of each message stays its own, whatever became of the one before it."""

    async def send(number: int) -> tuple[object, ...]:
        body = {1: b"refuse", 2: b"put off"}.get(number % 5, b"fine") + b" %d" % number
        path = "nobody@beta.example" if number % 5 == 3 else "bruno@beta.example"
        return await pair.send(body, path, reverse_path=f"sender{number}@alfa.example")

    sent = await asyncio.gather(*(send(number) for number in range(60)))
    expected: dict[int, tuple[type, Stage | None]] = {
        1: (Permanent, Stage.CONTENT),
        2: (Temporary, Stage.CONTENT),
        3: (Permanent, Stage.RECIPIENT),
    }
    for number, (outcome,) in enumerate(sent):
        kind, stage = expected.get(number % 5, (Delivered, None))
        assert isinstance(outcome, kind), (number, outcome)
        assert getattr(outcome, "stage", None) is stage
    for arrival in pair.provider.arrivals:
        number = int(arrival.message.read().split()[-1])
        assert arrival.reverse_path == f"sender{number}@alfa.example"
    assert len(pair.provider.arrivals) == 24


async def test_a_large_message_arrives_whole_between_small_ones(pair: Pair) -> None:
    large = b"line of the large message\r\n" * 120_000
    sent = await asyncio.gather(*(pair.send(body) for body in (b"one", large, b"two")))
    assert all(isinstance(outcome, Delivered) for (outcome,) in sent)
    assert max(arrival.message.size for arrival in pair.provider.arrivals) == len(large) + 16


async def test_a_server_that_stops_answers_what_it_has_begun(pair: Pair) -> None:
    sending = [asyncio.create_task(pair.send(b"number %d" % number)) for number in range(100)]
    await until(lambda: len(pair.provider.arrivals) > 20)
    closing = asyncio.create_task(pair.server.close(60))
    outcomes = [outcome for (outcome,) in await asyncio.gather(*sending)]
    await closing
    taken = sum(isinstance(outcome, Delivered) for outcome in outcomes)
    assert taken == len(pair.provider.arrivals)
    assert all(isinstance(outcome, Delivered | Temporary) for outcome in outcomes)
    await until(lambda: not pair.client.connections)
