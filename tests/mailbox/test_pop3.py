"""The POP3 server over real sockets and real TLS."""

import asyncio
import base64
import json
import logging
import poplib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.flows.outcomes import SignInFailure
from gateway.mailbox import replies
from gateway.mailbox.session import _at_hand
from receipts.errors import TemporaryError
from receipts.octets import Octets
from tests import throwaway
from tests.mailbox.house import MESSAGES, PASSWORD, Client, House, Reel, reel
from tests.passing import pass_time

MakeHouse = Callable[..., Awaitable[House]]
ANNA = "anna@alfa.example"


# One session per mailbox, marks that count at QUIT, ids for life.


async def test_a_second_session_finds_the_mailbox_in_use(house: House, client: Client) -> None:
    assert (await client.sign_in()).startswith(b"+OK")
    second = await Client.connect(house.secure, house.tls.client())
    assert (await second.sign_in()).startswith(b"-ERR [IN-USE]")
    assert house.box.opened == 1
    other = await Client.connect(house.secure, house.tls.client())
    assert (await other.sign_in(b"bruno@alfa.example")).startswith(b"+OK")
    assert await client.ask(b"QUIT") == b"+OK bye"
    await client.left_alone()
    assert (await second.ask(b"USER anna@alfa.example")).startswith(b"+OK")
    assert (await second.ask(b"PASS " + PASSWORD.encode())).startswith(b"+OK")


async def test_a_client_that_vanishes_leaves_its_mailbox_free(house: House, client: Client) -> None:
    await client.sign_in()
    await client.vanish()
    await house.emptied()
    again = await Client.connect(house.secure, house.tls.client())
    assert (await again.sign_in()).startswith(b"+OK")


async def test_deletions_count_at_quit(house: House, client: Client) -> None:
    await client.sign_in()
    client.say(b"DELE 1", b"DELE 3", b"STAT")
    assert [await client.hear() for _ in range(3)] == [b"+OK", b"+OK", b"+OK 1 19"]
    assert len(house.box.kept) == 3
    assert await client.ask(b"QUIT") == b"+OK bye"
    assert [kept.id for kept in house.box.kept] == [2]


async def test_without_quit_nothing_is_deleted(house: House, client: Client) -> None:
    await client.sign_in()
    assert await client.ask(b"DELE 1") == b"+OK"
    await client.vanish()
    await house.emptied()
    assert len(house.box.kept) == 3


async def test_a_timeout_deletes_nothing(make_house: MakeHouse) -> None:
    house = await make_house(idle_seconds=600)
    client = await Client.connect(house.secure, house.tls.client())
    await client.sign_in()
    assert await client.ask(b"DELE 1") == b"+OK"
    await pass_time(601)
    assert await client.left_alone() == replies.TIMEOUT
    assert len(house.box.kept) == 3


async def test_deletions_that_fail_are_said_to_fail(house: House, client: Client) -> None:
    await client.sign_in()
    await client.ask(b"DELE 1")
    house.box.broken = TemporaryError("away")
    client.say(b"QUIT")
    assert await client.left_alone() == replies.KEPT
    assert len(house.box.kept) == 3


async def test_ids_stay_when_others_go(house: House, client: Client) -> None:
    await client.sign_in()
    client.say(b"UIDL", b"DELE 1", b"QUIT")
    before = [line.split()[1] for line in (await client.hear_all())[1:]]
    await client.left_alone()
    house.box.add(b"Subject: quattro\r\n\r\n")
    again = await Client.connect(house.secure, house.tls.client())
    await again.sign_in()
    again.say(b"UIDL")
    after = [line.split()[1] for line in (await again.hear_all())[1:]]
    assert after[:2] == before[1:]
    assert len(set(before) | set(after)) == 4
    assert all(1 <= len(token) <= 70 and token.isalnum() for token in after)


async def test_a_message_that_is_gone_meanwhile_is_missed_alone(house: House, client: Client) -> None:
    await client.sign_in()
    house.box.kept = house.box.kept[1:]
    client.say(b"RETR 1", b"RETR 2", b"NOOP")
    assert await client.hear() == b"-ERR no such message"
    assert (await client.hear_all())[0] == b"+OK 19 octets"
    assert await client.hear() == b"+OK"


# What clients see.


def fetch_everything(box: poplib.POP3) -> tuple[list[bytes], list[bytes]]:
    """Messages and unique ids, as poplib gets them; says QUIT."""
    box.user(ANNA)
    box.pass_(PASSWORD)
    count, size = box.stat()
    assert sum(int(line.split()[1]) for line in box.list()[1]) == size
    messages = [b"".join(line + b"\r\n" for line in box.retr(number)[1]) for number in range(1, count + 1)]
    tokens = [line.split()[1] for line in box.uidl()[1]]
    box.quit()
    return messages, tokens


async def test_poplib_over_tls(house: House) -> None:
    def talk() -> tuple[list[bytes], list[bytes]]:
        return fetch_everything(poplib.POP3_SSL("localhost", house.secure, context=house.tls.client(), timeout=60))

    messages, tokens = await asyncio.to_thread(talk)
    assert messages == list(MESSAGES)
    assert tokens == [kept.token.encode() for kept in house.box.kept]


@pytest.mark.req("SEC-02")
async def test_poplib_with_stls(house: House) -> None:
    def talk() -> list[bytes]:
        box = poplib.POP3("localhost", house.clear, timeout=60)
        assert "STLS" in box.capa()
        assert "USER" not in box.capa()
        with pytest.raises(poplib.error_proto, match="STLS first"):
            box.user(ANNA)
        box.stls(house.tls.client())
        assert "USER" in box.capa()
        return fetch_everything(box)[0]

    assert await asyncio.to_thread(talk) == list(MESSAGES)
    assert [peer.tls for peer in house.peers] == [True]


@pytest.mark.req("SEC-02")
async def test_no_password_is_taken_in_clear(house: House) -> None:
    client = await Client.connect(house.clear)
    await client.hear()
    client.say(b"USER anna@alfa.example", b"PASS " + PASSWORD.encode(), b"AUTH PLAIN AGEAYg==", b"QUIT")
    answers = [await client.hear() for _ in range(4)]
    assert [answer[:4] for answer in answers] == [b"-ERR", b"-ERR", b"-ERR", b"+OK "]
    assert house.peers == []


async def test_pipelined_messages_come_in_order_and_in_few_readings(house: House, client: Client) -> None:
    for number in range(20):
        house.box.add(b"Subject: %d\r\n\r\n" % number + b"x" * 10_000 + b"\r\n")
    await client.sign_in()
    client.say(*(b"RETR %d" % number for number in range(1, 24)), b"QUIT")
    subjects = [next(line for line in await client.hear_all() if line.startswith(b"Subject")) for _ in range(23)]
    assert subjects == [b"Subject: " + each for each in (b"uno", b"due", b"tre", *(b"%d" % n for n in range(20)))]
    assert await client.left_alone() == b"+OK bye\r\n"
    assert sum(house.box.readings) == 23
    assert len(house.box.readings) <= 3


async def test_ten_thousand_messages_are_listed_from_one_reading(house: House, client: Client) -> None:
    for number in range(10_000):
        house.box.add(b"%d" % number)
    await client.sign_in()
    client.say(b"UIDL", b"LIST", b"STAT")
    tokens, sizes = await client.hear_all(), await client.hear_all()
    assert len(tokens) == len(sizes) == 10_004
    assert len({line.split()[1] for line in tokens[1:]}) == 10_003
    assert (await client.hear()).startswith(b"+OK 10003 ")
    assert (house.box.opened, house.box.readings) == (1, [])


@pytest.mark.parametrize("lines", [3_000, 60_000])
async def test_a_message_that_stands_in_storage_is_streamed_whole(house: House, client: Client, lines: int) -> None:
    source, message = reel(lines)
    house.box.add(message)
    await client.sign_in()
    client.say(b"RETR 4", b"NOOP")
    got = await client.hear_all()
    assert got[0] == b"+OK %d octets" % message.size
    assert got[1:3] == [b"Subject: grande", b""]
    assert len(got) == 3 + lines
    assert set(got[3:]) == {b"." + Reel.line[:-2]}
    assert sum(source.read) == source.size
    assert await client.hear() == b"+OK"


async def test_a_client_that_takes_nothing_holds_little_of_a_large_message(house: House) -> None:
    source, message = reel(2_000_000)  # 118 MB
    house.box.add(message)
    client = await _narrow(house)
    await client.sign_in()
    client.say(b"RETR 4")
    await client.hear()
    read = -1
    async with asyncio.timeout(60):
        while read != sum(source.read):
            read = sum(source.read)
            await asyncio.sleep(0.3)
    assert read < 8_000_000
    await client.vanish()


async def test_top_of_a_large_message_reads_its_beginning_alone(house: House, client: Client) -> None:
    source, message = reel(100_000)
    house.box.add(message)
    await client.sign_in()
    client.say(b"TOP 4 3")
    assert await client.hear_all() == [b"+OK", b"Subject: grande", b"", *[b"." + Reel.line[:-2]] * 3]
    assert sum(source.read) <= 262_144


async def test_a_message_that_breaks_off_is_never_taken_for_whole(house: House, client: Client) -> None:
    _, message = reel(30_000, breaks_at=600_000)
    house.box.add(message)
    await client.sign_in()
    client.say(b"RETR 4", b"NOOP")
    got = await client.left_alone()
    assert b"\r\n.\r\n" not in got
    assert b"-ERR" not in got


async def test_storage_that_is_away_is_said_so(house: House, client: Client) -> None:
    house.box.broken = TemporaryError("away")
    assert await client.sign_in() == b"-ERR [SYS/TEMP] try again later"
    assert await client.left_alone() == b""
    house.box.broken = None
    again = await Client.connect(house.secure, house.tls.client())
    assert (await again.sign_in()).startswith(b"+OK")


async def test_a_bug_ends_one_session_alone(house: House, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    other = await Client.connect(house.secure, house.tls.client())
    await other.sign_in(b"bruno@alfa.example")
    house.box.broken = ZeroDivisionError("bug")
    assert await client.sign_in() == b"-ERR [SYS/TEMP] try again later"
    assert await other.ask(b"NOOP") == b"+OK"
    assert [record.levelno for record in caplog.records if record.getMessage() == "pop3 session broke"] == [40]


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (SignInFailure.WRONG, b"-ERR [AUTH] "),
        (SignInFailure.BUSY, b"-ERR [SYS/TEMP] "),
        (SignInFailure.TOO_MANY, b"-ERR [SYS/TEMP] "),
    ],
)
async def test_a_failed_sign_in_says_whether_the_password_is_to_blame(
    house: House, client: Client, failure: SignInFailure, answer: bytes
) -> None:
    house.failure = failure
    assert (await client.sign_in()).startswith(answer)


async def test_a_response_may_be_as_long_as_the_longest_password(house: House, client: Client) -> None:
    """Longer than a command may be (RFC 5034 section 4); and no longer."""
    response = base64.b64encode(b"\0anna@alfa.example\0" + "é".encode() * 2_000)
    assert len(response) > 5_000
    house.failure = SignInFailure.WRONG
    assert (await client.hear()).startswith(b"+OK")
    assert await client.ask(b"AUTH plain") == b"+ "
    assert (await client.ask(response)).startswith(b"-ERR [AUTH]")
    house.failure = None
    assert await client.ask(b"AUTH PLAIN") == b"+ "
    assert (await client.ask(b"A" * 9_000)).startswith(b"-ERR line too long")


# Whoever means no good.


async def test_what_follows_stls_in_clear_is_never_taken(house: House) -> None:
    client = await Client.connect(house.clear)
    await client.hear()
    client.say(b"STLS", b"USER anna@alfa.example", b"PASS " + PASSWORD.encode())
    got = await client.left_alone()
    assert got in {b"", replies.TLS_GO}
    assert house.peers == []


@pytest.mark.parametrize("junk", [b"a" * 5_000, b"a" * 999 + b"\r\n", b"USER " + b"a" * 2_000 + b"\r\n"])
async def test_a_line_too_long_ends_the_session(house: House, client: Client, junk: bytes) -> None:
    await client.hear()
    client.writer.write(junk)
    assert await client.left_alone() == replies.LONG


async def test_lines_of_the_longest_length_are_read(house: House, client: Client) -> None:
    await client.hear()
    assert (await client.ask(b"USER " + b"a" * (998 - 5))).startswith(b"+OK")


async def test_who_never_signs_in_is_left_alone(make_house: MakeHouse) -> None:
    house = await make_house(sign_in_seconds=100)
    client = await Client.connect(house.secure, house.tls.client())
    await client.hear()
    assert (await client.ask(b"CAPA")).startswith(b"+OK")
    await pass_time(101)
    assert (await client.left_alone()).endswith(replies.TIMEOUT)


async def test_who_never_ends_the_handshake_is_left_alone(make_house: MakeHouse) -> None:
    house = await make_house(handshake_seconds=0.3)
    client = await Client.connect(house.secure)
    client.writer.write(b"\x16\x03\x01")
    assert await client.left_alone() == b""
    plain = await Client.connect(house.secure)
    plain.say(b"USER anna")
    assert b"OK" not in await plain.left_alone()


async def test_a_session_does_not_last_for_ever(make_house: MakeHouse) -> None:
    house = await make_house(session_seconds=300)
    client = await Client.connect(house.secure, house.tls.client())
    await client.sign_in()
    await pass_time(301)
    assert (await client.left_alone()).endswith(replies.TIMEOUT)
    assert not house.server.open_mailboxes


async def test_a_client_that_takes_its_mail_too_slowly_is_left_alone(make_house: MakeHouse) -> None:
    house = await make_house(bytes_per_second=1_000_000)
    house.box.add(reel(500_000)[1])
    client = await _narrow(house)
    await client.sign_in()
    client.say(b"RETR 4")
    await client.hear()
    await house.emptied()
    assert not (await client.left_alone()).endswith(b"\r\n.\r\n")


async def test_connections_of_one_address_are_bounded(make_house: MakeHouse) -> None:
    house = await make_house(max_connections_per_address=2)
    held = [await Client.connect(house.clear) for _ in range(2)]
    for client in held:
        assert (await client.hear()).startswith(b"+OK")
    third = await Client.connect(house.clear)
    assert await third.left_alone() == replies.BUSY
    held[0].say(b"QUIT")
    await held[0].left_alone()
    assert (await (await Client.connect(house.clear)).hear()).startswith(b"+OK")


async def test_those_who_never_sign_in_do_not_keep_others_out(make_house: MakeHouse) -> None:
    house = await make_house(max_unauthenticated=2)
    held = [await Client.connect(house.secure) for _ in range(2)]  # without a word of TLS
    client = await Client.connect(house.secure, house.tls.client())
    assert (await client.sign_in()).startswith(b"+OK")
    assert await held[0].left_alone() == b""
    await held[1].vanish()


async def test_thousands_of_commands_at_once_leave_others_their_turn(house: House, client: Client) -> None:
    await client.sign_in()
    other = await Client.connect(house.secure, house.tls.client())
    client.writer.write(b"NOOP\r\n" * 200_000)
    assert (await other.sign_in(b"bruno@alfa.example")).startswith(b"+OK")
    assert len(client.reader._buffer) < 200_000 * len(b"+OK\r\n")  # type: ignore[attr-defined]
    await client.vanish()


# Coming and going.


async def test_a_server_that_stops_says_so_and_frees_its_port(house: House, client: Client) -> None:
    await client.sign_in()
    await client.ask(b"DELE 1")
    await house.server.close()
    assert await client.left_alone() == replies.SHUTDOWN
    assert len(house.box.kept) == 3
    with pytest.raises(OSError):
        await Client.connect(house.secure)


async def test_a_message_on_its_way_arrives_before_the_server_stops(house: House, client: Client) -> None:
    lines = 60_000
    house.box.add(reel(lines)[1])
    await client.sign_in()
    client.say(b"RETR 4")
    await client.hear()
    closing = asyncio.create_task(house.server.close())
    rest = await client.left_alone()
    await closing
    assert rest.count(b"\r\n..una") == lines
    assert rest.endswith(b"\r\n.\r\n" + replies.SHUTDOWN)


async def test_a_disabled_account_loses_its_session(house: House, client: Client) -> None:
    await client.sign_in()
    other = await Client.connect(house.secure, house.tls.client())
    await other.sign_in(b"bruno@alfa.example")
    assert await house.live.sweep() == 0
    house.active.discard(1)
    assert await house.live.sweep() == 1
    assert await client.left_alone() == replies.SIGNED_OUT
    assert await other.ask(b"NOOP") == b"+OK"
    assert await house.live.sweep() == 0


async def test_a_new_certificate_shows_in_the_next_handshake(house: House, tmp_path: Path) -> None:
    new = throwaway.make(tmp_path)
    house.context.load_cert_chain(new.certificate, new.key)
    client = await Client.connect(house.secure, new.client())
    assert (await client.hear()).startswith(b"+OK")


async def test_neither_password_nor_message_reaches_the_log(
    house: House, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await client.hear()
    client.say(
        b"USER anna@alfa.example",
        b"PASS segreto-4711",
        b"AUTH PLAIN AGFubmEAc2VncmV0by00NzEx",
        b"segreto-4711",
        b"USER anna@alfa.example",
        b"PASS " + PASSWORD.encode(),
        b"RETR 1",
        b"QUIT",
    )
    await client.left_alone()
    await house.server.close()
    told = json.dumps([{**record.__dict__, "text": record.getMessage()} for record in caplog.records], default=repr)
    assert "pop3 session" in told
    for secret in ("segreto", PASSWORD, "prima riga", "c2VncmV0by00NzEx"):
        assert secret not in told


async def _narrow(house: House) -> Client:
    """A client that takes next to nothing unless it reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", house.secure))
    reader, writer = await asyncio.open_connection(
        sock=sock, ssl=house.tls.client(), server_hostname="localhost", limit=4_096
    )
    return Client(reader, writer)


def test_octets_in_hand_need_no_thread() -> None:
    assert _at_hand(Octets.of(b"x"))
    assert not _at_hand(reel(1)[1])
