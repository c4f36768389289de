"""IMAP sessions over real sockets: signing in, several in one folder, news, limits, and how they end."""

import asyncio
import base64
import logging
import socket
import zlib
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gateway.flows.outcomes import SignInFailure
from gateway.mailbox.imap import changing, replies
from gateway.points.boxes import BoxRefused, Copied, Why
from receipts.errors import TemporaryError
from receipts.octets import Octets
from tests.drivers.scripted import until
from tests.mailbox.house import reel
from tests.mailbox.imap.house import ANNA, MESSAGES, PASSWORD, Client, House
from tests.mailbox.imap.memory import MemoryBox
from tests.passing import pass_time

MakeHouse = Callable[..., Awaitable[House]]
BODY = b"* 1 FETCH (UID 4 BODY[] {%d}\r\n%s)"


# Signing in.


async def test_wrong_passwords_are_told_apart_from_trouble(make_house: MakeHouse) -> None:
    house = await make_house(max_failures=3)
    client = await house.client(signed_in=False)
    assert await client.ask(b"LOGIN anna@alfa.example wrong") == [
        b"NO [AUTHENTICATIONFAILED] user name or password wrong"
    ]
    house.failure = SignInFailure.BUSY
    assert await client.ask(b"LOGIN a b") == [b"NO [UNAVAILABLE] try again later"]
    house.failure = SignInFailure.TOO_MANY
    assert await client.ask(b"LOGIN a b") == [b"NO [UNAVAILABLE] too many failures, try again later"]
    assert await client.left_alone() == b""
    assert house.peers[0].tls
    assert house.peers[0].address == "127.0.0.1"


@pytest.mark.req("SEC-02")
async def test_no_password_is_taken_in_clear(house: House) -> None:
    client = await Client.connect(house.clear)
    assert b"LOGINDISABLED" in await client.hear()
    assert (await client.ask(f'LOGIN {ANNA} "{PASSWORD}"'.encode()))[-1].startswith(b"NO [PRIVACYREQUIRED]")
    plain = base64.b64encode(f"\0{ANNA}\0{PASSWORD}".encode())
    assert (await client.ask(b"AUTHENTICATE PLAIN " + plain))[-1].startswith(b"NO [PRIVACYREQUIRED]")
    assert not house.peers


async def test_what_is_said_behind_starttls_is_never_heard(house: House) -> None:
    client = await Client.connect(house.clear)
    await client.hear()
    client.say(b"a STARTTLS", f'b LOGIN {ANNA} "{PASSWORD}"'.encode())
    assert await client.hear() == b"a OK begin TLS"
    await client.left_alone()
    assert not house.peers


async def test_a_password_is_in_no_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await house.client()
    await client.ask(b"LOGIN again secret-word")
    await client.ask(b"SEARCH TEXT secret-word")
    assert "secret-word" not in caplog.text
    assert PASSWORD not in caplog.text


async def test_a_stranger_has_a_minute(make_house: MakeHouse) -> None:
    house = await make_house(sign_in_seconds=60)
    client = await house.client(signed_in=False)
    await pass_time(61)
    assert await client.left_alone() == replies.BYE_TIMEOUT


@pytest.mark.parametrize(
    "drop", [b"NOOP\r\n", b"x", b"a NOOP\r\n" * 500], ids=["commands", "a literal", "faster than they are answered"]
)
async def test_a_stranger_has_no_longer_by_always_saying_something(make_house: MakeHouse, drop: bytes) -> None:
    house = await make_house(sign_in_seconds=0.5, max_bad_commands=10**9)
    client = await house.client(signed_in=False)
    if drop == b"x":
        client.say(b"a LOGIN {8000}")
        await client.hear()

    async def go_on() -> None:
        while True:
            client.writer.write(drop)
            await client.writer.drain()
            await asyncio.sleep(0.01)

    talking = asyncio.ensure_future(go_on())
    try:
        assert (await client.left_alone())[-len(replies.BYE_TIMEOUT) :] in (replies.BYE_TIMEOUT, b"")
    finally:
        talking.cancel()


async def test_a_stranger_may_not_say_much(house: House) -> None:
    client = await house.client(signed_in=False)
    client.say(b"a LOGIN {100000}")
    assert await client.hear() == b"a BAD literal too large"
    client.say(b"b LOGIN {100000+}")
    client.writer.write(b"x" * 100_000)
    assert await client.left_alone() == replies.BYE_LONG


@pytest.mark.parametrize("why", SignInFailure)
async def test_every_refusal_has_its_word(house: House, why: SignInFailure) -> None:
    client = await house.client(signed_in=False)
    house.failure = why
    assert (await client.ask(b"LOGIN a b"))[-1].startswith(b"NO [")


# Several sessions in one folder.


async def test_sessions_see_each_other(house: House) -> None:
    one, other = await house.client(select="INBOX"), await house.client(select="INBOX")
    assert await one.ask(b"STORE 2 +FLAGS (\\Flagged)") == [b"* 2 FETCH (FLAGS (\\Flagged \\Recent))", b"OK STORE done"]
    assert await other.ask(b"NOOP") == [b"* 2 FETCH (FLAGS (\\Flagged))", b"OK NOOP done"]
    await one.ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await one.ask(b"EXPUNGE") == [b"* 1 EXPUNGE", b"OK EXPUNGE done"]
    house.box.add(b"Subject: neu\r\n\r\n")
    assert await other.ask(b"CHECK") == [b"* 1 EXPUNGE", b"* 3 EXISTS", b"* 1 RECENT", b"OK CHECK done"]
    assert await one.ask(b"NOOP") == [b"* 3 EXISTS", b"* 2 RECENT", b"OK NOOP done"]


async def test_numbers_stand_still_while_commands_speak_of_them(house: House) -> None:
    one, other = await house.client(select="INBOX"), await house.client(select="INBOX")
    await one.ask(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
    await one.ask(b"EXPUNGE")
    assert await other.ask(b"FETCH 1:* (UID)") == [
        b"* 2 FETCH (UID 2)",
        b"* 3 FETCH (UID 3)",
        b"OK [EXPUNGEISSUED] some messages are gone",
    ]
    assert await other.ask(b"STORE 1,3 +FLAGS (x)") == [
        b"* 3 FETCH (FLAGS (x))",
        b"OK [EXPUNGEISSUED] some messages are gone",
    ]
    assert await other.ask(b"SEARCH ALL") == [b"* SEARCH 2 3", b"OK SEARCH done"]
    assert await other.ask(b"UID SEARCH ALL") == [b"* SEARCH 2 3", b"* 1 EXPUNGE", b"OK SEARCH done"]
    assert await other.ask(b"FETCH 1:* (UID)") == [b"* 1 FETCH (UID 2)", b"* 2 FETCH (UID 3)", b"OK FETCH done"]


async def test_a_silent_store_tells_what_others_did(house: House) -> None:
    one, other = await house.client(select="INBOX"), await house.client(select="INBOX")
    await one.ask(b"STORE 1 +FLAGS.SILENT (\\Answered)")
    assert await other.ask(b"STORE 1 +FLAGS.SILENT (\\Seen)") == [
        b"* 1 FETCH (FLAGS (\\Answered))",
        b"OK STORE done",
    ]
    assert await one.ask(b"NOOP") == [b"* 1 FETCH (FLAGS (\\Answered \\Recent \\Seen))", b"OK NOOP done"]


async def test_a_folder_that_goes_empties_the_sessions_in_it(house: House) -> None:
    one, other = await house.client(select="Sent"), await house.client()
    house.box.add(b"x\r\n", "Sent")
    await one.ask(b"NOOP")
    await other.ask(b"DELETE Sent")
    assert await one.ask(b"NOOP") == [b"* 1 EXPUNGE", b"OK NOOP done"]


async def test_a_folder_open_for_reading_stays_as_it_is(house: House) -> None:
    client = await house.client()
    assert (await client.ask(b"EXAMINE INBOX"))[-1] == b"OK [READ-ONLY] open for reading"
    assert (await client.ask(b"FETCH 1 BODY[]"))[0].startswith(b"* 1 FETCH (BODY[]")
    for command in (b"STORE 1 +FLAGS (x)", b"EXPUNGE", b"MOVE 1 Sent", b"UID EXPUNGE 1"):
        assert await client.ask(command) == [b"NO [CANNOT] the folder is open for reading only"]
    assert await client.ask(b"CLOSE") == [b"OK CLOSE done"]
    assert house.box.kept[1].flags == frozenset()
    house.box.may_write = False
    assert (await client.ask(b"SELECT INBOX"))[-1] == b"OK [READ-ONLY] open for reading"


@pytest.mark.parametrize("broken_after", [None, 2])
async def test_very_many_messages_are_moved_some_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch, broken_after: int | None
) -> None:
    """So that others need not wait long; if it ends half way, those that have moved are told of."""
    monkeypatch.setattr(changing, "_TOGETHER", 3)
    for number in range(5):
        house.box.add(b"Subject: %d\r\n\r\n" % number)
    moved = list[list[int]]()
    move = MemoryBox.move

    async def watched(box: MemoryBox, folder_id: int, uids: Sequence[int], target: str) -> Copied:
        if len(moved) == broken_after:
            raise BoxRefused(Why.NO_FOLDER)
        moved.append(list(uids))
        return await move(box, folder_id, uids, target)

    monkeypatch.setattr(MemoryBox, "move", watched)
    client = await house.client(select="INBOX")
    told = await client.ask(b"MOVE 1:* Sent")
    assert moved == [[1, 2, 3], [4, 5, 6], [7, 8]][:broken_after]
    if broken_after is None:
        code, *gone = told[:-1]
        assert code.endswith(b"1:8 9:16] moved")
        assert len(gone) == 8
        assert told[-1] == b"OK MOVE done"
    else:
        assert told[-1] == b"NO [TRYCREATE] no such folder"
        assert await client.ask(b"NOOP") == [*[b"* %d EXPUNGE" % number for number in range(6, 0, -1)], b"OK NOOP done"]


async def test_no_command_copies_more_than_others_can_wait_for(make_house: MakeHouse) -> None:
    house = await make_house(copied_messages=2)
    client = await house.client(select="INBOX")
    assert await client.ask(b"COPY 1:3 Sent") == [b"NO [LIMIT] at most 2 messages are copied at once"]
    assert (await client.ask(b"COPY 1:2 Sent"))[-1].endswith(b"COPY done")
    assert (await client.ask(b"MOVE 1:3 Trash"))[-1] == b"OK MOVE done"


async def test_a_failed_select_closes_the_folder_before(house: House) -> None:
    client = await house.client(select="INBOX")
    assert (await client.ask(b"SELECT Nix"))[-1].startswith(b"NO [NONEXISTENT]")
    assert await client.ask(b"FETCH 1 FLAGS") == [b"BAD not now"]


# IDLE.


async def test_an_idle_client_hears_news_at_once(house: House) -> None:
    client = await house.client(select="INBOX")
    client.say(b"i IDLE")
    assert await client.hear() == b"+ idling"
    house.box.add(b"Subject: neu\r\n\r\n")
    assert await client.hear() == b"* 4 EXISTS"
    assert await client.hear() == b"* 4 RECENT"
    house.box.flag(2, "\\Seen")
    assert await client.hear() == b"* 2 FETCH (FLAGS (\\Recent \\Seen))"
    house.box.remove(1, 3)
    assert [await client.hear(), await client.hear()] == [b"* 3 EXPUNGE", b"* 1 EXPUNGE"]
    client.say(b"done", b"n NOOP")
    assert [await client.hear(), await client.hear()] == [b"i OK IDLE done", b"n OK NOOP done"]


async def test_an_idle_client_is_told_that_it_is_connected(make_house: MakeHouse) -> None:
    house = await make_house(still_here_seconds=120)
    client = await house.client()
    client.say(b"i IDLE")
    assert await client.hear() == b"+ idling"
    for _ in range(3):
        await pass_time(121)
        assert await client.hear() == b"* OK here still"


async def test_idle_ends_with_done_alone(house: House) -> None:
    client = await house.client()
    client.say(b"i IDLE", b"x NOOP")
    assert [await client.hear(), await client.hear()] == [b"+ idling", b"i BAD DONE expected"]


async def test_a_client_that_idles_for_ever_is_let_go(make_house: MakeHouse) -> None:
    house = await make_house(idle_seconds=100)
    client = await house.client(select="INBOX")
    client.say(b"i IDLE")
    assert await client.hear() == b"+ idling"
    await pass_time(101)
    assert await client.left_alone() == replies.BYE_TIMEOUT


async def test_what_the_service_says_of_a_message_is_no_clients_to_set(house: House) -> None:
    house.box.flag(1, "$Certified", "$Label")
    client = await house.client()
    told = await client.ask(b"SELECT INBOX")
    assert told[0].startswith(b"* FLAGS ($Certified $Label \\Answered ")
    assert told[1].startswith(b"* OK [PERMANENTFLAGS ($Label \\* \\Answered ")


async def test_messages_of_which_too_much_is_kept_to_be_read_at_once_are_all_told_of(house: House) -> None:
    client = await house.client(select="INBOX")
    house.box.at_once = 1
    assert await client.ask(b"FETCH 1:3 (UID RFC822.SIZE)") == [
        *(b"* %d FETCH (UID %d RFC822.SIZE %d)" % (n, n, len(message)) for n, message in enumerate(MESSAGES, 1)),
        b"OK FETCH done",
    ]
    house.box.remove(2)
    assert [answer[:9] for answer in await client.ask(b"FETCH 1:3 (RFC822.SIZE BODY.PEEK[TEXT])")] == [
        b"* 1 FETCH",
        b"* 3 FETCH",
        b"OK [EXPUN",
    ]


async def test_many_sections_of_a_header_are_the_same_as_each_alone(house: House) -> None:
    client = await house.client(select="INBOX")
    names = (b"Subject", b"From", b"To", b"Date", b"X-Nix", b"Cc")
    asked = [b"BODY.PEEK[HEADER.FIELDS (%s)]" % name for name in names] + [
        b"BODY.PEEK[HEADER]",
        b"BODY.PEEK[TEXT]<0.3>",
    ]
    alone = [(await client.ask(b"FETCH 1 " + one))[0].removeprefix(b"* 1 FETCH (")[:-1] for one in asked]
    together, _ = await client.ask(b"FETCH 1 (FLAGS " + b" ".join(asked) + b")")
    assert together == b"* 1 FETCH (FLAGS (\\Recent) " + b" ".join(alone) + b")"


# CONDSTORE and QRESYNC.


async def test_conditional_stores_leave_what_others_changed(house: House) -> None:
    client = await house.client(select="INBOX")
    assert (await client.ask(b"FETCH 1:* (MODSEQ)"))[:3] == [
        b"* 1 FETCH (MODSEQ (2))",
        b"* 2 FETCH (MODSEQ (3))",
        b"* 3 FETCH (MODSEQ (4))",
    ]
    house.box.flag(2, "x")
    assert await client.ask(b"UID STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Seen)") == [
        b"* 2 FETCH (UID 2 FLAGS (\\Recent x) MODSEQ (5))",
        b"* 1 FETCH (UID 1 MODSEQ (6))",
        b"* 3 FETCH (UID 3 MODSEQ (6))",
        b"OK [MODIFIED 2] changed by others since",
    ]
    assert await client.ask(b"SEARCH MODSEQ 6") == [b"* SEARCH 1 3 (MODSEQ 6)", b"OK SEARCH done"]
    assert await client.ask(b"SEARCH RETURN (MIN) MODSEQ 1") == [
        b'* ESEARCH (TAG "t6") MIN 1 MODSEQ 6',
        b"OK SEARCH done",
    ]
    assert await client.ask(b"FETCH 1:* (FLAGS) (CHANGEDSINCE 5)") == [
        b"* 1 FETCH (FLAGS (\\Recent \\Seen) MODSEQ (6))",
        b"* 3 FETCH (FLAGS (\\Recent \\Seen) MODSEQ (6))",
        b"OK FETCH done",
    ]


async def test_a_client_that_comes_back_hears_what_it_missed(house: House) -> None:
    client = await house.client()
    assert await client.ask(b"ENABLE QRESYNC") == [b"* ENABLED QRESYNC", b"OK ENABLE done"]
    since = house.box.count
    house.box.remove(1)
    house.box.flag(3, "\\Seen")
    house.box.add(b"x\r\n")
    select = b"SELECT INBOX (QRESYNC (1700000000 %d%s))"
    assert (await client.ask(select % (since, b"")))[-4:-1] == [
        b"* VANISHED (EARLIER) 1",
        b"* 2 FETCH (UID 3 FLAGS (\\Recent \\Seen) MODSEQ (6))",
        b"* 3 FETCH (UID 4 FLAGS (\\Recent) MODSEQ (7))",
    ]
    again = await client.ask(select % (since, b" 2:3"))
    assert again[0] == b"* OK [CLOSED] the folder before"
    assert again[-2:-1] == [b"* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (6))"]
    other = await client.ask(b"SELECT INBOX (QRESYNC (7 %d))" % since)
    assert other[-2].startswith(b"* OK [HIGHESTMODSEQ 7]")
    house.box.remove(2, 3)
    assert await client.ask(b"NOOP") == [b"* VANISHED 2:3", b"OK NOOP done"]
    assert await client.ask(b"UID FETCH 1:* FLAGS (CHANGEDSINCE 6 VANISHED)") == [
        b"* VANISHED (EARLIER) 2:3",
        b"* 1 FETCH (UID 4 FLAGS () MODSEQ (7))",
        b"OK FETCH done",
    ]


async def test_when_removals_are_forgotten_all_that_is_missing_has_vanished(house: House) -> None:
    client = await house.client()
    await client.ask(b"ENABLE QRESYNC")
    house.box.remove(1, 2)
    house.box.forgotten = house.box.count
    answers = await client.ask(b"SELECT INBOX (QRESYNC (1700000000 1 1:9))")
    assert b"* VANISHED (EARLIER) 1:2" in answers
    house.box.remove(3)
    house.box.forgotten = house.box.count
    assert await client.ask(b"NOOP") == [b"* VANISHED 3", b"OK NOOP done"]


async def test_a_saved_search_answers_to_a_dollar(house: House) -> None:
    client = await house.client(select="INBOX")
    assert await client.ask(b"SEARCH RETURN (SAVE) FROM beta") == [b"OK SEARCH done"]
    assert await client.ask(b"STORE $ +FLAGS.SILENT (\\Flagged)") == [b"OK STORE done"]
    assert [kept.flags for kept in house.box.kept.values()] == [{"\\Flagged"}, {"\\Flagged"}, frozenset()]
    assert await client.ask(b"SEARCH RETURN (SAVE MAX) ALL") == [b'* ESEARCH (TAG "t5") MAX 3', b"OK SEARCH done"]
    assert await client.ask(b"UID SEARCH $") == [b"* SEARCH 3", b"OK SEARCH done"]


# Messages in and out.


async def test_a_large_message_comes_as_it_is_read(house: House) -> None:
    source, message = reel(200_000)
    uid = house.box.add(message, "Sent")
    client = await house.client(select="Sent")
    assert await client.ask(b"UID FETCH %d BODY.PEEK[]" % uid) == [
        BODY % (message.size, message.read()),
        b"OK FETCH done",
    ]
    assert await client.ask(b"UID FETCH %d BODY.PEEK[]<100.7>" % uid) == [
        b"* 1 FETCH (UID 4 BODY[]<100> {7}\r\n%s)" % message.read(100, 107),
        b"OK FETCH done",
    ]
    assert len(source.read) > 20


async def test_a_client_that_never_reads_is_let_go(make_house: MakeHouse) -> None:
    house = await make_house(bytes_per_second=10_000_000)
    source, message = reel(1_000_000)
    house.box.add(message, "Sent")
    client = await house.client(select="Sent")
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    client.say(b"f FETCH 1 BODY[]")
    await until(lambda: house.box.closed)
    assert house.box.closed == 1
    assert sum(source.read) < message.size


async def test_a_message_that_breaks_off_ends_the_session_without_a_word(house: House) -> None:
    _, message = reel(200_000, breaks_at=4_000_000)
    house.box.add(message, "Sent")
    client = await house.client(select="Sent")
    client.say(b"f FETCH 1 BODY[]")
    assert b"BYE" not in await client.left_alone()


async def test_a_large_message_goes_into_storage_while_it_comes(house: House) -> None:
    client = await house.client()
    line = b"una riga qualunque di un messaggio che non finisce piu\r\n"
    size = len(line) * 20_000
    client.say(b"a APPEND Sent {%d}" % size)
    assert await client.hear() == b"+ OK"
    client.writer.write(line * 20_000)
    client.say(b"")
    assert await client.hear() == b"a OK [APPENDUID 1700000000 4] APPEND done"
    assert house.box.kept[4].data == line * 20_000
    assert max(house.box.sinks[0].portions) < 400_000


async def test_lines_of_an_appended_message_end_as_lines_do(house: House) -> None:
    client = await house.client()
    client.say(b"a APPEND Sent {19+}")
    client.writer.write(b"Subject: x\n\nzwei\r\n\n\r\n")
    assert (await client.hear()).startswith(b"a OK [APPENDUID")
    assert house.box.kept[4].data == b"Subject: x\r\n\r\nzwei\r\n\r\n"


async def test_a_nul_is_refused_and_a_broken_upload_forgotten(house: House) -> None:
    client = await house.client()
    client.say(b"a APPEND Sent {3+}", b"a\0b")
    assert await client.hear() == b"a NO [CANNOT] a message holds no NUL"
    client.say(b"b APPEND Sent {900000+}")
    client.writer.write(b"x" * 800_000)
    await client.writer.drain()
    await until(lambda: house.box.sinks)
    client.writer.transport.abort()
    await until(lambda: house.box.sinks[0].aborted)
    assert house.box.sinks[0].aborted
    assert len(house.box.kept) == 3


async def test_utf8_messages_come_wrapped(house: House) -> None:
    client = await house.client()
    client.say(b"a APPEND Sent UTF8 (~{3+}", b"abc)")
    assert await client.hear() == b"a NO [CANNOT] that cannot be done"
    await client.ask(b"ENABLE UTF8=ACCEPT")
    client.say(b"b APPEND Sent UTF8 (~{3}")
    assert await client.hear() == b"+ OK"
    client.say(b"abc)")
    assert (await client.hear()).startswith(b"b OK [APPENDUID")
    assert house.box.kept[4].data == b"abc"


@pytest.mark.parametrize("size", [4_294_967_296, 10**19, 100_000_001])
async def test_a_message_of_any_size_beyond_the_limit_is_refused_before_it_comes(house: House, size: int) -> None:
    client = await house.client()
    assert await client.ask(b"APPEND Sent {%d}" % size) == [b"NO [TOOBIG] message too large"]
    assert await client.ask(b"NOOP") == [b"OK NOOP done"]
    client.say(b"x APPEND Sent {%d+}" % (4 * size))
    assert await client.left_alone() == replies.BYE_LONG


# Compression.


async def test_a_compressed_connection(house: House) -> None:
    client = await house.client()
    client.say(b"c COMPRESS DEFLATE")
    assert await client.hear() == b"c OK compressed from here on"
    out, into = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)

    async def ask(command: bytes, end: bytes) -> bytes:
        client.writer.write(out.compress(command) + out.flush(zlib.Z_SYNC_FLUSH))
        heard = b""
        while end not in heard:
            heard += into.decompress(await asyncio.wait_for(client.reader.read(65536), 60))
        return heard

    assert b"* 3 EXISTS" in await ask(b"s SELECT INBOX\r\n", b"s OK")
    heard = await ask(b"f FETCH 1 BODY.PEEK[]\r\n", b"f OK")
    assert MESSAGES[0] in heard
    assert b"COMPRESS" not in await ask(b"a CAPABILITY\r\n", b"a OK")
    assert b"x NO [COMPRESSIONACTIVE]" in await ask(b"x COMPRESS DEFLATE\r\n", b"already\r\n")
    big = await ask(b"n NOOP\r\n" * 20_000, b"")
    count = big.count(b"n OK")
    while count < 20_000:
        count += into.decompress(await asyncio.wait_for(client.reader.read(65536), 60)).count(b"OK NOOP")


async def test_few_compressed_bytes_that_are_very_many_do_not_fill_memory(house: House) -> None:
    client = await house.client()
    await client.ask(b"COMPRESS DEFLATE")
    out = zlib.compressobj(9, wbits=-15)
    for _ in range(100):  # a line of 100 MB in 100 kB
        client.writer.write(out.compress(b"x" * 1_000_000))
    client.writer.write(out.flush(zlib.Z_SYNC_FLUSH))
    heard = zlib.decompressobj(-15).decompress(await client.left_alone())
    assert heard == replies.BYE_LONG


async def test_garbage_in_a_compressed_connection_ends_it(house: House) -> None:
    client = await house.client()
    await client.ask(b"COMPRESS DEFLATE")
    client.writer.write(b"\xff" * 1000)
    assert b"\r\n" not in await client.left_alone()


# Trouble.


async def test_a_storage_that_is_away_is_said_to_be(house: House) -> None:
    client = await house.client(select="INBOX")
    house.box.broken = TemporaryError("away")
    for command in (b"FETCH 1 FLAGS", b"SELECT INBOX", b'LIST "" *', b"STATUS Sent (MESSAGES)"):
        assert (await client.ask(command))[-1] == b"NO [UNAVAILABLE] try again later"
    client.say(b"a APPEND Sent {3+}", b"abc")
    assert await client.hear() == b"a NO [UNAVAILABLE] try again later"


async def test_a_disabled_account_loses_its_sessions(house: House) -> None:
    client = await house.client(select="INBOX")
    client.say(b"i IDLE")
    assert await client.hear() == b"+ idling"
    house.active = set()
    assert await house.live.sweep() == 1
    assert await client.left_alone() == replies.BYE_SIGNED_OUT


async def test_a_server_that_stops_says_so(house: House) -> None:
    client = await house.client(select="INBOX")
    idle = await house.client(select="INBOX")
    idle.say(b"i IDLE")
    await idle.hear()
    await house.server.close()
    assert await client.left_alone() == replies.BYE_SHUTDOWN
    assert await idle.left_alone() == replies.BYE_SHUTDOWN
    assert house.box.closed == 2


async def test_pipelined_garbage_harms_nobody_else(house: House) -> None:
    client, other = await house.client(), await house.client(select="INBOX")
    client.writer.write(bytes(range(256)) * 40_000)
    heard = await client.left_alone()
    assert heard.endswith((replies.BYE_TOO_MANY_BAD, replies.BYE_LONG))
    assert await other.ask(b"NOOP") == [b"* 3 RECENT", b"OK NOOP done"][1:]


async def test_a_set_of_a_hundred_thousand_messages(house: House) -> None:
    client = await house.client(select="INBOX")
    numbers = b",".join(b"%d" % number for number in range(1, 200_000, 2))
    assert await client.ask(b"UID FETCH 1:*," + numbers[:900_000] + b" (FLAGS)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Recent))",
        b"* 2 FETCH (UID 2 FLAGS (\\Recent))",
        b"* 3 FETCH (UID 3 FLAGS (\\Recent))",
        b"OK FETCH done",
    ]
    assert await client.ask(b"UID SEARCH UID " + numbers[:900_000] + b" UNSEEN") == [b"* SEARCH 1 3", b"OK SEARCH done"]


async def test_an_overlong_command_ends_the_session(house: House) -> None:
    client = await house.client()
    client.writer.write(b"a NOOP " + b"x" * 1_100_000)
    assert await client.left_alone() == replies.BYE_LONG


async def test_a_hundred_commands_at_once_are_answered_in_order(house: House) -> None:
    client = await house.client(select="INBOX")
    client.say(*[b"p%d NOOP" % number for number in range(500)])
    assert [await client.hear() for _ in range(500)] == [b"p%d OK NOOP done" % number for number in range(500)]


async def test_one_address_may_not_take_all_connections(make_house: MakeHouse) -> None:
    house = await make_house(max_connections_per_address=2)
    first, second = await Client.connect(house.clear), await Client.connect(house.clear)
    assert await first.hear()
    assert await second.hear()
    third = await Client.connect(house.clear)
    assert await third.left_alone() == replies.BYE_TOO_MANY_CONNECTIONS


async def test_octets_of_a_message_are_sacred(house: House) -> None:
    data = bytes(byte for byte in range(1, 256) if byte not in (10, 13)) + b"\r\n"
    uid = house.box.add(Octets.of(b"Subject: x\r\n\r\n" + data), "Sent")
    client = await house.client(select="Sent")
    assert (await client.ask(b"UID FETCH %d BODY.PEEK[TEXT]" % uid))[0].endswith(b" {%d}\r\n%s)" % (len(data), data))


async def test_flags_known_to_a_session_are_those_of_the_box(house: House) -> None:
    client, other = await house.client(select="INBOX"), await house.client(select="INBOX")
    await client.ask(b"FETCH 1:* (FLAGS)")
    await other.ask(b"STORE 2 FLAGS.SILENT (\\Seen x)")
    house.box.add(b"Subject: neu\r\n\r\n")
    assert (await client.ask(b"SEARCH OR KEYWORD X (UNSEEN NOT 1:3)"))[-2:] == [b"* SEARCH 2 4", b"OK SEARCH done"]
    assert (await client.ask(b"UID FETCH 2,4 (FLAGS MODSEQ)"))[-3:-1] == [
        b"* 2 FETCH (UID 2 FLAGS (\\Recent \\Seen x) MODSEQ (5))",
        b"* 4 FETCH (UID 4 FLAGS (\\Recent) MODSEQ (6))",
    ]
    house.box.remove(1)
    assert (await client.ask(b"FETCH 1:2 (FLAGS)"))[-2:] == [
        b"* 2 FETCH (FLAGS (\\Recent \\Seen x))",
        b"OK [EXPUNGEISSUED] some messages are gone",
    ]
    assert await client.ask(b"NOOP") == [b"* 1 EXPUNGE", b"OK NOOP done"]
    assert (await client.ask(b"FETCH 1:* (UID FLAGS)"))[:3] == [
        b"* 1 FETCH (UID 2 FLAGS (\\Recent \\Seen x))",
        b"* 2 FETCH (UID 3 FLAGS (\\Recent))",
        b"* 3 FETCH (UID 4 FLAGS (\\Recent))",
    ]
