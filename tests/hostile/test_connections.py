"""Clients that behave badly: too many, too slow, too much, gone in the middle."""

import contextlib
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.hostile.boxes import Inbox
from tests.hostile.conftest import Room
from tests.hostile.mail import BODIES, HEADERS
from tests.hostile.probe import Probe
from tests.hostile.talk import Talk
from tests.lab.labs import Lab
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

SENDER, RECIPIENT, STRANGER = "carla@alfa.example", "carla@beta.example", "qualcuno@mail.example"
PER_ADDRESS = 50
MB = 1_000_000


def port_of(lab: Lab, service: str) -> int:
    port: int = lab.provider("alfa.example")["ports"][service]
    return port


def on_port_25(lab: Lab) -> Talk:
    return Talk(port_of(lab, "smtp")).greeted().begin(STRANGER, [SENDER])


def on_submission(lab: Lab) -> Talk:
    account = lab.account(SENDER)
    talk = Talk(port_of(lab, "submissions"), context=lab.context()).greeted()
    return talk.signed_in(account.address, account.password).begin(SENDER, [RECIPIENT])


BOTH = pytest.mark.parametrize("connected", [on_port_25, on_submission], ids=["port 25", "submission"])
Connected = Callable[[Lab], Talk]


def flow_seconds(lab: Lab) -> float:
    """How long a message of somebody else takes from its submission to its delivery receipt."""
    began, token, account = time.monotonic(), secrets.token_hex(8), lab.account(SENDER)
    with Talk(port_of(lab, "submissions"), context=lab.context(), source="127.0.0.2").greeted() as talk:
        talk.signed_in(account.address, account.password).begin(SENDER, [RECIPIENT])
        head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nMessage-ID: <{token}@client.example>\r\n\r\n"
        assert talk.data(head.encode() + b"ciao\r\n").text.endswith("> accepted")
    Inbox(lab, SENDER).wait(
        lambda raw: b"X-Ricevuta: avvenuta-consegna" in raw and token.encode() in raw, "delivery receipt"
    )
    return time.monotonic() - began


@contextlib.contextmanager
def crowd(port: int, size: int) -> Iterator[list[socket.socket]]:
    """Connections from one address of this machine that nobody else uses."""
    with contextlib.ExitStack() as stack:
        clients = [
            socket.create_connection(("127.0.0.1", port), timeout=60, source_address=("127.0.0.3", 0))
            for _ in range(size)
        ]
        yield [stack.enter_context(client) for client in clients]


@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_200_connections_from_one_address_are_50(lab: Lab, service: str) -> None:
    with crowd(port_of(lab, service), 200) as clients:
        words = [client.recv(3) for client in clients]
        assert words.count(b"220") == PER_ADDRESS
        assert words.count(b"421") == 200 - PER_ADDRESS
        turned_away = [client for client, word in zip(clients, words, strict=True) if word == b"421"]
        assert all(map(_ends, turned_away))
    until(lambda: _welcome(port_of(lab, service)), "room for another connection")


@pytest.mark.parametrize("service", ["pop3", "pop3s", "submissions", "https"])
def test_200_silent_connections_keep_nobody_from_their_mail(lab: Lab, service: str) -> None:
    with crowd(port_of(lab, service), 200):
        assert flow_seconds(lab) < 30


def test_half_open_tls_keeps_nobody_waiting(lab: Lab) -> None:
    """Some say nothing, some begin a handshake and stop, some send bytes that are none."""
    hello = _client_hello()
    with crowd(port_of(lab, "submissions"), 40) as silent, crowd(port_of(lab, "smtp"), 30) as begun:
        for number, client in enumerate(silent):
            client.sendall((b"", hello[:20], hello, b"\x16\x03\x01\xff\xff" + bytes(60), b"EHLO x\r\n")[number % 5])
        for client in begun:
            client.recv(200)
            client.sendall(b"EHLO x\r\n")
            client.recv(500)
            client.sendall(b"STARTTLS\r\n")
            assert client.recv(100).startswith(b"220")
            client.sendall(hello[:100])
        assert flow_seconds(lab) < 30
        for client in begun:
            assert _ends(client), "a handshake has its time"


def test_many_slow_clients_keep_nobody_waiting(lab: Lab) -> None:
    """Each says one byte at a time, in a command or in a message."""
    with contextlib.ExitStack() as stack:
        talks = [stack.enter_context(on_port_25(lab)) for _ in range(30)]
        for talk in talks[:15]:
            talk.send(b"DATA\r\n")
            assert talk.answer().code == 354
        for byte in (b"D", b"a", b"t", b"e", b":"):
            for talk in talks:
                talk.send(byte)
            assert flow_seconds(lab) < 30


@pytest.mark.parametrize("case", ["10,000 parts", "100,000 fields"])
def test_messages_that_take_time_keep_nobody_waiting(lab: Lab, case: str, room: Room) -> None:
    """Strangers send one after the other of what takes longest to take apart; the others hardly notice (D37).

    It is for nobody whom there is, so that it is looked into and refused, and fills no mailbox.
    """
    room.megabytes = 200
    message = f"From: {STRANGER}\r\n{(BODIES | HEADERS)[case]('x')}".encode()
    over, probe = threading.Event(), Probe(port_of(lab, "smtp"))

    def send() -> None:
        with Talk(port_of(lab, "smtp"), source="127.0.0.3").greeted() as talk:
            while not over.is_set():
                assert talk.begin("x@beta.example", ["nessuno@alfa.example"]).chunk(message).code == 550

    began = time.monotonic()
    with Talk(port_of(lab, "smtp"), source="127.0.0.3").greeted() as talk:
        assert talk.begin("x@beta.example", ["nessuno@alfa.example"]).chunk(message).code == 550
    alone = time.monotonic() - began
    threads = [threading.Thread(target=each) for each in (send, send, send, probe.run)]
    for thread in threads:
        thread.start()
    try:
        flows = [flow_seconds(lab) for _ in range(10)]
    finally:
        over.set()
        often, slowest = probe.stop()
        for thread in threads:
            thread.join()
    print(f"{case}: alone {alone:.2f} s;", end=" ")
    print(f"NOOP within {1000 * often:.0f} ms 99 times of 100, at worst {1000 * slowest:.0f} ms;", end=" ")
    print(f"flows {sorted(round(seconds, 2) for seconds in flows)} s")
    assert often < max(1, alone)  # on a slow machine too nobody waits for a whole message of theirs
    assert max(flows) < 30


@BOTH
@pytest.mark.parametrize("size", [0, 10_000, 3 * MB])
def test_a_message_that_breaks_off_is_none(lab: Lab, connected: Connected, size: int) -> None:
    token = secrets.token_hex(8)
    talk = connected(lab)
    talk.send(b"DATA\r\n")
    assert talk.answer().code == 354
    talk.send(f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nX-Token: {token}\r\n\r\n".encode() + b"x" * 98 + b"\r\n")
    talk.send((b"y" * 98 + b"\r\n") * (size // 100))
    talk.vanish()
    assert flow_seconds(lab) < 30
    for address in (SENDER, RECIPIENT):
        assert not [raw for raw in Inbox(lab, address).all() if token.encode() in raw]


@pytest.mark.parametrize("last", [b"", b" LAST"])
@pytest.mark.parametrize("sent", [0, 10_000, 3 * MB])
def test_a_chunk_that_breaks_off_is_no_message(lab: Lab, last: bytes, sent: int) -> None:
    token = secrets.token_hex(8)
    talk = on_port_25(lab)
    talk.send(b"BDAT 5000000%b\r\nX-Token: %b\r\n" % (last, token.encode()) + (b"y" * 98 + b"\r\n") * (sent // 100))
    talk.vanish()
    assert flow_seconds(lab) < 30
    assert not [raw for raw in Inbox(lab, SENDER).all() if token.encode() in raw]


def test_chunks_without_end_are_refused(lab: Lab) -> None:
    with on_port_25(lab) as talk:
        answers = []
        for _ in range(9):
            talk.send(b"BDAT 5000000\r\n" + (b"z" * 98 + b"\r\n") * 50_000)
            answers.append(talk.answer().code)
        assert answers == [250] * 8 + [552]


@pytest.mark.parametrize("size", ["99999999999999999999", "-1", "x", "1 LAST LAST", "1e9", ""])
def test_a_chunk_of_no_size_ends_the_session(lab: Lab, size: str) -> None:
    with on_port_25(lab) as talk:
        answer = talk.ask(f"BDAT {size}")
        assert answer.code in (501, 552)
        assert talk.closed()


@BOTH
@pytest.mark.parametrize("line", [b"X-Ancora: e ancora\r\n", b"x" * 98 + b"\r\n"], ids=["header lines", "lines"])
def test_a_message_that_never_ends_is_cut_off(lab: Lab, connected: Connected, line: bytes, room: Room) -> None:
    talk = connected(lab)
    talk.send(b"DATA\r\n")
    assert talk.answer().code == 354
    block, sent = line * (MB // len(line)), 0
    with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
        while sent < 200 * MB:
            talk.send(block)
            sent += len(block)
    assert 78 * MB < sent < 150 * MB, "twice what a message may have, and what is under way"


def test_a_message_over_the_limit_is_refused_at_its_end(lab: Lab) -> None:
    with on_submission(lab) as talk:
        answer = talk.data(b"From: x\r\n\r\n" + (b"x" * 98 + b"\r\n") * 410_000)
        assert (answer.code, answer.text[:5]) == (552, "5.3.4")


@pytest.mark.req("AP-16")
def test_a_message_over_30_mb_in_all_is_not_accepted(lab: Lab) -> None:
    """Below what a message may have at all, but more than its size times its recipients may be."""
    body = (b"x" * 98 + b"\r\n") * 310_000
    with on_submission(lab) as talk:
        answer = talk.data(f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: troppo\r\n\r\n".encode() + body)
    assert answer.code == 250
    assert answer.text.endswith("> not accepted, notice issued")
    notice = Inbox(lab, SENDER).wait(lambda raw: b"X-Ricevuta: non-accettazione" in raw, "notice")
    assert len(notice) < 20_000


@pytest.mark.req("QOS-02")
def test_a_message_of_30_mb_in_all_is_accepted(lab: Lab, room: Room) -> None:
    room.megabytes = 120
    head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: quanto basta\r\n\r\n".encode()
    line = b"x" * 98 + b"\r\n"
    message = head + line * ((30 * MB - len(head)) // len(line))
    message += b"y" * (30 * MB - len(message) - 2) + b"\r\n"
    assert len(message) == 30 * MB
    with on_submission(lab) as talk:
        answer = talk.data(message)
    assert answer.text.endswith("> accepted")
    Inbox(lab, SENDER).wait(lambda raw: b"X-Ricevuta: avvenuta-consegna" in raw, "delivery receipt", seconds=120)
    Inbox(lab, RECIPIENT).wait(lambda raw: message[len(head) :] in raw, "envelope")


@BOTH
def test_a_line_without_end_is_refused(lab: Lab, connected: Connected) -> None:
    with connected(lab) as talk:
        answer = talk.data(b"x" * 5 * MB + b"\r\n")
        assert (answer.code, answer.text[:5]) == (554, "5.6.0")


@BOTH
def test_a_command_without_end_is_refused(lab: Lab, connected: Connected) -> None:
    with connected(lab) as talk:
        talk.send(b"NOOP " + b"x" * 5 * MB + b"\r\n")
        assert talk.answer().code == 500
        assert talk.ask("NOOP").code == 250


@BOTH
def test_500_recipients_and_no_more(lab: Lab, connected: Connected) -> None:
    with connected(lab) as talk:
        talk.send(b"".join(b"RCPT TO:<carla@alfa.example>\r\n" for _ in range(600)))
        assert {talk.answer().code for _ in range(600)} == {250}, "the same one again is no other"
    with on_submission(lab) as talk:
        talk.send(b"".join(b"RCPT TO:<r%d@beta.example>\r\n" % number for number in range(10_001)))
        answers = [str(talk.answer())[:9] for _ in range(10_001)]
    assert answers == ["250 2.1.5"] * 499 + ["452 4.5.3"] * (10_001 - 499)


def test_who_tries_out_names_is_cut_off(lab: Lab) -> None:
    with Talk(port_of(lab, "smtp")).greeted() as talk:
        talk.ask(f"MAIL FROM:<{STRANGER}>")
        talk.send(b"".join(b"RCPT TO:<nessuno%d@alfa.example>\r\n" % number for number in range(1_000)))
        assert [talk.answer().code for _ in range(101)] == [550] * 100 + [421]
        assert talk.closed()


@pytest.mark.parametrize("service", ["smtp", "submission", "pop3"])
@pytest.mark.parametrize(
    "noise",
    [
        secrets.token_bytes(100_000),
        b"\r\n" * 50_000,
        b"\0" * 1_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
        b"A" * 100_000,
        b"STARTTLS\r\n" + b"NOOP\r\n" * 100,
    ],
    ids=["random", "empty lines", "NUL", "HTTP", "one line", "behind STARTTLS"],
)
def test_noise_ends_with_the_session(lab: Lab, service: str, noise: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port_of(lab, service)), timeout=60) as client:
        client.recv(200)
        with contextlib.suppress(ConnectionError):
            client.sendall(noise)
            client.shutdown(socket.SHUT_WR)
        assert _ends(client)


def _welcome(port: int) -> bool:
    with crowd(port, 1) as (client,):
        return client.recv(3) == b"220"


def _ends(client: socket.socket) -> bool:
    """Whether the other end hangs up within a minute."""
    try:
        while client.recv(65536):
            continue
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def _client_hello() -> bytes:
    """The first flight of a real handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
