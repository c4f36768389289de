import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest

from gateway.drivers.dialer import Dialer, Target
from gateway.drivers.smtp_client import ClientLimits, Destination, SmtpClient
from gateway.drivers.smtp_wire import Timeouts
from gateway.drivers.tls import ClientContexts, TlsPolicy
from gateway.drivers.transmission import Delivered, Outcome, Outgoing, Permanent, Stage, Temporary
from receipts.octets import InMemory, Octets, Span
from tests.drivers.scripted import CUT, SILENCE, ScriptedPeer, TestCa, make_ca, until
from tests.passing import pass_time

BODY = b"Subject: prova\r\n\r\n.dot\r\n..two\r\n.\r\nfine\r\n"
CHUNKING = ("PIPELINING", "CHUNKING", "8BITMIME", "SIZE 100000000")
PIPELINING = ("PIPELINING", "8BITMIME")
PLAIN = ()
EVERY_PEER = pytest.mark.parametrize("features", [CHUNKING, PIPELINING, PLAIN], ids=["bdat", "pipelining", "plain"])

Clients = Callable[..., SmtpClient]


@pytest.fixture
async def client() -> AsyncIterator[Clients]:
    made: list[SmtpClient] = []

    def make(**limits: object) -> SmtpClient:
        client = SmtpClient("me.example", Dialer(closed=True), ClientContexts(), ClientLimits(**limits))  # type: ignore[arg-type]
        made.append(client)
        return client

    yield make
    for each in made:
        await each.close(0.2)


def to(peer: ScriptedPeer, tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC, host: str = "127.0.0.1") -> Destination:
    return Destination((Target(host, peer.port),), tls)


def outgoing(*paths: str, body: bytes = BODY, reverse_path: str = "anna@alfa.example") -> Outgoing:
    return Outgoing(reverse_path=reverse_path, forward_paths=paths or ("bruno@beta.example",), message=Octets.of(body))


def running(peer: ScriptedPeer) -> AbstractAsyncContextManager[ScriptedPeer]:
    return peer.running()


@EVERY_PEER
async def test_every_byte_arrives_as_it_was(client: Clients, features: tuple[str, ...]) -> None:
    async with running(ScriptedPeer(features=features)) as peer:
        outcomes = await client().send(to(peer), outgoing("bruno@beta.example", "carla@beta.example"))
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]
    (message,) = peer.messages
    assert message.content == BODY
    assert message.reverse_path == "anna@alfa.example"
    assert message.forward_paths == ["bruno@beta.example", "carla@beta.example"]


@EVERY_PEER
async def test_the_null_reverse_path_is_empty(client: Clients, features: tuple[str, ...]) -> None:
    async with running(ScriptedPeer(features=features)) as peer:
        await client().send(to(peer), outgoing(reverse_path=""))
    assert peer.commands[1].startswith("MAIL FROM:<>")


async def test_eight_bit_is_declared_where_offered_and_sent_unchanged_everywhere(client: Clients) -> None:
    body = "Subject: x\r\n\r\ncittà\r\n".encode()
    for features, declared in ((CHUNKING, True), (PIPELINING, True), (PLAIN, False)):
        async with running(ScriptedPeer(features=features)) as peer:
            await client().send(to(peer), outgoing(body=body))
        assert peer.messages[0].content == body
        assert ("BODY=8BITMIME" in peer.messages[0].parameters) is declared


@EVERY_PEER
async def test_recipients_are_told_apart(client: Clients, features: tuple[str, ...]) -> None:
    def answer(verb: str, argument: str) -> str | None:
        if "nobody" in argument:
            return "550 5.1.1 no such user"
        return "451 4.2.1 try later" if "later" in argument else None

    async with running(ScriptedPeer(features=features, answer=answer)) as peer:
        paths = ("bruno@beta.example", "nobody@beta.example", "later@beta.example")
        taken, unknown, later = await client().send(to(peer), outgoing(*paths))
    assert isinstance(taken, Delivered)
    assert unknown == Permanent("5.1.1", "5.1.1 no such user", Stage.RECIPIENT, 550)
    assert later == Temporary("4.2.1", "4.2.1 try later", Stage.RECIPIENT, 451)
    assert peer.messages[0].forward_paths == ["bruno@beta.example"]


@EVERY_PEER
@pytest.mark.parametrize("verb", ["MAIL", "CONTENT"])
@pytest.mark.parametrize("code", [451, 554])
async def test_a_refusal_at_mail_or_after_the_content_counts_for_all(
    client: Clients, features: tuple[str, ...], verb: str, code: int
) -> None:
    at = "BDAT" if verb == "CONTENT" and "CHUNKING" in features else verb

    def answer(said: str, argument: str) -> str | None:
        return f"{code} no" if said == at else None

    async with running(ScriptedPeer(features=features, answer=answer)) as peer:
        outcomes = await client().send(to(peer), outgoing("bruno@beta.example", "carla@beta.example"))
        assert not peer.messages
    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], Temporary if code == 451 else Permanent)
    assert outcomes[0].code == code
    assert outcomes[0].stage is (Stage.MAIL if verb == "MAIL" else Stage.CONTENT)


@EVERY_PEER
async def test_a_peer_goes_on_after_a_message_it_refused(client: Clients, features: tuple[str, ...]) -> None:
    def answer(verb: str, argument: str) -> str | None:
        return "550 5.1.1 unknown" if "nobody" in argument else None

    async with running(ScriptedPeer(features=features, answer=answer)) as peer:
        sender = client(connections_per_peer=1)
        for _ in range(3):
            (refused,) = await sender.send(to(peer), outgoing("nobody@beta.example"))
            assert isinstance(refused, Permanent)
            assert refused.stage is Stage.RECIPIENT
            (taken,) = await sender.send(to(peer), outgoing("bruno@beta.example"))
            assert isinstance(taken, Delivered)
    assert peer.connections == 1
    assert len(peer.messages) == 3


async def test_a_failed_transaction_never_lends_its_reverse_path_to_the_next(client: Clients) -> None:
    """A peer may keep a transaction whose BDAT it refused; what is already behind it must not join it."""

    def answer(verb: str, argument: str) -> str | None:
        return "550 5.1.1 unknown" if "nobody" in argument else None

    async with running(ScriptedPeer(answer=answer, keeps_failed_transactions=True)) as peer:
        sender = client(connections_per_peer=1)
        sent = await asyncio.gather(
            *(
                sender.send(
                    to(peer),
                    outgoing(
                        "nobody@beta.example" if number % 3 == 0 else "bruno@beta.example",
                        reverse_path=f"sender{number}@alfa.example",
                        body=b"number %d\r\n" % number,
                    ),
                )
                for number in range(12)
            )
        )
    for number, (outcome,) in enumerate(sent):
        assert isinstance(outcome, Permanent if number % 3 == 0 else Delivered)
    assert len(peer.messages) == 8
    for message in peer.messages:
        number = int(message.content.split()[1])
        assert message.reverse_path == f"sender{number}@alfa.example"


async def test_many_messages_share_one_connection_in_a_bounded_window(client: Clients) -> None:
    gate = asyncio.Event()
    async with running(ScriptedPeer(gate=gate)) as peer:
        sender = client(connections_per_peer=1, window_messages=4)
        sending = [
            asyncio.create_task(sender.send(to(peer), outgoing(body=b"number %d\r\n" % number))) for number in range(20)
        ]
        await until(lambda: "BDAT" in peer.verbs)
        gate.set()
        sent = await asyncio.gather(*sending)
    assert all(isinstance(outcome, Delivered) for (outcome,) in sent)
    assert peer.connections == 1
    assert [message.content for message in peer.messages] == [b"number %d\r\n" % number for number in range(20)]


async def test_replies_of_a_window_are_matched_in_order(client: Clients) -> None:
    def answer(verb: str, argument: str) -> str | None:
        number = int(argument[4:].split("@")[0].removeprefix("r")) if verb == "RCPT" else 0
        return f"550 5.1.{number} no" if number % 2 else None

    async with running(ScriptedPeer(answer=answer)) as peer:
        sender = client(connections_per_peer=1)
        sent = await asyncio.gather(
            *(sender.send(to(peer), outgoing(f"r{number}@beta.example")) for number in range(16))
        )
    assert peer.connections == 1
    for number, (outcome,) in enumerate(sent):
        if number % 2:
            assert isinstance(outcome, Permanent)
            assert outcome.status == f"5.1.{number}"
        else:
            assert isinstance(outcome, Delivered)


async def test_without_chunking_connections_are_many_but_bounded(client: Clients) -> None:
    gate = asyncio.Event()
    async with running(ScriptedPeer(features=PIPELINING, gate=gate)) as peer:
        sender = client(connections_per_peer=3)
        sending = asyncio.gather(*(sender.send(to(peer), outgoing()) for _ in range(20)))
        await until(lambda: peer.live == 3)
        gate.set()
        sent = await sending
    assert all(isinstance(outcome, Delivered) for (outcome,) in sent)
    assert peer.most_live == peer.connections == 3


@EVERY_PEER
async def test_a_kept_connection_that_the_peer_closed_costs_no_attempt(
    client: Clients, features: tuple[str, ...]
) -> None:
    def answer(verb: str, argument: str) -> str | None:
        return CUT if verb == "MAIL" and len(peer.messages) == 1 and peer.connections == 1 else None

    async with running(ScriptedPeer(features=features, answer=answer)) as peer:
        sender = client(connections_per_peer=1)
        assert isinstance((await sender.send(to(peer), outgoing()))[0], Delivered)
        (outcome,) = await sender.send(to(peer), outgoing())
    assert isinstance(outcome, Delivered)
    assert peer.connections == 2


@EVERY_PEER
async def test_a_cut_after_the_final_dot_is_temporary(client: Clients, features: tuple[str, ...]) -> None:
    def answer(verb: str, argument: str) -> str | None:
        if "nobody" in argument:
            return "550 5.1.1 unknown"
        return CUT if verb in ("BDAT", "CONTENT") else None

    async with running(ScriptedPeer(features=features, answer=answer)) as peer:
        cut, unknown = await client().send(to(peer), outgoing("bruno@beta.example", "nobody@beta.example"))
    assert isinstance(cut, Temporary)
    assert cut.status == "4.4.2"
    assert isinstance(unknown, Permanent)  # this one was refused before
    assert peer.connections == 1


@EVERY_PEER
async def test_421_ends_the_connection(client: Clients, features: tuple[str, ...]) -> None:
    def answer(verb: str, argument: str) -> str | None:
        return "421 4.3.2 going down" if verb == "RCPT" and peer.connections == 1 else None

    async with running(ScriptedPeer(features=features, answer=answer)) as peer:
        sender = client()
        (outcome,) = await sender.send(to(peer), outgoing())
        assert outcome == Temporary("4.3.2", "4.3.2 going down", Stage.CONNECT, 421)
        assert isinstance((await sender.send(to(peer), outgoing()))[0], Delivered)
    assert peer.connections == 2


async def test_no_answer_in_time_is_temporary(client: Clients) -> None:
    async with running(ScriptedPeer(answer=lambda verb, _: SILENCE if verb == "BDAT" else None)) as peer:
        (outcome,) = await client(timeouts=Timeouts(content=0.05)).send(to(peer), outgoing())
    assert isinstance(outcome, Temporary)
    assert outcome.text == "no answer in time"


@pytest.mark.parametrize("greeting", [SILENCE, "554 go away", "421 busy", "hello there", "220" + "x" * 5000, CUT])
async def test_a_peer_that_does_not_greet_is_temporary(client: Clients, greeting: str) -> None:
    async with running(ScriptedPeer(greeting=greeting)) as peer:
        sender = client(timeouts=Timeouts(greeting=0.1))
        (outcome,) = await sender.send(to(peer), outgoing())
    assert isinstance(outcome, Temporary)
    assert sender.connections == 0


async def test_nobody_there_is_temporary_and_remembered_for_a_moment(client: Clients) -> None:
    async with running(ScriptedPeer()) as peer:
        destination = to(peer)
    sender = client(failure_memory_seconds=0.05)
    first = await sender.send(destination, outgoing())
    second = await sender.send(destination, outgoing())
    assert isinstance(first[0], Temporary)
    assert first == second


async def test_the_next_host_is_tried(client: Clients) -> None:
    async with running(ScriptedPeer()) as gone:
        dead = Target("127.0.0.1", gone.port)
    async with running(ScriptedPeer(greeting="554 not here")) as rude, running(ScriptedPeer()) as peer:
        targets = (dead, Target("127.0.0.1", rude.port), Target("127.0.0.1", peer.port))
        (outcome,) = await client().send(Destination(targets, TlsPolicy.OPPORTUNISTIC), outgoing())
    assert isinstance(outcome, Delivered)


async def test_idle_connections_are_closed(client: Clients) -> None:
    async with running(ScriptedPeer()) as peer:
        sender = client(timeouts=Timeouts(idle=100))
        await sender.send(to(peer), outgoing())
        assert sender.connections == 1
        await pass_time(101)
        await until(lambda: not peer.live)
        assert sender.connections == 0
    assert peer.commands[-1] == "QUIT"


async def test_all_connections_together_are_bounded(client: Clients) -> None:
    async with running(ScriptedPeer()) as one, running(ScriptedPeer()) as two, running(ScriptedPeer()) as three:
        sender = client(connections_total=2)
        async with asyncio.timeout(60):
            for peer in (one, two, three, one, two, three):
                assert isinstance((await sender.send(to(peer), outgoing()))[0], Delivered)
                assert sender.connections <= 2


@pytest.mark.parametrize(
    "path",
    [
        "a b@beta.example",
        "x@beta.example> SIZE=1",
        "x@beta.example\r\nRSET",
        "x",
        "",
        "<x@beta.example>",
        'a"b@c.example',
    ],
)
async def test_what_is_no_path_never_reaches_a_command_line(client: Clients, path: str) -> None:
    async with running(ScriptedPeer()) as peer:
        sender = client()
        bad, good = await sender.send(to(peer), outgoing(path, "bruno@beta.example"))
        assert isinstance(bad, Permanent)
        assert isinstance(good, Delivered)
        if path:
            (refused,) = await sender.send(to(peer), outgoing(reverse_path=path))
            assert refused == Permanent("5.1.7", "not an address", Stage.MAIL)
    assert not any("RSET" in command for command in peer.commands)


async def test_addresses_outside_ascii_are_refused_without_asking(client: Clients) -> None:
    async with running(ScriptedPeer()) as peer:
        (outcome,) = await client().send(to(peer), outgoing("città@beta.example"))
    assert isinstance(outcome, Permanent)
    assert outcome.status == "5.6.7"
    assert peer.connections == 0


async def test_quoted_local_parts_pass(client: Clients) -> None:
    async with running(ScriptedPeer()) as peer:
        (outcome,) = await client().send(to(peer), outgoing('"anna rossi"@beta.example'))
    assert isinstance(outcome, Delivered)
    assert peer.messages[0].forward_paths == ['"anna rossi"@beta.example']


async def test_close_lets_what_is_in_flight_end(client: Clients) -> None:
    gate = asyncio.Event()
    async with running(ScriptedPeer(gate=gate)) as peer:
        sender = client()
        sending = asyncio.create_task(sender.send(to(peer), outgoing()))
        await until(lambda: "BDAT" in peer.verbs)
        closing = asyncio.create_task(sender.close(60))
        await asyncio.sleep(0.02)
        assert not closing.done()
        gate.set()
        assert isinstance((await sending)[0], Delivered)
        await closing
        assert isinstance((await sender.send(to(peer), outgoing()))[0], Temporary)
    assert peer.live == 0


async def test_close_gives_up_what_does_not_end(client: Clients) -> None:
    async with running(ScriptedPeer(gate=asyncio.Event())) as peer:
        sender = client()
        sending = asyncio.create_task(sender.send(to(peer), outgoing()))
        await until(lambda: "BDAT" in peer.verbs)
        await sender.close(0.05)
        assert isinstance((await sending)[0], Temporary)


# Large messages

LARGE = Octets.whole(
    InMemory.of(b".seventy-eight characters and a line end, again and again and again and again\r\n" * 80_000)
)


@EVERY_PEER
async def test_a_large_message_arrives_byte_for_byte(client: Clients, features: tuple[str, ...]) -> None:
    async with running(ScriptedPeer(features=features)) as peer:
        message = Outgoing(reverse_path="a@alfa.example", forward_paths=("b@beta.example",), message=LARGE)
        (outcome,) = await client().send(to(peer), message)
    assert isinstance(outcome, Delivered)
    assert peer.messages[0].content == LARGE.read()


@EVERY_PEER
async def test_a_message_that_ends_without_a_line_end_gets_one_only_where_it_must(
    client: Clients, features: tuple[str, ...]
) -> None:
    async with running(ScriptedPeer(features=features)) as peer:
        await client().send(to(peer), outgoing(body=b"no line end"))
    assert peer.messages[0].content == (b"no line end" if features is CHUNKING else b"no line end\r\n")


@EVERY_PEER
async def test_a_large_message_is_not_sent_before_its_recipients_are_accepted(
    client: Clients, features: tuple[str, ...]
) -> None:
    async with running(
        ScriptedPeer(features=features, answer=lambda verb, _: "550 no" if verb == "RCPT" else None)
    ) as peer:
        message = Outgoing(reverse_path="a@alfa.example", forward_paths=("b@beta.example",), message=LARGE)
        (outcome,) = await client().send(to(peer), message)
    assert isinstance(outcome, Permanent)
    assert "BDAT" not in peer.verbs


async def test_small_messages_do_not_wait_behind_a_large_one(client: Clients) -> None:
    gate = asyncio.Event()
    async with running(ScriptedPeer(gate=gate)) as peer:
        sender = client()
        message = Outgoing(reverse_path="a@alfa.example", forward_paths=("b@beta.example",), message=LARGE)
        large = asyncio.create_task(sender.send(to(peer), message))
        await until(lambda: "BDAT" in peer.verbs)
        small = asyncio.create_task(sender.send(to(peer), outgoing()))
        await until(lambda: peer.connections == 2)
        gate.set()
        assert isinstance((await small)[0], Delivered)
        assert isinstance((await large)[0], Delivered)


@pytest.mark.parametrize(("code", "kind"), [(552, Permanent), (452, Temporary), (250, Temporary)])
async def test_an_answer_before_the_end_of_the_content_ends_the_sending(
    client: Clients, code: int, kind: type[Outcome]
) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        for reply in (
            b"250-hi\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
            b"250 ok\r\n",
            b"250 ok\r\n",
            b"%d no\r\n" % code,
        ):
            await reader.readline()
            writer.write(reply)
        with suppress(ConnectionError):
            while await reader.read(1000):
                pass
        writer.close()

    server = await asyncio.start_server(hasty, "127.0.0.1", 0)
    target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
    endless = Octets.of(*(Span(LARGE.parts[0].source, 0, LARGE.size) for _ in range(40)))  # type: ignore[union-attr]
    message = Outgoing(reverse_path="a@alfa.example", forward_paths=("b@beta.example",), message=endless)
    async with asyncio.timeout(60):
        (outcome,) = await client().send(Destination((target,), TlsPolicy.OPPORTUNISTIC), message)
    assert isinstance(outcome, kind)
    server.close()


async def test_a_peer_that_stops_reading_is_given_up(client: Clients) -> None:
    async def lazy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        for reply in (b"250-hi\r\n250-PIPELINING\r\n250 CHUNKING\r\n", b"250 ok\r\n", b"250 ok\r\n"):
            await reader.readline()
            writer.write(reply)
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(lazy, "127.0.0.1", 0, limit=1024)
    target = Target("127.0.0.1", server.sockets[0].getsockname()[1])
    endless = Octets.of(*(Span(LARGE.parts[0].source, 0, LARGE.size) for _ in range(40)))  # type: ignore[union-attr]
    message = Outgoing(reverse_path="a@alfa.example", forward_paths=("b@beta.example",), message=endless)
    sender = client(timeouts=Timeouts(block=0.1))
    (outcome,) = await sender.send(Destination((target,), TlsPolicy.OPPORTUNISTIC), message)
    assert outcome == Temporary("4.4.2", "the peer stopped reading", Stage.CONTENT)
    server.close()


async def test_a_message_that_cannot_be_read_is_temporary_and_costs_the_connection(client: Clients) -> None:
    class Broken:
        sha256, size = b"", 2_000_000

        def pieces(self, start: int, stop: int) -> Iterator[bytes]:
            yield b"a line\r\n"
            raise OSError("the database is gone")

    async with running(ScriptedPeer()) as peer:
        sender = client()
        message = Octets.of(Span(Broken(), 0, 2_000_000))
        given = Outgoing(reverse_path="a@alfa.example", forward_paths=("b@beta.example",), message=message)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        (outcome,) = await sender.send(to(peer), given)
        assert outcome == Temporary("4.3.0", "the message could not be read", Stage.CONTENT)
        assert not peer.messages
        assert isinstance((await sender.send(to(peer), outgoing()))[0], Delivered)
    assert peer.connections == 2


# TLS


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return make_ca(tmp_path_factory.mktemp("ca"), "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> TestCa:
    return make_ca(tmp_path_factory.mktemp("stranger"), "mx.elsewhere.example")


def secured(peer: ScriptedPeer, tls: TlsPolicy, ca_file: Path | None, host: str = "localhost") -> Destination:
    return Destination((Target(host, peer.port, ("127.0.0.1",)),), tls, None if ca_file is None else str(ca_file))


@pytest.mark.req("SEC-01", "SEC-03", "IP-11")
@EVERY_PEER
async def test_a_verified_peer_gets_the_message_under_tls(
    client: Clients, ca: TestCa, features: tuple[str, ...]
) -> None:
    async with running(ScriptedPeer(features=features, tls=ca.server)) as peer:
        (outcome,) = await client().send(secured(peer, TlsPolicy.VERIFY, ca.ca_file), outgoing())
    assert isinstance(outcome, Delivered)
    assert peer.secure == 1
    assert [command.split()[0] for command in peer.commands[:3]] == ["EHLO", "STARTTLS", "EHLO"]


@pytest.mark.req("SEC-01", "SEC-03", "IP-11")
@pytest.mark.parametrize("policy", [TlsPolicy.VERIFY, TlsPolicy.ENCRYPT])
async def test_a_secure_destination_is_never_served_in_clear(client: Clients, ca: TestCa, policy: TlsPolicy) -> None:
    async with running(ScriptedPeer()) as peer:
        (outcome,) = await client().send(secured(peer, policy, ca.ca_file), outgoing())
    assert isinstance(outcome, Temporary)
    assert outcome.stage is Stage.TLS
    assert not any(command.startswith("MAIL") for command in peer.commands)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_wrong_certificate_is_temporary_and_worth_an_alarm(
    client: Clients, ca: TestCa, stranger: TestCa, host: str
) -> None:
    async with running(ScriptedPeer(tls=stranger.server)) as peer:
        (untrusted,) = await client().send(secured(peer, TlsPolicy.VERIFY, ca.ca_file, host), outgoing())
        (misnamed,) = await client().send(secured(peer, TlsPolicy.VERIFY, stranger.ca_file, host), outgoing())
        (encrypted,) = await client().send(secured(peer, TlsPolicy.ENCRYPT, None, host), outgoing())
    for outcome in (untrusted, misnamed):
        assert isinstance(outcome, Temporary)
        assert outcome.stage is Stage.TLS
    assert isinstance(encrypted, Delivered)
    assert len(peer.messages) == 1


async def test_ordinary_mail_goes_under_tls_with_anybody_and_in_clear_without(
    client: Clients, stranger: TestCa
) -> None:
    async with running(ScriptedPeer(tls=stranger.server)) as peer:
        assert isinstance((await client().send(to(peer), outgoing()))[0], Delivered)
        assert peer.secure == 1
    refusing = ScriptedPeer(tls=stranger.server, answer=lambda verb, _: "454 no" if verb == "STARTTLS" else None)
    async with running(refusing) as peer:
        assert isinstance((await client().send(to(peer), outgoing()))[0], Delivered)
        assert peer.secure == 0
        assert peer.connections == 2


async def test_a_reply_slipped_in_before_the_handshake_ends_the_attempt(client: Clients, ca: TestCa) -> None:
    def answer(verb: str, argument: str) -> str | None:
        return "220 go ahead\r\n250-peer\r\n250 PIPELINING" if verb == "STARTTLS" else None

    async with running(ScriptedPeer(tls=ca.server, answer=answer)) as peer:
        (outcome,) = await client().send(secured(peer, TlsPolicy.VERIFY, ca.ca_file), outgoing())
    assert isinstance(outcome, Temporary)
    assert not peer.messages


async def test_trust_that_cannot_be_read_is_temporary(client: Clients, ca: TestCa, tmp_path: Path) -> None:
    async with running(ScriptedPeer(tls=ca.server)) as peer:
        destination = secured(peer, TlsPolicy.VERIFY, tmp_path / "missing.pem")
        (outcome,) = await client().send(destination, outgoing())
    assert isinstance(outcome, Temporary)
    assert outcome.stage is Stage.TLS
