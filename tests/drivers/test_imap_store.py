"""A real Dovecot that keeps boxes: what is put there is found again, and nothing else is taken for it."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.drivers.imap_client import ImapRefused, ImapUnavailable
from gateway.drivers.imap_store import Kept, Passwords, Store, StoreSession, from_many, from_one_file
from gateway.drivers.keyfiles import KeyRefused
from gateway.points.handing_over import Places, Setback, setback_of
from receipts.octets import Octets
from tests import dovecot
from tests.dovecot import Dovecot

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ANNA = "anna@alfa.example"
FULL = """\
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=20k
}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    dovecot.require()
    with dovecot.running(dovecot.MASTER) as running:
        yield running


def store(server: Dovecot, user: str = "{local}*ceralacca", passwords: Passwords = lambda _: "sigillo") -> Store:
    return Store(
        name="sede",
        host=server.host,
        port=server.imaps,
        user=user,
        passwords=passwords,
        context=server.tls.client(),
        places=Places("INBOX", "Ricevute"),
        connections=4,
        patience=timedelta(hours=18),
        answer_seconds=60,
    )


def box(server: Dovecot, address: str = ANNA) -> AbstractAsyncContextManager[StoreSession]:
    return store(server).entered(address)


def letter(msgid: str | None, text: str = "ciao") -> Octets:
    named = f"Message-ID: {msgid}\r\n" if msgid else ""
    return Octets.of(f"Return-Path: <x@y.example>\r\n{named}Subject: prova\r\n\r\n{text}\r\n".encode())


@pytest.mark.parametrize(
    "msgid",
    [
        "<1@alfa.example>",
        "<folded\r\n @alfa.example>",
        '<"quoted \\\\ strange"@alfa.example>',
        "<perché@alfa.example>",
        "<" + "x" * 950 + "@alfa.example>",
        None,
    ],
    ids=["usual", "folded", "quoted", "not in ASCII", "long", "none"],
)
async def test_what_was_put_is_found_again_by_whatever_it_is_called(server: Dovecot, msgid: str | None) -> None:
    message = letter(msgid, "per ritrovarla")
    async with box(server) as session:
        assert await session.find("INBOX", message) is None
        kept = await session.put("INBOX", message, ("\\Flagged",), AT)
        assert kept.uid is not None
        assert await session.find("INBOX", message) == kept
    async with box(server) as session:  # and in another session
        assert await session.find("INBOX", message) == kept


async def test_another_message_with_the_same_identifier_is_not_the_same(server: Dovecot) -> None:
    async with box(server) as session:
        await session.put("INBOX", letter("<2@alfa.example>", "quella di un altro"), (), AT)
        assert await session.find("INBOX", letter("<2@alfa.example>", "la mia")) is None
        kept = await session.put("INBOX", letter("<2@alfa.example>", "la mia"), (), AT)
        assert await session.find("INBOX", letter("<2@alfa.example>", "la mia")) == kept


async def test_a_folder_that_is_missing_is_made(server: Dovecot) -> None:
    message = letter("<3@alfa.example>")
    async with box(server) as session:
        assert await session.find("Ricevute & Città", message) is None
        kept = await session.put("Ricevute & Città", message, (), AT)
        assert (kept.folder, await session.find("Ricevute & Città", message)) == ("Ricevute & Città", kept)


async def test_a_large_message_goes_there_byte_for_byte(server: Dovecot) -> None:
    message = letter("<4@alfa.example>", "una riga {7}\r\n" * 300_000)
    async with box(server) as session:
        kept = await session.put("INBOX", message, (), AT)
        assert await session.find("INBOX", message) == kept


async def test_each_box_is_its_own(server: Dovecot) -> None:
    message = letter("<5@alfa.example>")
    async with box(server) as session:
        await session.put("INBOX", message, (), AT)
    async with box(server, "bruno@alfa.example") as session:
        assert await session.find("INBOX", message) is None


async def test_a_box_that_is_not_there_is_refused(server: Dovecot) -> None:
    with pytest.raises(ImapRefused):
        async with store(server, user="{address}").entered("nessuno@alfa.example"):
            raise AssertionError("signed in")


async def test_a_box_without_room_says_so() -> None:
    dovecot.require()
    with dovecot.running(dovecot.MASTER + FULL) as small:
        async with box(small) as session:
            with pytest.raises(ImapRefused) as refused:
                await session.put("INBOX", letter("<6@alfa.example>", "x\r\n" * 10_000), (), AT)
            assert setback_of(str(refused.value)) is Setback.FULL
            message = letter("<7@alfa.example>")
            assert await session.find("INBOX", message) is None  # the session goes on
            assert await session.put("INBOX", message, (), AT) is not None


def test_a_place_has_an_address(server: Dovecot) -> None:
    there = store(server)
    assert there.url(Kept("INBOX", 7, 9)) == f"imaps://localhost:{server.imaps}/INBOX;UIDVALIDITY=7/;UID=9"
    assert there.url(Kept("INBOX", None, None)) == f"imaps://localhost:{server.imaps}/INBOX"


class TestPasswords:
    def file(self, folder: Path, text: str, mode: int = 0o600) -> Path:
        file = folder / "passwords"
        file.write_text(text)
        file.chmod(mode)
        return file

    def test_are_the_first_line_of_a_file(self, tmp_path: Path) -> None:
        passwords = from_one_file(self.file(tmp_path, "segreta\naltra\n"))
        assert passwords(ANNA) == "segreta"
        self.file(tmp_path, "cambiata\n")
        assert passwords(ANNA) == "cambiata"

    def test_are_a_line_for_each_box(self, tmp_path: Path) -> None:
        passwords = from_many(self.file(tmp_path, "# nota\nbruno@alfa.example:x\nAnna@ALFA.example:con:due punti\n"))
        assert passwords("anna@alfa.example") == "con:due punti"
        with pytest.raises(KeyRefused, match="holds no password for carla"):
            passwords("carla@alfa.example")

    @pytest.mark.parametrize("make", [from_one_file, from_many])
    def test_that_others_can_read_are_none(self, tmp_path: Path, make: type) -> None:
        with pytest.raises(KeyRefused, match="open to others"):
            make(self.file(tmp_path, "anna@alfa.example:x\n", 0o644))(ANNA)

    async def test_that_are_missing_make_the_server_unreached(self, server: Dovecot, tmp_path: Path) -> None:
        with pytest.raises(ImapUnavailable, match="No such file"):
            async with store(server, passwords=from_one_file(tmp_path / "none")).entered(ANNA):
                raise AssertionError("signed in")
