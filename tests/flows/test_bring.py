"""A box brought along from a real Dovecot: folders, flags, dates and bytes, each message once, whatever interrupts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import cast

import pytest
from sqlalchemy import Connection

from gateway.drivers.imap_client import ImapAccount, RemoteFolder, RemoteMailbox, signed_in
from gateway.drivers.sources import RandomIds
from gateway.flows.boxes import Boxes
from gateway.flows.bring import Bringing, folder_name
from gateway.flows.bring_report import Step
from gateway.flows.news import News
from gateway.flows.outcomes import Holder
from gateway.points.box import Capacity
from gateway.points.boxes import Want
from gateway.storage import accounts, domains
from gateway.storage.accounts import Account, NewAccount
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError
from tests import dovecot
from tests.dovecot import Dovecot

AT = datetime(2019, 10, 27, 2, 30, tzinfo=timezone(timedelta(hours=1)))
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
PLAIN = b"Subject: prima\r\nFrom: x@y.example\r\n\r\nciao \xe0\r\n"
RECEIPT = b"X-Ricevuta: avvenuta-consegna\r\nSubject: CONSEGNA: prima\r\n\r\nfalsa\r\n"
LARGE = b"Subject: grande\r\n\r\n" + b"una riga\r\n" * 250_000  # 2.5 MB: through storage, not through memory


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """The other provider, with a box that the tests only read."""
    dovecot.require()
    with dovecot.running() as running:
        asyncio.run(_fill(running))
        yield running


async def _fill(server: Dovecot) -> None:
    async with signed_in(_account(server)) as remote:
        await remote.create("Pratiche/Città & affini")
        await remote.append("INBOX", PLAIN, ("\\Seen", "$Certified", "urgente"), AT)
        await remote.append("INBOX", RECEIPT, (), AT)
        await remote.append("Sent", LARGE, ("\\Answered",), AT)
        for number in range(120):
            await remote.append("Pratiche/Città & affini", b"Subject: %d\r\n\r\n" % number, (), AT)


def _account(server: Dovecot) -> ImapAccount:
    context = server.tls.client()
    return ImapAccount(host=server.host, port=server.imaps, user="anna", password=dovecot.PASSWORD, context=context)


@pytest.fixture
async def remote(server: Dovecot) -> AsyncIterator[RemoteMailbox]:
    async with signed_in(_account(server)) as signed:
        yield signed


class Clock:
    def now(self) -> datetime:
        return NOW


@dataclass
class Here:
    """The provider that the box moves to."""

    storage: Storage
    account: Account

    def bringing(self, owner: str = "here") -> Bringing:
        return Bringing(
            self.storage,
            Clock(),
            RandomIds(),
            mailbox_id=self.account.mailbox_id,
            source="anna@localhost:993",
            owner=owner,
            judge=lambda message: "invalid" if b"falsa" in message.read() else "valid",
            valid="valid",
        )

    async def contents(self) -> dict[str, list[tuple[bytes, frozenset[str], datetime | None]]]:
        news = News(self.storage)
        boxes = Boxes(storage=self.storage, news=news, clock=Clock(), ids=RandomIds(), capacity=Capacity(None, 0))
        box = await boxes(
            Holder(
                account_id=self.account.id,
                mailbox_id=self.account.mailbox_id,
                address=self.account.address,
                addresses=frozenset(),
                may_submit=True,
            )
        )
        found = {}
        for folder in await box.folders():
            opened = await box.open(folder.name, read_only=True)
            details = await box.details(opened.folder_id, opened.uids, Want.DATE)
            octets = await box.bodies(opened.folder_id, opened.uids)
            rows = zip(details.uids, details.flags, details.dates, strict=True)
            found[folder.name] = [(octets[uid].read(), flags, at) for uid, flags, at in rows]
        await box.close()
        return {name: messages for name, messages in found.items() if messages}


@pytest.fixture
def here(storage: Storage) -> Here:
    def people(connection: Connection) -> Account:
        domains.add_domain(connection, "alfa.example", NOW)
        return accounts.add_account(connection, NewAccount(address="anna@alfa.example", at=NOW, language="en"))

    return Here(storage, storage.write_now(people))


async def test_a_box_comes_along_with_folders_flags_dates_and_bytes(here: Here, remote: RemoteMailbox) -> None:
    steps: list[Step] = []
    report = await here.bringing()(remote, steps.append)
    found = await here.contents()
    assert found["INBOX"] == [
        (PLAIN, frozenset({"\\Seen", "$Certified", "urgente"}), AT),
        (RECEIPT, frozenset(), AT),
    ]
    assert found["Sent"] == [(LARGE, frozenset({"\\Answered"}), AT)]
    assert [octets for octets, _, _ in found["Pratiche/Città & affini"]] == [
        b"Subject: %d\r\n\r\n" % number for number in range(120)
    ]
    assert (report.brought, report.here_before, report.left_out) == (123, 0, [])
    assert report.verdicts == {"invalid": 1}
    assert report.suspicious == ["INBOX 2: invalid"]
    assert Step("Pratiche/Città & affini", 120, 120) in steps


async def test_a_second_run_brings_nothing(here: Here, remote: RemoteMailbox, server: Dovecot) -> None:
    await here.bringing()(remote)
    before = await here.contents()
    report = await here.bringing()(remote)
    assert (report.brought, report.here_before) == (0, 123)
    assert await here.contents() == before


class Interrupted(Exception):
    """Stands for whatever ends a process."""


async def test_a_run_that_was_stopped_goes_on_where_it_was(here: Here, remote: RemoteMailbox) -> None:
    def stop(step: Step) -> None:
        if step.of == 120 and step.done >= 50:
            raise Interrupted

    with pytest.raises(Interrupted):
        await here.bringing("the first process")(remote, stop)
    first = sum(map(len, (await here.contents()).values()))
    assert 50 <= first < 123
    report = await here.bringing("the second process")(remote)
    assert (report.brought, report.here_before) == (123 - first, first)
    found = await here.contents()
    assert sum(map(len, found.values())) == 123
    assert len({octets for octets, _, _ in found["Pratiche/Città & affini"]}) == 120


async def test_two_processes_never_bring_the_same_box(here: Here, remote: RemoteMailbox) -> None:
    refusals: list[str] = []

    def another(step: Step) -> None:
        """Tries it at every step of the first one, in an event loop of its own."""
        with ThreadPoolExecutor(1) as pool:
            refusals.append(pool.submit(asyncio.run, _attempt(here)).result())

    assert (await here.bringing("the first process")(remote, another)).brought == 123
    assert set(refusals) == {"another process brings this box along already"}


async def _attempt(here: Here) -> str:
    class Empty:
        async def folders(self) -> list[RemoteFolder]:
            return [RemoteFolder(name="INBOX", wire_name="INBOX", separator="/", attributes=frozenset())]

    try:
        await here.bringing("the second process")(cast(RemoteMailbox, Empty()))
    except TemporaryError as error:
        return str(error)
    return "it ran"


@pytest.mark.parametrize(
    ("remote_name", "separator", "name"),
    [
        ("inbox", "/", "INBOX"),
        ("INBOX.Sent.2026", ".", "INBOX/Sent/2026"),
        ("a/b", ".", "a_b"),
        ("righe\r\nstrane\0", "/", "righe__strane_"),
        ("100%", None, "100_"),
        ("", "/", "_"),
        ("x" * 400, "/", "x" * 255),
    ],
)
def test_names_that_no_folder_here_may_have_are_brought_near(
    remote_name: str, separator: str | None, name: str
) -> None:
    folder = RemoteFolder(name=remote_name, wire_name="x", separator=separator, attributes=frozenset())
    assert folder_name(folder) == name
