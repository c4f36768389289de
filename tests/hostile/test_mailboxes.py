"""Mail programs that behave badly: the protocol's answer, bounded memory, and others who work on meanwhile."""

import contextlib
import random
import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator

import pytest

from tests.hostile.conftest import Room
from tests.hostile.imap import Imap, Neighbour, neighbour, signed_in
from tests.hostile.talk import Talk
from tests.lab.labs import Lab, letter
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

BAD, GOOD = "bruno@alfa.example", "anna@alfa.example"
FOUR_GB = 4 * 1024**3
MB = 1_000_000


@pytest.fixture
def other(lab: Lab) -> Iterator[Neighbour]:
    """Anna, who reads her mail while others behave badly."""
    with neighbour(lab, GOOD) as found:
        yield found


@pytest.fixture
def session(lab: Lab, other: Neighbour) -> Iterator[Imap]:
    """Bruno, signed in."""
    with signed_in(lab, BAD) as found:
        yield found


@pytest.fixture
def folder(session: Imap) -> Iterator[bytes]:
    """An empty folder of his, selected; gone afterwards."""
    name = b"f" + secrets.token_hex(6).encode()
    session.ok(b"CREATE " + name)
    session.ok(b"SELECT " + name)
    yield name
    with contextlib.suppress(OSError):
        session.ask(b"DELETE " + name)


def message(number: int, size: int = 300) -> bytes:
    return b"From: a@b.example\r\nSubject: %d\r\n\r\n" % number + b"riga\r\n" * (size // 6)


def searched(session: Imap, keys: bytes) -> list[bytes]:
    """The UIDs that are found."""
    (found,) = (line for line in session.ok(b"UID SEARCH " + keys) if line.startswith(b"* SEARCH"))
    return found.split()[2:]


def fetched(session: Imap, uid: bytes, item: bytes) -> bytes:
    (found,) = (line for line in session.ok(b"UID FETCH %b (%b)" % (uid, item)) if b"UID " + uid in line)
    return found


class TestLiterals:
    @pytest.mark.parametrize("size", [FOUR_GB - 1, FOUR_GB, 10**19, 10**20 - 1])
    def test_of_four_gigabytes_are_refused_before_they_come(self, session: Imap, other: Neighbour, size: int) -> None:
        for command in (b"CREATE {%d}", b"SELECT {%d}", b"SEARCH SUBJECT {%d}", b"XYZ {%d}"):
            end, _ = session.ask(command % size)
            assert end.startswith((b"BAD", b"NO")), end
        end, _ = session.ask(b"APPEND INBOX {%d}" % size)
        assert end.startswith(b"NO [TOOBIG]"), end
        session.ok(b"NOOP")
        other.works_on()

    @pytest.mark.parametrize("command", [b"CREATE", b"APPEND INBOX", b"APPEND INBOX (\\Seen)"])
    def test_that_nobody_asked_for_end_the_session(self, session: Imap, other: Neighbour, command: bytes) -> None:
        """The client does not wait: what comes is dropped, up to a measure."""
        piece = b"x" * 65_536
        with contextlib.suppress(OSError):
            session.send(b"a " + command + b" {%d+}\r\n" % FOUR_GB)
            for _ in range(4_000):  # 260 MB
                session.send(piece)
        assert session.left()
        other.works_on()

    def test_of_a_stranger_are_refused(self, lab: Lab, other: Neighbour) -> None:
        with Imap(lab.provider("alfa.example")["ports"]["imaps"], lab.context()) as stranger:
            end, _ = stranger.ask(b"LOGIN {%d}" % FOUR_GB)
            assert end.startswith((b"BAD", b"NO")), end
            stranger.ok(b"CAPABILITY")
            stranger.send(b"a LOGIN {%d+}\r\n" % FOUR_GB)
            assert stranger.left()
        other.works_on()


class TestGarbage:
    @pytest.mark.parametrize("seed", range(4))
    def test_in_one_go_ends_in_bad_and_bye(self, lab: Lab, other: Neighbour, seed: int) -> None:
        chance = random.Random(seed)
        noise = (chance.randbytes(4 * MB), b"a NOOP\r\n\x00\r\n" * 100_000, b"\r\n" * MB, b"a" * 4 * MB)[seed]
        with signed_in(lab, BAD) as session, contextlib.suppress(OSError):
            sending = threading.Thread(target=_send_all, args=(session, noise))
            sending.start()
            assert session.left()
            sending.join()
        other.works_on()

    def test_between_good_commands_is_answered_in_order(self, session: Imap, other: Neighbour) -> None:
        lines = [b"b%d NOOP" % n if n % 5 else b"b%d %b" % (n, secrets.token_hex(20).encode()) for n in range(1, 40)]
        session.send(b"".join(line + b"\r\n" for line in lines))
        for number in range(1, 40):
            try:
                end, said = session.end(b"b%d" % number)
            except ConnectionError:
                assert number > 10, "so many mistakes are forgiven"
                return
            assert end.startswith(b"OK" if number % 5 else b"BAD"), (number, end, said)

    def test_of_pop3_harms_nobody(self, lab: Lab, other: Neighbour) -> None:
        account = lab.account(BAD)
        talk = Talk(lab.provider("alfa.example")["ports"]["pop3s"], context=lab.context())
        with talk, contextlib.suppress(OSError):
            talk.send(f"USER {account.address}\r\nPASS {account.password}\r\n".encode())
            for _ in range(200):
                talk.send(random.Random(1).randbytes(20_000) + b"\r\nSTAT\r\nRETR 99999999999999999999\r\n")
        other.works_on()


class TestSearches:
    @pytest.mark.parametrize(
        "keys",
        [
            b"(" * 100_000 + b"ALL" + b")" * 100_000,
            b"(" * 400_000,
            b"NOT " * 100_000 + b"ALL",
            b"OR ALL " * 60_000 + b"ALL ALL",
            b"OR (" * 10_000 + b"ALL",
            b"(" + b"FROM x " * 100_000 + b")",
        ],
        ids=["brackets", "open brackets", "not", "or", "or open", "many"],
    )
    def test_deep_ones_are_refused_at_once(self, session: Imap, folder: bytes, other: Neighbour, keys: bytes) -> None:
        end, _ = session.ask(b"SEARCH " + keys)
        assert end.startswith(b"BAD"), end[:200]
        session.ok(b"SEARCH " + b"(" * 20 + b"NOT " * 20 + b"ALL" + b")" * 20)
        other.works_on()


class TestSets:
    def test_a_hundred_thousand_uids_are_one_set(self, session: Imap, folder: bytes, other: Neighbour) -> None:
        for number in range(5):
            assert session.literal(b"APPEND " + folder, message(number)).startswith(b"OK")
        uids = {int(uid) for uid in searched(session, b"ALL")}
        assert len(uids) == 5
        first = min(uids)
        odd = b",".join(b"%d" % (first + 2 * n) for n in range(100_000))
        wanted = {uid for uid in uids if (uid - first) % 2 == 0}
        for command in (b"UID FETCH %b (FLAGS)", b"UID STORE %b +FLAGS (\\Flagged)"):
            said = session.ok(command % odd)
            assert {int(match[1]) for line in said if (match := re.search(rb"UID (\d+)", line))} == wanted
        assert {int(uid) for uid in searched(session, b"UID " + odd)} == wanted
        whole = b",".join([b"1:4294967295"] * 50_000)
        assert len([line for line in session.ok(b"UID FETCH " + whole + b" (FLAGS)") if b"FETCH" in line]) == 5
        other.works_on()


class TestNames:
    @pytest.mark.parametrize("codes", [range(0x10), range(0x10, 0x20), range(0x7F, 0x90), range(0x90, 0xA0)])
    def test_with_a_control_character_are_no_folders(self, lab: Lab, other: Neighbour, codes: range) -> None:
        for code in codes:
            with signed_in(lab, BAD) as session:  # each has its mistakes forgiven
                before = session.ok(b'LIST "" "*"')
                for name in _spellings(code):
                    for command in (b"CREATE %b", b"RENAME Archive %b", b"SELECT %b", b"STATUS %b (MESSAGES)"):
                        end, _ = session.ask(command % name)
                        assert end.startswith((b"NO", b"BAD")), (command % name, end)
                for start in (b"CREATE", b"DELETE"):
                    assert not session.literal(start, b"a" + bytes([code]) + b"b").startswith(b"OK")
                assert session.ok(b'LIST "" "*"') == before


class TestAtOnce:
    def test_fetching_while_others_expunge(self, lab: Lab, session: Imap, folder: bytes, other: Neighbour) -> None:
        """Whoever reads gets whole messages or none, and numbers that stand still within a command."""
        for number in range(120):
            assert session.literal(b"APPEND " + folder, message(number, 6_000)).startswith(b"OK")
        over = threading.Event()
        faults: list[BaseException] = []

        def read() -> None:
            try:
                with signed_in(lab, BAD, "127.0.0.4") as reader:
                    reader.ok(b"SELECT " + folder)
                    while not over.is_set():
                        said = reader.ask(b"FETCH 1:* (UID BODY.PEEK[])")[1]
                        bodies = [line for line in said if b"FETCH" in line and b"BODY[] {" in line]
                        assert all(b"riga\r\n" in body for body in bodies)
                        reader.ok(b"NOOP")
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            while True:
                session.ok(b"NOOP")
                uids = searched(session, b"ALL")
                if not uids:
                    break
                session.ok(b"UID STORE " + b",".join(uids[::7]) + b" +FLAGS.SILENT (\\Deleted)")
                session.ok(b"EXPUNGE")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert faults == []
        other.works_on()


class TestSilence:
    def test_a_client_that_never_reads_takes_little(
        self, lab: Lab, session: Imap, folder: bytes, other: Neighbour, room: Room
    ) -> None:
        """Twenty connections each ask for a gigabyte and take nothing of it."""
        assert session.literal(b"APPEND " + folder, message(1, 10 * MB)).startswith(b"OK")
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                deaf = stack.enter_context(signed_in(lab, BAD))
                deaf.ok(b"EXAMINE " + folder)
                deaf.send(b"".join(b"x%d FETCH 1 (BODY.PEEK[])\r\n" % n for n in range(100)))
            other.works_on()
            other.works_on()
        room.megabytes = 120


class TestForgery:
    def test_an_appended_receipt_is_a_message_and_no_receipt(
        self, lab: Lab, session: Imap, folder: bytes, other: Neighbour
    ) -> None:
        """Neither one that its holder wrote nor a good one of another message says anything of a message."""
        missing = lab.send(letter(BAD, to=["nessuno@beta.example"], subject="Mai consegnato"))
        delivered = lab.send(letter(BAD, to=["bruno@beta.example"], subject="Consegnato"))
        good = until(lambda: _receipt(session, delivered), "delivery receipt")
        failed = until(lambda: _sent_flags(session, missing, b"$Failed"), "notice of non-delivery")
        used = _used(session)
        forged = good.replace(delivered.encode(), missing.encode()).replace(b"bruno@beta", b"nessuno@beta")
        for name in (b"Ricevute", b"INBOX"):
            for raw in (good, forged):
                assert session.literal(b"APPEND " + name + b" ($Put)", raw).startswith(b"OK")
        try:
            flags = _sent_flags(session, missing, b"$Failed")
            assert flags == failed
            assert b"$Delivered" not in failed
            assert _used(session) > used, "it counts against the quota as what its holder put there"
        finally:
            for name in (b"Ricevute", b"INBOX"):
                session.ok(b"SELECT " + name)
                session.ok(b"UID STORE %b +FLAGS (\\Deleted)" % b",".join(searched(session, b"KEYWORD $Put")))
                session.ok(b"EXPUNGE")
        other.works_on()


def _send_all(session: Imap, data: bytes) -> None:
    with contextlib.suppress(OSError):
        session.send(data)


def _spellings(code: int) -> list[bytes]:
    """A name with this character in modified UTF-7, and quoted where a line can hold it."""
    coded = b64encode(chr(code).encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
    found = [b'"a&%b-b"' % coded]
    if code not in (0, 10, 13):
        found.append(b'"a%cb"' % code if code < 0x80 else b'"a%bb"' % chr(code).encode())
    return found


def _receipt(session: Imap, msgid: str) -> bytes | None:
    session.ok(b"SELECT Ricevute")
    asked = f'HEADER X-Riferimento-Message-ID "{msgid}" HEADER X-Ricevuta "avvenuta-consegna"'
    uids = searched(session, asked.encode())
    if not uids:
        return None
    line = fetched(session, uids[0], b"BODY.PEEK[]")
    head, _, rest = line.partition(b"}\r\n")
    return rest[: int(head.rpartition(b"{")[2])]


def _sent_flags(session: Imap, msgid: str, wanted: bytes) -> set[bytes] | None:
    """The flags of the copy in Sent, once ``wanted`` is among them."""
    session.ok(b"EXAMINE Sent")
    line = fetched(session, searched(session, f'HEADER Message-ID "{msgid}"'.encode())[0], b"FLAGS")
    flags = set(line[line.index(b"FLAGS (") + 7 :].partition(b")")[0].split()) - {b"\\Recent"}
    return flags if wanted in flags else None


def _used(session: Imap) -> int:
    said = session.ok(b"GETQUOTAROOT INBOX")
    (found,) = [re.search(rb"STORAGE (\d+)", line) for line in said if b"STORAGE" in line]
    assert found
    return int(found[1])
