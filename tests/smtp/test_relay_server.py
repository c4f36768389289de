"""Port 25 over sockets: pipelining across messages, TLS, limits, slow and vanishing clients (D7, D11, D17, D37)."""

import asyncio
import logging
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest

from gateway.flows.outcomes import Arrival, ReceiveOutcome, Refusal, Refused, Taken
from gateway.smtp.limits import Limits
from receipts.errors import TemporaryError
from tests.smtp.client import Client, connected_pair, until
from tests.smtp.conftest import House, Tls

Houses = Callable[..., House]

HELLO = b"EHLO client.example\r\n"
ENVELOPE = b"MAIL FROM:<a@beta.example>\r\nRCPT TO:<anna@alfa.example>\r\n"


def bdat(message: bytes) -> bytes:
    return ENVELOPE + b"BDAT %d LAST\r\n" % len(message) + message


@pytest.mark.req("IP-10", "SEC-03")
async def test_starttls_is_offered_and_mail_taken_with_and_without_it(house: Houses, tls: Tls) -> None:
    built = house()
    _, port = await built.relay()
    clear, encrypted = await Client.connect(port), await Client.connect(port)
    capabilities = (await clear.say("EHLO client.example")).split("\n")
    assert [line[4:] for line in capabilities] == [
        "mx.alfa.example",
        "PIPELINING",
        "SIZE 100000000",
        "8BITMIME",
        "STARTTLS",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
    ]
    await encrypted.start_tls(tls.client)
    assert (await encrypted.say("MAIL FROM:<a@beta.example>")).startswith("503 ")  # TLS begins a new session
    assert "STARTTLS" not in await encrypted.say("EHLO client.example")
    assert (await encrypted.say("STARTTLS")).startswith("503 ")
    for client in (clear, encrypted):
        await client.begin("anna@alfa.example")
        assert await client.send(b"Subject: x\r\n") == "250 2.0.0 Decided and kept"
    peers = [arrival.peer for arrival in built.flows.arrivals]
    assert [(peer.tls, peer.helo, peer.address) for peer in peers] == [
        (False, "client.example", "127.0.0.1"),
        (True, "client.example", "127.0.0.1"),
    ]


async def test_what_follows_starttls_is_discarded_and_the_session_ends(house: Houses) -> None:
    built = house()
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + b"STARTTLS\r\n" + ENVELOPE)
    assert (await client.reply()).startswith("250-")
    assert (await client.reply()).startswith("554 5.7.0 ")
    assert await client.gone()


async def test_clear_bytes_instead_of_a_handshake_end_the_session(house: Houses) -> None:
    built = house()
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    assert (await client.say("STARTTLS")).startswith("220 ")
    await client.write(ENVELOPE)
    await until(lambda: not server.connections)
    assert server.door.open == 0


async def test_a_handshake_has_its_time(house: Houses) -> None:
    built = house(handshake_seconds=0.05)
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    assert (await client.say("STARTTLS")).startswith("220 ")
    assert await client.gone()
    await until(lambda: server.door.open == 0)


async def test_bytes_before_the_greeting_are_refused(house: Houses) -> None:
    built = house()
    server, _ = await built.relay()
    theirs, ours = await connected_pair(HELLO)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: server.protocol(implicit_tls=False), ours)
    client = Client(*theirs)
    assert (await client.reply()).startswith("554 5.5.1 ")
    assert await client.gone()


async def test_the_next_message_begins_while_one_waits_for_its_commit(house: Houses) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + bdat(b"one\r\n") + bdat(b"two\r\n") + b"NOOP\r\n")
    assert (await client.reply()).startswith("250-")
    assert [(await client.reply())[:9] for _ in range(2)] == ["250 2.1.0", "250 2.1.5"]
    await until(lambda: len(built.flows.arrivals) == 2)
    assert [arrival.message.read() for arrival in built.flows.arrivals] == [b"one\r\n", b"two\r\n"]
    reading = asyncio.create_task(client.reply())
    await asyncio.sleep(0.02)
    assert not reading.done()  # nothing is acknowledged before it is kept
    built.flows.gate.set()
    assert (await reading)[:9] == "250 2.0.0"
    assert [(await client.reply())[:9] for _ in range(4)] == ["250 2.1.0", "250 2.1.5", "250 2.0.0", "250 2.0.0"]


async def test_replies_keep_their_order_though_flows_end_in_another(house: Houses) -> None:
    built = house()
    gates = {b"one\r\n": asyncio.Event(), b"two\r\n": asyncio.Event()}

    async def receive(arrival: Arrival) -> ReceiveOutcome:
        await gates[arrival.message.read()].wait()
        ended.append(arrival.message.read())
        return Taken() if arrival.message.read() == b"one\r\n" else Refused(Refusal.POLICY)

    ended: list[bytes] = []
    built.flows.receive = receive  # type: ignore[method-assign]
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + bdat(b"one\r\n") + bdat(b"two\r\n") + b"QUIT\r\n")
    for _ in range(3):
        await client.reply()
    gates[b"two\r\n"].set()
    await until(lambda: ended)
    gates[b"one\r\n"].set()
    replies = [(await client.reply())[:9] for _ in range(5)]
    assert ended == [b"two\r\n", b"one\r\n"]
    assert replies == ["250 2.0.0", "250 2.1.0", "250 2.1.5", "550 5.7.1", "221 2.0.0"]
    assert await client.gone()


@pytest.mark.parametrize("limits", [{"window_messages": 3}, {"window_bytes": 15}])
async def test_the_window_is_bounded(house: Houses, limits: dict[str, int]) -> None:
    built = house(**limits)
    built.flows.gate = asyncio.Event()
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + b"".join(bdat(b"%04d\r\n" % number) for number in range(10)))
    await until(lambda: len(built.flows.arrivals) == 3)
    await asyncio.sleep(0.02)
    assert len(built.flows.arrivals) == 3
    built.flows.gate.set()
    await until(lambda: len(built.flows.arrivals) == 10)
    assert [arrival.message.read() for arrival in built.flows.arrivals] == [b"%04d\r\n" % n for n in range(10)]
    for _ in range(1 + 3 * 10):
        assert (await client.reply()).startswith("250")


async def test_replies_that_wait_for_a_message_are_bounded(house: Houses) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + bdat(b"one\r\n") + b"NOOP\r\n" * 3_000)
    await until(lambda: built.flows.arrivals)
    (connection,) = server.connections
    await until(lambda: connection.inbox.size > 1_000 * len(b"NOOP\r\n"))
    for _ in range(100):  # turns in which more could be obeyed
        await asyncio.sleep(0)
    assert connection.inbox.size > 1_000 * len(b"NOOP\r\n")
    built.flows.gate.set()
    for _ in range(1 + 3 + 3_000):
        assert (await client.reply()).startswith("250")


async def test_a_flight_of_commands_does_not_hold_up_the_others(house: Houses) -> None:
    built = house()
    server, port = await built.relay()
    client = await Client.connect(port)
    await until(lambda: server.connections)
    (connection,) = server.connections
    obeyed: list[int] = []

    async def take_turns() -> None:
        while True:
            obeyed.append(connection._lines)
            await asyncio.sleep(0)

    others = asyncio.create_task(take_turns())
    await client.write(b"NOOP\r\n" * 6_400)
    for _ in range(6_400):
        await client.reply()
    others.cancel()
    assert max(after - before for before, after in pairwise(obeyed)) <= 64


async def test_a_client_that_stops_sending_still_hears_its_replies(house: Houses) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + bdat(b"one\r\n"))
    client.writer.write_eof()
    await until(lambda: built.flows.arrivals)
    built.flows.gate.set()
    for _ in range(4):
        assert (await client.reply()).startswith("250")
    assert await client.gone()


async def test_a_flow_that_began_ends_though_the_client_is_gone(house: Houses) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + bdat(b"one\r\n"))
    await until(lambda: built.flows.arrivals)
    client.reset()
    await until(lambda: server.door.open == 0)
    assert len(server.flows) == 1
    assert built.budget.taken == 5
    built.flows.gate.set()
    await until(lambda: not server.flows)
    assert built.budget.taken == 0


@pytest.mark.parametrize("start", [b"DATA\r\nSubject: x\r\n", b"BDAT 1000\r\nSubject: x\r\n", b"BDAT 3\r\nabc"])
async def test_a_message_cut_off_reaches_no_flow(house: Houses, start: bytes) -> None:
    built = house(memory_bytes=2)
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + ENVELOPE + start)
    await until(lambda: built.sinks.opened)
    client.writer.transport.abort()
    await until(lambda: not server.connections)
    await until(lambda: built.sinks.opened[0].aborted)
    assert built.flows.arrivals == []
    assert built.budget.taken == 0


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (Refused(Refusal.UNKNOWN_RECIPIENT), "550 5.1.1 "),
        (Refused(Refusal.MAILBOX_FULL), "452 4.2.2 "),
        (Refused(Refusal.LOOP), "554 5.4.6 "),
        (TemporaryError("the key is locked"), "451 4.3.0 Try again later"),
        (RuntimeError("secret detail"), "451 4.3.0 Try again later"),
    ],
)
async def test_outcomes_and_errors_of_the_flow(
    house: Houses, outcome: ReceiveOutcome | Exception, reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    built = house()
    built.flows.receive_outcome = outcome
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.begin("anna@alfa.example")
    with caplog.at_level(logging.DEBUG):
        assert (await client.send(b"Subject: unsayable\r\n\r\nunsayable\r\n")).startswith(reply)
    assert "unsayable" not in caplog.text
    if isinstance(outcome, RuntimeError):
        assert "Traceback" in caplog.text
    assert (await client.say("NOOP")).startswith("250 ")


async def test_a_recipient_that_cannot_be_looked_up_is_put_off(house: Houses) -> None:
    built = house()
    built.flows.check_error = TemporaryError("database")
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    await client.say("MAIL FROM:<a@beta.example>")
    assert (await client.say("RCPT TO:<anna@alfa.example>")).startswith("451 4.3.0 ")


@pytest.mark.req("QOS-01")
async def test_as_many_recipients_as_the_limit_says_and_no_more(house: Houses) -> None:
    built = house(max_recipients=50)
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.begin(*(f"box{number}@alfa.example" for number in range(50)))
    assert (await client.say("RCPT TO:<one.more@alfa.example>")).startswith("452 4.5.3 ")
    assert (await client.send(b"Subject: x\r\n")).startswith("250 ")
    assert len(built.flows.arrivals[0].forward_paths) == 50


async def test_trying_out_names_ends_the_session(house: Houses) -> None:
    built = house(max_refused_recipients=3)
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    await client.say("MAIL FROM:<a@beta.example>")
    for path in ("nobody@alfa.example", "anna@beta.example", "nobody@alfa.example"):
        assert (await client.say(f"RCPT TO:<{path}>")).startswith("550 ")
    assert (await client.reply()).startswith("421 4.7.0 ")
    assert await client.gone()


async def test_no_message_begins_beyond_the_budget(house: Houses) -> None:
    built = house(max_in_flight_bytes=10)
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    assert built.budget.take(10)
    assert (await client.say("MAIL FROM:<a@beta.example>")).startswith("452 4.3.1 ")
    built.budget.give_back(10)
    assert (await client.say("MAIL FROM:<a@beta.example>")).startswith("250 ")
    await client.say("RCPT TO:<anna@alfa.example>")
    assert (await client.send(b"Subject: too long\r\n")).startswith("452 4.3.1 ")
    assert built.budget.taken == 0


async def test_connections_beyond_the_limit_are_turned_away(house: Houses) -> None:
    built = house(max_connections_per_address=2)
    server, port = await built.relay()
    first, second = await Client.connect(port), await Client.connect(port)
    third = await Client.connect(port, greeting=False)
    assert (await third.reply()).startswith("421 4.7.0 ")
    assert await third.gone()
    await first.say("QUIT")
    first.close()
    await until(lambda: server.door.open == 1)
    await Client.connect(port)
    assert (await second.say("NOOP")).startswith("250 ")


async def test_a_silent_client_is_sent_away(house: Houses) -> None:
    built = house(command_seconds=300)
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.say("EHLO client.example")
    built.clock.advance(299)
    server.sweep()
    await client.say("NOOP")
    built.clock.advance(300)
    await client.write(b"NOO")  # part of a command is none
    server.sweep()
    assert (await client.say("P")).startswith("250 ")
    await client.write(b"NO")
    built.clock.advance(301)
    server.sweep()
    assert await client.reply() == "421 4.4.2 Timeout, goodbye"
    assert await client.gone()


async def test_a_slow_message_is_cut_off(house: Houses) -> None:
    built = house(data_grace_seconds=60, min_data_bytes_per_second=1_000)
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.begin("anna@alfa.example")
    assert (await client.say("DATA")).startswith("354 ")
    built.clock.advance(60)
    server.sweep()
    (connection,) = server.connections
    await client.write(b"x" * 98 + b"\r\n")
    await until(lambda: connection.watch.taken == 100)
    built.clock.advance(0.1)
    server.sweep()
    assert connection.open
    built.clock.advance(1)
    server.sweep()
    assert (await client.reply()).startswith("421 4.4.2 ")
    assert await client.gone()
    await until(lambda: built.budget.taken == 0)
    assert built.flows.arrivals == []


async def test_a_session_ends_in_time_but_not_within_a_message(house: Houses) -> None:
    built = house(session_seconds=100, command_seconds=1_000, data_grace_seconds=1_000)
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.begin("anna@alfa.example")
    assert (await client.say("DATA")).startswith("354 ")
    built.clock.advance(101)
    server.sweep()
    await client.write(b"Subject: x\r\n.\r\n")
    assert (await client.reply()).startswith("250 ")
    server.sweep()
    assert (await client.reply()).startswith("421 4.4.2 Session")
    assert await client.gone()


async def test_nobody_is_sent_away_while_a_flow_takes_its_time(house: Houses) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + bdat(b"one\r\n"))
    await until(lambda: built.flows.arrivals)
    built.clock.advance(10_000)
    server.sweep()
    built.flows.gate.set()
    for _ in range(4):
        assert (await client.reply()).startswith("250")


async def test_a_client_that_reads_no_replies_is_held_and_sent_away(house: Houses) -> None:
    built = house()
    server, port = await built.relay()
    client = await Client.connect(port)
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    flood = asyncio.create_task(flood_with(client, b"HELP\r\n" * 10_000))
    (connection,) = server.connections
    await until(lambda: connection.watch.doing.name == "REPLYING")
    size = connection.inbox.size
    await asyncio.sleep(0.02)
    assert connection.inbox.size <= max(size, 1_000_000)
    built.clock.advance(301)
    server.sweep()
    built.clock.advance(6)
    server.sweep()
    await until(lambda: server.door.open == 0)
    flood.cancel()


async def flood_with(client: Client, data: bytes) -> None:
    try:
        while True:
            await client.write(data)
    except OSError:
        return


async def test_a_refused_message_without_end_is_given_up(house: Houses) -> None:
    built = house(max_message_bytes=10_000)
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.begin("anna@alfa.example")
    assert (await client.say("DATA")).startswith("354 ")
    flood = asyncio.create_task(flood_with(client, b"x" * 98 + b"\r\n"))
    assert (await client.reply()).startswith("552 5.3.4 ")
    flood.cancel()


async def test_a_chunk_beyond_all_bounds_is_not_read(house: Houses) -> None:
    built = house(max_message_bytes=10_000)
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.write(HELLO + ENVELOPE + b"BDAT 20001 LAST\r\n")
    for _ in range(3):
        await client.reply()
    assert (await client.reply()).startswith("552 5.3.4 ")
    assert await client.gone()


async def test_stopping_finishes_what_began(house: Houses) -> None:
    built = house()
    built.flows.gate = asyncio.Event()
    server, port = await built.relay()
    busy, idle, talking = [await Client.connect(port) for _ in range(3)]
    await busy.write(HELLO + bdat(b"one\r\n"))
    await talking.begin("anna@alfa.example")
    assert (await talking.say("DATA")).startswith("354 ")
    await until(lambda: built.flows.arrivals)
    stopping = asyncio.create_task(server.close(grace_seconds=60))
    assert (await idle.reply()).startswith("421 4.3.2 ")
    idle.close()
    with pytest.raises(OSError):
        await Client.connect(port)
    await talking.write(b"Subject: x\r\n.\r\n")
    await until(lambda: len(built.flows.arrivals) == 2)
    built.flows.gate.set()
    assert [(await busy.reply())[:4] for _ in range(5)] == ["250-", "250 ", "250 ", "250 ", "421 "]
    assert [(await talking.reply())[:4] for _ in range(2)] == ["250 ", "421 "]
    busy.close()
    talking.close()
    await stopping
    assert not server.connections


async def test_stopping_does_not_wait_for_ever(house: Houses) -> None:
    built = house()
    server, port = await built.relay()
    client = await Client.connect(port)
    await client.begin("anna@alfa.example")
    assert (await client.say("DATA")).startswith("354 ")
    await server.close(grace_seconds=0.05)
    assert await client.gone()
    await until(lambda: not server.connections)


@pytest.mark.parametrize("how", ["DATA", "BDAT"])
async def test_50_mb_stream_through_in_little_memory(house: Houses, how: str) -> None:
    built = house(data_grace_seconds=1_000)
    written = [0, 0]

    class Counting:
        async def write(self, data: bytes, /) -> None:
            written[0] += len(data)
            written[1] = max(written[1], len(data))

        async def finish(self) -> object:
            return _Counted(written[0])

        async def abort(self) -> None: ...

    built.sinks = Counting  # type: ignore[assignment]
    _, port = await built.relay()
    client = await Client.connect(port)
    await client.begin("anna@alfa.example")
    block = (b"x" * 76 + b"\r\n") * 1_000
    count = 50_000_000 // len(block)
    tracemalloc.start()
    try:
        if how == "DATA":
            assert (await client.say("DATA")).startswith("354 ")
        else:
            await client.write(b"BDAT %d LAST\r\n" % (count * len(block)))
        for _ in range(count):
            await client.write(block)
        if how == "DATA":
            await client.write(b".\r\n")
        assert (await client.reply()).startswith("250 ")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written[0] == count * len(block)
    assert written[1] <= Limits().memory_bytes + 256 * 1024  # what was kept so far, with the piece that was too much
    assert peak < 8_000_000


class _Counted:
    def __init__(self, size: int) -> None:
        self.size = size
        self.sha256 = b""


async def test_a_bug_in_a_command_ends_the_session_alone(
    house: Houses, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    built = house()
    server, port = await built.relay()
    other = await Client.connect(port)
    client = await Client.connect(port)
    monkeypatch.setattr("gateway.smtp.session.Session.rcpt", _fail)
    await client.say("EHLO client.example")
    await client.say("MAIL FROM:<a@beta.example>")
    assert (await client.say("RCPT TO:<anna@alfa.example>")).startswith("451 4.3.0 ")
    assert await client.gone()
    assert "connection failed on a bug" in caplog.text
    assert "anna@alfa.example" not in caplog.text
    assert (await other.say("NOOP")).startswith("250 ")
    client.close()
    await until(lambda: server.door.open == 1)


def _fail(*_: object) -> None:
    raise RuntimeError("bug")
