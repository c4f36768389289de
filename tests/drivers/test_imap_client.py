"""Another server's mailbox through aioimaplib: a real Dovecot, and servers that are none."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from gateway.drivers.imap_client import ImapAccount, ImapRefused, ImapUnavailable, RemoteFolder, signed_in
from tests import dovecot, throwaway
from tests.dovecot import Dovecot

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SMALL = b"Subject: breve\r\n\r\n(FETCH {12}\r\nciao\r\n"
LARGE = b"Subject: grande\r\n\r\n" + b"una riga {7}\r\n" * 180_000  # 2.5 MB: three pieces


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    dovecot.require()
    with dovecot.running() as running:
        yield running


def account(server: Dovecot, **other: object) -> ImapAccount:
    values: dict[str, object] = {
        "host": server.host,
        "port": server.imaps,
        "user": "anna",
        "password": dovecot.PASSWORD,
        "context": server.tls.client(),
    }
    return ImapAccount(**(values | other))  # type: ignore[arg-type]


async def test_what_is_appended_is_read_back_byte_for_byte_with_flags_and_date(server: Dovecot) -> None:
    async with signed_in(account(server)) as remote:
        assert remote.can("UIDPLUS")
        validity, first = await remote.append("Sent", SMALL, ("\\Seen", "$Certified"), AT) or (0, 0)
        again = await remote.append("Sent", LARGE, (), AT)
        assert again == (validity, first + 1)
        (sent,) = [folder for folder in await remote.folders() if "\\sent" in folder.attributes]
        assert (sent.name, sent.separator) == ("Sent", "/")
        assert (await remote.examine(sent)).uid_validity == validity
        assert await remote.uids() == [first, first + 1]
        found = [message async for message in remote.messages([first, first + 1, 4_000_000])]
        assert [(message.size, message.at, set(message.flags)) for message in found] == [
            (len(SMALL), AT, {"\\Seen", "$Certified"}),
            (len(LARGE), AT, set()),
        ]
        for message, octets in zip(found, (SMALL, LARGE), strict=True):
            assert b"".join([piece async for piece in remote.read(message.uid)]) == octets
        assert await remote.search_header("Sent", "Subject", "grande") == [first + 1]


async def test_a_message_that_is_gone_is_refused(server: Dovecot) -> None:
    async with signed_in(account(server)) as remote:
        (inbox,) = [folder for folder in await remote.folders() if folder.name == "INBOX"]
        await remote.examine(inbox)
        with pytest.raises(ImapRefused, match="gone"):
            [piece async for piece in remote.read(4_000_000)]


async def test_a_message_as_long_as_a_piece_is_read_whole(server: Dovecot) -> None:
    octets = b"Subject: tonda\r\n\r\n" + b"x" * 97 + b"\r\n"
    octets += (b"y" * 98 + b"\r\n") * ((1_000_000 - len(octets)) // 100)
    octets += b"z" * (1_000_000 - len(octets) - 2) + b"\r\n"
    async with signed_in(account(server)) as remote:
        _, uid = await remote.append("Drafts", octets, (), AT) or (0, 0)
        (drafts,) = [folder for folder in await remote.folders() if "\\drafts" in folder.attributes]
        await remote.examine(drafts)
        assert b"".join([piece async for piece in remote.read(uid)]) == octets


async def test_a_folder_with_hundreds_of_messages_is_walked_whole(server: Dovecot) -> None:
    async with signed_in(account(server, user="bruno")) as remote:
        for number in range(230):
            await remote.append("Trash", b"Subject: %d\r\n\r\n" % number, (), AT)
        (trash,) = [folder for folder in await remote.folders() if "\\trash" in folder.attributes]
        await remote.examine(trash)
        uids = await remote.uids()
        assert len(uids) == 230
        assert [message.uid async for message in remote.messages(uids)] == uids


async def test_names_in_other_letters_are_read_and_written(server: Dovecot) -> None:
    async with signed_in(account(server)) as remote:
        await remote.create("Pratiche/Città & perché 郵件")
        assert "Pratiche/Città & perché 郵件" in [folder.name for folder in await remote.folders()]


async def test_a_wrong_password_is_refused_with_the_servers_words(server: Dovecot) -> None:
    with pytest.raises(ImapRefused, match="AUTHENTICATIONFAILED"):
        async with signed_in(account(server, password="sbagliata")):
            raise AssertionError("signed in")


async def test_a_folder_that_is_not_there_is_refused(server: Dovecot) -> None:
    async with signed_in(account(server)) as remote:
        missing = RemoteFolder(name="x", wire_name="x", separator="/", attributes=frozenset())
        with pytest.raises(ImapRefused, match=r"(?i)exist"):
            await remote.examine(missing)


async def test_a_certificate_that_does_not_hold_is_no_connection(server: Dovecot) -> None:
    with pytest.raises(ImapUnavailable, match="certificate"):
        async with signed_in(account(server, context=ssl.create_default_context())):
            raise AssertionError("signed in")


Impostor = tuple[throwaway.Throwaway, dict[str, bytes], int]
"""Its certificate, what it says to whoever connects, and its port."""

SCRIPTS = {
    "ends at once": b"",
    "another protocol": b"220 smtp.example ESMTP\r\n" * 50,
    "no answer to LOGIN": b"* OK hello\r\n",
    "an endless line": b"* OK " + b"x" * 3_000_000,
    "a literal of four gigabytes": b"* OK {4294967295}\r\n" + b"x" * 100_000,
    "a thousand lines at once": b"* OK hello\r\n" + b"* 1 EXISTS\r\n" * 5_000,
}


@pytest.fixture
async def impostor(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Impostor]:
    tls = throwaway.make(tmp_path_factory.mktemp("tls"))
    said: dict[str, bytes] = {}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said["all"])
        await reader.read(1_000)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls.server())
    yield tls, said, server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
async def test_a_server_that_is_none_is_unavailable_in_bounded_time(impostor: Impostor, script: bytes) -> None:
    tls, said, port = impostor
    said["all"] = script
    strange = ImapAccount(host="localhost", port=port, user="anna", password="x", context=tls.client(), timeout=2)
    with pytest.raises(ImapUnavailable):
        async with signed_in(strange):
            raise AssertionError("signed in")


def test_an_account_shows_no_password() -> None:
    shown = repr(ImapAccount(host="h", port=1, user="anna", password="segreto", context=ssl.create_default_context()))
    assert "segreto" not in shown


async def test_flags_and_what_changed_since_are_told(server: Dovecot) -> None:
    async with signed_in(account(server, user="bruno")) as remote:
        await remote.append("Drafts", SMALL, (), AT)
        _, uid = await remote.append("Drafts", SMALL, ("\\Seen", "urgente"), AT) or (0, 0)
        (drafts,) = [folder for folder in await remote.folders() if "\\drafts" in folder.attributes]
        state = await remote.examine(drafts)
        assert state.modseq is not None
        assert await remote.changed_since(state.modseq) == []
        assert uid in await remote.changed_since(state.modseq - 1)
        (told,) = [each async for each in remote.flags([uid - 1, uid, uid + 1])]
        assert {one: set(flags) for one, flags in told.items()} == {uid - 1: set(), uid: {"\\Seen", "urgente"}}


INBOX = RemoteFolder(name="INBOX", wire_name="INBOX", separator="/", attributes=frozenset())
CAPABILITIES = b"* CAPABILITY IMAP4rev1 CONDSTORE\r\n"
Answers = dict[str, bytes]
"""What a server says before its OK, by the command."""


@pytest.fixture
async def liar(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ImapAccount, Answers]]:
    """A server that speaks IMAP and says what it is told to."""
    tls = throwaway.make(tmp_path_factory.mktemp("tls"))
    answers: Answers = {"CAPABILITY": CAPABILITIES, "EXAMINE": b"* OK [UIDVALIDITY 1] x\r\n"}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK hello\r\n")
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                tag, *command = line.decode().split()
                name = " ".join(command[:2]) if command[0] == "UID" else command[0]
                writer.write(answers.get(name, b"") + f"{tag} OK done\r\n".encode())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls.server())
    port = server.sockets[0].getsockname()[1]
    yield ImapAccount(host="localhost", port=port, user="anna", password="x", context=tls.client()), answers
    server.close()


@pytest.mark.parametrize(
    ("said", "modseq"),
    [
        (b"", None),
        (b"* OK [HIGHESTMODSEQ 7] x\r\n", 7),
        (b"* OK [NOMODSEQ] x\r\n", None),
        (b"* OK [HIGHESTMODSEQ 0] x\r\n", None),
        (b"* OK [HIGHESTMODSEQ 9223372036854775808] x\r\n", None),
        (b"* OK [HIGHESTMODSEQ " + b"9" * 5_000 + b"] x\r\n", None),
    ],
)
async def test_a_modseq_that_is_none_does_not_count(
    liar: tuple[ImapAccount, Answers], said: bytes, modseq: int | None
) -> None:
    there, answers = liar
    answers["EXAMINE"] += said
    async with signed_in(there) as remote:
        assert (await remote.examine(INBOX)).modseq == modseq


@pytest.mark.parametrize("validity", [b"", b"x", b"99999999999", b"9" * 5_000])
async def test_a_uidvalidity_that_is_none_ends_the_session(liar: tuple[ImapAccount, Answers], validity: bytes) -> None:
    there, answers = liar
    answers["EXAMINE"] = b"* OK [UIDVALIDITY %s] x\r\n" % validity
    async with signed_in(there) as remote:
        with pytest.raises(ImapUnavailable, match="UIDVALIDITY"):
            await remote.examine(INBOX)


async def test_uids_that_are_none_do_not_count(liar: tuple[ImapAccount, Answers]) -> None:
    there, answers = liar
    answers["UID SEARCH"] = b"* SEARCH 0 5 -1 5 4294967295 4294967296 99999999999999 x 3 (MODSEQ 917)\r\n"
    async with signed_in(there) as remote:
        await remote.examine(INBOX)
        assert await remote.uids() == [3, 5, 4294967295]


async def test_flags_that_are_none_or_of_others_do_not_count(liar: tuple[ImapAccount, Answers]) -> None:
    there, answers = liar
    answers["UID FETCH"] = (
        b'* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent \\* par"ola {4} a\\b caff\xe8 \x07 lavoro ' + b"x" * 101 + b"))\r\n"
        b"* 2 FETCH (UID 2 FLAGS (%s))\r\n"
        % b" ".join(b"p%d" % number for number in range(5_000))
        + b"* 3 FETCH (FLAGS (\\Seen))\r\n"
        b"* 4 FETCH (UID 99999999999 FLAGS (\\Seen))\r\n"
        b"* 5 FETCH (UID 5 FLAGS (\\Seen))\r\n"
    )
    async with signed_in(there) as remote:
        await remote.examine(INBOX)
        (told,) = [each async for each in remote.flags([1, 2, 3])]
    assert told[1] == ("\\Seen", "lavoro")
    assert len(told[2]) == 100
    assert set(told) == {1, 2}


async def test_a_thousand_lines_that_come_at_once_are_taken(liar: tuple[ImapAccount, Answers]) -> None:
    there, answers = liar
    answers["UID FETCH"] = b"".join(b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n" % (n, n) for n in range(1, 1_001))
    async with signed_in(there) as remote:
        await remote.examine(INBOX)
        (told,) = [each async for each in remote.flags(range(1, 101))]
    assert told == dict.fromkeys(range(1, 101), ("\\Seen",))


async def test_a_million_uids_are_known_and_an_endless_answer_is_cut_off(liar: tuple[ImapAccount, Answers]) -> None:
    there, answers = liar
    answers["UID SEARCH"] = b"* SEARCH %s\r\n" % " ".join(map(str, range(3_000_000_000, 3_001_000_000))).encode()
    async with signed_in(there) as remote:
        await remote.examine(INBOX)
        assert len(await remote.uids()) == 1_000_000
    answers["UID SEARCH"] *= 2
    async with signed_in(there) as remote:
        await remote.examine(INBOX)
        with pytest.raises(ImapUnavailable, match="longer than any should be"):
            await remote.uids()


@pytest.mark.parametrize(
    "date", [b"01-Jan-0001 00:00:00 +1200", b"31-Dec-9999 23:00:00 -1200", b"yesterday, at nine o'clock"]
)
async def test_a_date_that_is_none_is_the_first_of_unix(liar: tuple[ImapAccount, Answers], date: bytes) -> None:
    there, answers = liar
    answers["UID FETCH"] = b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "%s" RFC822.SIZE 5)\r\n' % date
    async with signed_in(there) as remote:
        await remote.examine(INBOX)
        (message,) = [each async for each in remote.messages([1])]
    assert message.at == datetime(1970, 1, 1, tzinfo=UTC)
