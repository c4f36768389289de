"""In step with a real Dovecot, in which a mail program goes on working."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from imaplib import IMAP4_SSL

import pytest

from gateway.drivers.imap_client import ImapAccount, RemoteMailbox, signed_in
from gateway.points.following import Deletions
from gateway.points.marks import Mark
from gateway.storage.engine import Storage
from tests import dovecot
from tests.dovecot import Dovecot
from tests.flows.new_box import NewBox, new_box

AT = datetime(2020, 5, 4, 10, tzinfo=UTC)
MESSAGES = [b"Subject: %d\r\n\r\nciao\r\n" % number for number in range(130)]


@pytest.fixture
def server() -> Iterator[Dovecot]:
    dovecot.require()
    with dovecot.running() as running:
        yield running


@pytest.fixture
def here(storage: Storage) -> NewBox:
    return new_box(storage)


@pytest.fixture
def program(server: Dovecot) -> Iterator[IMAP4_SSL]:
    """A mail program of the holder, in the old box."""
    with IMAP4_SSL(server.host, server.imaps, ssl_context=server.tls.client()) as client:
        client.login("anna", dovecot.PASSWORD)
        yield client


@asynccontextmanager
async def session(server: Dovecot) -> AsyncIterator[RemoteMailbox]:
    account = ImapAccount(
        host=server.host,
        port=server.imaps,
        user="anna",
        password=dovecot.PASSWORD,
        context=server.tls.client(),
    )
    async with signed_in(account) as remote:
        yield remote


async def fill(server: Dovecot, folder: str = "INBOX") -> None:
    async with session(server) as remote:
        for octets in MESSAGES:
            await remote.append(folder, octets, ("\\Flagged",), AT)


async def in_step(here: NewBox, server: Dovecot) -> dict[str, int]:
    async with session(server) as remote:
        report = await here.run(remote)
    counted = {"brought": report.brought, "changed": report.changed, "moved": report.moved, "deleted": report.deleted}
    return {name: number for name, number in counted.items() if number}


def flags(here: NewBox) -> dict[bytes, frozenset[str]]:
    return {octets: flags for _, octets, flags in here.box()}


async def test_flags_are_followed_and_those_of_the_holder_here_stay(
    here: NewBox, server: Dovecot, program: IMAP4_SSL
) -> None:
    await fill(server)
    assert await in_step(here, server) == {"brought": 130}
    here.flag(give=Mark.ANSWERED, take=Mark.FLAGGED)
    program.select("INBOX")
    program.store("2:129", "+FLAGS", "(\\Seen Urgente)")
    program.store("5", "+FLAGS", "(\\Deleted)")
    assert await in_step(here, server) == {"changed": 128}
    found = flags(here)
    assert found[MESSAGES[0]] == found[MESSAGES[129]] == {"\\Answered"}
    assert all(found[octets] == {"\\Answered", "\\Seen", "Urgente"} for octets in MESSAGES[1:129])
    program.store("7", "-FLAGS", "(\\Seen Urgente \\Flagged)")
    program.store("8", "-FLAGS", "(\\Flagged)")  # which ours has lost already
    assert await in_step(here, server) == {"changed": 1}
    assert flags(here)[MESSAGES[6]] == {"\\Answered"}
    assert await in_step(here, server) == {}


async def test_what_is_moved_there_moves_here(here: NewBox, server: Dovecot, program: IMAP4_SSL) -> None:
    await fill(server)
    await in_step(here, server)
    tokens = here.tokens()
    program.create("Pratiche/2026")
    program.select("INBOX")
    program._simple_command("MOVE", "1:60", "Pratiche/2026")
    program.store("1", "+FLAGS", "(\\Seen)")
    assert await in_step(here, server) == {"changed": 1, "moved": 60}
    assert sorted(here.places()) == sorted(
        [("Pratiche/2026", octets) for octets in MESSAGES[:60]] + [("INBOX", octets) for octets in MESSAGES[60:]]
    )
    program.rename("Pratiche/2026", "Archivio")
    assert await in_step(here, server) == {"moved": 60}
    assert {folder for folder, octets in here.places() if octets in MESSAGES[:60]} == {"Archivio"}
    assert here.tokens() == tokens


async def test_a_new_uidvalidity_there_brings_nothing_twice(here: NewBox, server: Dovecot, program: IMAP4_SSL) -> None:
    program.create("Pratiche")
    await fill(server, "Pratiche")
    await in_step(here, server)
    before, tokens = here.box(), here.tokens()
    program.delete("Pratiche")
    program.create("Pratiche")
    await fill(server, "Pratiche")
    assert await in_step(here, server) == {"moved": 130}
    assert (here.box(), here.tokens()) == (before, tokens)


@pytest.mark.parametrize("deletions", list(Deletions))
async def test_what_is_expunged_there_is_never_removed_here(
    here: NewBox, server: Dovecot, program: IMAP4_SSL, deletions: Deletions
) -> None:
    here.deletions = deletions
    await fill(server)
    await in_step(here, server)
    program.select("INBOX")
    program.store("1:10", "+FLAGS", "(\\Deleted)")
    program.expunge()
    assert await in_step(here, server) == {}
    trashed = 10 if deletions is Deletions.TRASH else 0
    assert await in_step(here, server) == ({"deleted": trashed} if trashed else {})
    assert sorted(folder for folder, _ in here.places()) == ["INBOX"] * (130 - trashed) + ["Trash"] * trashed
    assert not any("\\Deleted" in each for each in flags(here).values())
