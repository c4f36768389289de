"""Collecting from a real Dovecot on a schedule: what is new, each message once; failures are told when they last."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, select

from gateway.drivers.imap_client import ImapAccount, ImapRefused, ImapUnavailable, RemoteMailbox, signed_in
from gateway.drivers.sources import RandomIds
from gateway.flows.collect import Collecting
from gateway.points.following import Deletions
from gateway.storage import accounts, collections, content, domains
from gateway.storage.accounts import Account, NewAccount
from gateway.storage.collections import Collection
from gateway.storage.engine import Storage
from gateway.storage.tables import message_states, messages
from tests import dovecot
from tests.dovecot import Dovecot
from tests.flows.house import HandClock
from tests.flows.remote import Bells

EVERY = timedelta(minutes=15)


@pytest.fixture
def server() -> Iterator[Dovecot]:
    dovecot.require()
    with dovecot.running() as running:
        yield running


@dataclass
class Here:
    """The provider that collects for anna."""

    storage: Storage
    clock: HandClock
    account: Account
    server: Dovecot
    bell: Bells = field(default_factory=Bells)
    fails: Exception | None = None
    entered: int = 0
    gate: asyncio.Event | None = None  # which a session waits for before it begins

    def process(self, owner: str = "node-1") -> Collecting:
        return Collecting(
            storage=self.storage,
            clock=self.clock,
            ids=RandomIds(),
            bell=self.bell,
            enter=self._enter,
            owner=owner,
            judge=lambda: lambda message: "invalid" if b"falsa" in message.read() else "valid",
            valid="valid",
        )

    @asynccontextmanager
    async def _enter(self, collection: Collection) -> AsyncIterator[RemoteMailbox]:
        self.entered += 1
        if self.fails is not None:
            raise self.fails
        async with signed_in(self.there()) as remote:
            if self.gate is not None:
                await self.gate.wait()
            yield remote

    def there(self) -> ImapAccount:
        return ImapAccount(
            host=self.server.host,
            port=self.server.imaps,
            user="anna",
            password=dovecot.PASSWORD,
            context=self.server.tls.client(),
        )

    async def arrives(self, *octets: bytes, folder: str = "INBOX") -> None:
        """Messages come to the box at the other provider."""
        async with signed_in(self.there()) as remote:
            for each in octets:
                await remote.append(folder, each, ("\\Seen",), self.clock.now())

    async def look(self, process: Collecting | None = None) -> None:
        process = process or self.process()
        await process.look()
        await process.finished()

    def box(self) -> list[tuple[str, str, int, bytes]]:
        """Folder, kind, marks and bytes of what is here."""

        def question(connection: Connection) -> list[tuple[str, str, int, bytes]]:
            both = select(messages, message_states.c.flags).join(message_states)
            rows = connection.execute(both.order_by(messages.c.folder, messages.c.uid)).all()
            return [(row.folder, row.kind, row.flags, content.load(connection, row.body_id).read()) for row in rows]

        return self.storage.read_now(question)

    def state(self) -> Collection:
        (found,) = self.storage.read_now(
            lambda connection: collections.collections_of(connection, self.account.mailbox_id)
        )
        return found


@pytest.fixture
def here(storage: Storage, clock: HandClock, server: Dovecot) -> Here:
    def prepare(connection: Connection) -> Account:
        domains.add_domain(connection, "alfa.example", clock.now())
        account = accounts.add_account(connection, NewAccount(address="anna@alfa.example", at=clock.now()))
        collections.add(
            connection,
            account.mailbox_id,
            host=server.host,
            port=server.imaps,
            user="anna",
            ca_file=None,
            password_file="/etc/ceralacca/anna.password",
            every=EVERY,
            deletions=Deletions.KEEP,
            at=clock.now(),
        )
        return account

    return Here(storage, clock, storage.write_now(prepare), server)


FIRST, SECOND = b"Subject: prima\r\n\r\nciao\r\n", b"Subject: seconda\r\n\r\nciao\r\n"
RECEIPT = b"X-Ricevuta: avvenuta-consegna\r\nSubject: CONSEGNA: prima\r\n\r\nfalsa\r\n"


async def test_what_is_new_is_collected_when_it_is_due_and_once(here: Here) -> None:
    await here.arrives(FIRST)
    await here.arrives(SECOND, folder="Sent")
    await here.look()
    assert here.box() == [("INBOX", "ordinary", 1, FIRST), ("Sent", "ordinary", 1, SECOND)]
    await here.arrives(RECEIPT)
    await here.look()  # not due yet
    assert (len(here.box()), here.entered) == (2, 1)
    here.clock.pass_(minutes=15)
    await here.look()
    assert here.box()[1:2] == [("INBOX", "ordinary", 1, RECEIPT)]  # what claims to be a receipt is none here
    state = here.state()
    assert state.report == "1 copied; 2 here before; certified, invalid: 1; did not verify: INBOX 2: invalid"
    assert (state.ended_at, state.failing_since) == (here.clock.now(), None)
    assert state.next_at == here.clock.now() + EVERY


async def test_of_two_processes_one_collects(here: Here) -> None:
    await here.arrives(FIRST)
    await asyncio.gather(here.look(here.process("node-1")), here.look(here.process("node-2")))
    assert (here.entered, len(here.box())) == (1, 1)


async def test_a_run_that_goes_on_for_hours_is_left_to_its_process(here: Here) -> None:
    here.gate = asyncio.Event()
    await here.arrives(FIRST)
    first = here.process("node-1")
    await first.look()
    for _ in range(12):
        here.clock.pass_(minutes=20)
        await first.look()
        await here.process("node-2").look()
    assert here.entered <= 1
    here.gate.set()
    await first.finished()
    assert len(here.box()) == 1


async def test_a_run_that_was_stopped_with_its_process_goes_on_at_the_next_time(here: Here) -> None:
    here.gate = asyncio.Event()
    await here.arrives(FIRST)
    stopped = here.process("node-1")
    await stopped.look()
    await stopped.stop()
    assert "goes on from there" in (here.state().report or "")
    here.gate.set()
    here.clock.pass_(minutes=15)
    await here.look(here.process("node-2"))
    assert len(here.box()) == 1


async def test_a_run_of_a_process_that_died_is_taken_up_after_an_hour(here: Here) -> None:
    await here.arrives(FIRST)
    collection, now = here.state(), here.clock.now()
    here.storage.write_now(lambda connection: collections.claim(connection, collection, now, now + timedelta(hours=1)))
    here.clock.pass_(minutes=59)
    await here.look()
    assert here.box() == []
    here.clock.pass_(minutes=1)
    await here.look()
    assert len(here.box()) == 1


@pytest.mark.parametrize("error", [ImapUnavailable("no answer in time"), ImapRefused("NO [AUTHENTICATIONFAILED] no")])
async def test_what_fails_for_a_day_is_an_alarm_until_it_works_again(here: Here, error: Exception) -> None:
    await here.arrives(FIRST)
    here.fails = error
    began: datetime = here.clock.now()
    for _ in range(24):
        await here.look()
        assert here.bell.standing == {}
        here.clock.pass_(hours=1)
    await here.look()
    assert list(here.bell.standing) == ["collection"]
    assert str(error) in here.bell.standing["collection"]
    assert (here.state().failing_since, here.state().report) == (began, str(error))
    here.fails = None
    here.clock.pass_(minutes=15)
    await here.look()
    await here.look()
    assert (here.bell.standing, here.state().failing_since, len(here.box())) == ({}, None, 1)
