"""A box that several people share, behind real servers on loopback: what they sign in with, and what came of it."""

import asyncio
import contextlib
import imaplib
import poplib
import smtplib
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from gateway.drivers import passwords
from gateway.drivers.sources import RandomIds
from gateway.flows.boxes import Boxes
from gateway.flows.holders import Holders
from gateway.flows.journal import Journal, JournaledDiary
from gateway.flows.maildrops import Maildrops
from gateway.flows.news import News
from gateway.flows.outcomes import Holder, Peer, Protocol
from gateway.flows.sessions import LiveSessions
from gateway.flows.sharedboxes import WatchedBoxes
from gateway.flows.shareddrops import WatchedMaildrops
from gateway.flows.signin import SignIn
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.imap.server import ImapServer
from gateway.mailbox.limits import MailboxLimits
from gateway.mailbox.pop3 import Pop3Server
from gateway.points.box import Capacity
from gateway.points.sharing import Right
from gateway.smtp.hardening import Budget
from gateway.smtp.limits import Limits
from gateway.smtp.submission import SubmissionServer
from gateway.storage import accounts, content, devices, journal, mailboxes, people
from gateway.storage.journal import Told
from gateway.storage.mailboxes import NewMessage
from gateway.storage.sink import ContentSink
from receipts.octets import InMemory, Octets
from tests import throwaway
from tests.flows.house import Provider, original

__all__ = ["BOX", "PASSWORD", "Office", "Quiet"]

T = TypeVar("T")
BOX = "anna@alfa.example"
PASSWORD = "corretto cavallo"
IDS = RandomIds()


class Quiet:
    """A diary of which nobody reads."""

    def used(self, holder: Holder, lookup: str, protocol: Protocol, peer: Peer, network: str) -> None: ...
    def failed(self, holder: Holder, peer: Peer) -> None: ...


class Office:
    """The box of anna at alfa, with the servers before it."""

    def __init__(self, alfa: Provider, tls: throwaway.Throwaway) -> None:
        self.alfa, self.tls, self.storage, self.clock = alfa, tls, alfa.storage, alfa.clock
        self.account = alfa.people["anna"]
        self.box = self.account.mailbox_id
        self.journal = Journal(self.storage, self.clock)
        self.news = News(self.storage)
        holders = Holders(self.storage)
        self.live = LiveSessions(holders.active_among, holders.shared_among, holders.standing)
        sign_in = SignIn(holders.credentials, self.clock, diary=JournaledDiary(Quiet(), self.journal))
        self.sign_in = sign_in
        capacity = Capacity(None, 0)
        boxes = Boxes(storage=self.storage, news=self.news, clock=self.clock, ids=IDS, capacity=capacity)
        drops = WatchedMaildrops(self.storage, Maildrops(self.storage), self.journal, self.clock)
        limits = Limits()
        self.imap_server = ImapServer(
            sign_in=sign_in.through(Protocol.IMAP),
            open_box=WatchedBoxes(boxes, self.journal),
            tls=tls.server(),
            limits=ImapLimits(failure_pause_seconds=0.0, closing_seconds=60.0),
            live=self.live,
        )
        self.pop3_server = Pop3Server(
            sign_in=sign_in.through(Protocol.POP3),
            maildrops=drops,
            tls=tls.server(),
            limits=MailboxLimits(failure_pause_seconds=0.0, closing_seconds=60.0),
            live=self.live,
        )
        self.smtp_server = SubmissionServer(
            hostname="mx.alfa.example",
            domain="alfa.example",
            tls=tls.server(),
            limits=limits,
            budget=Budget(limits.max_in_flight_bytes),
            sign_in=sign_in.through(Protocol.SMTP),
            submit=lambda submission: alfa.submit(submission),
            open_sink=lambda: ContentSink(self.storage, self.clock.now),
            has_room=lambda: True,
            live=self.live,
        )

    async def start(self) -> None:
        self.news.start()
        self.imap_port = await self.imap_server.listen("127.0.0.1", 0, implicit_tls=True)
        self.pop3_port = await self.pop3_server.listen("127.0.0.1", 0, implicit_tls=True)
        self.smtp_port = await self.smtp_server.listen("127.0.0.1", 0, implicit_tls=True)
        kept = passwords.hash_password(PASSWORD)
        self.storage.write_now(lambda c: accounts.set_password(c, self.account.id, kept, self.clock.now()))

    async def close(self) -> None:
        await self.imap_server.close()
        await self.pop3_server.close()
        await self.smtp_server.close(grace_seconds=60)
        self.sign_in.close()

    # People.

    def let_in(self, name: str, right: Right, *, account: str | None = None) -> str:
        """A person and a password."""

        def transaction(connection: Connection) -> None:
            own = None if account is None else self.alfa.people[account].id
            people.add_person(connection, self.box, name, right, self.clock.now(), account_id=own)

        self.storage.write_now(transaction)
        return self.password(name)

    def password(self, name: str) -> str:
        """One more password of a person."""
        made = passwords.new_device(IDS)

        def transaction(connection: Connection) -> None:
            one = people.person_named(connection, self.box, name)
            assert one is not None
            added = devices.add_device(
                connection,
                self.account.id,
                label="portatile",
                lookup=made.lookup,
                digest=made.digest,
                at=self.clock.now(),
            )
            people.give_password(connection, one.id, added)

        self.storage.write_now(transaction)
        return made.secret

    def person(self, name: str) -> people.Person:
        found = self.storage.read_now(lambda c: people.person_named(c, self.box, name))
        assert found is not None
        return found

    def change(self, name: str, right: Right) -> None:
        person_id = self.person(name).id
        self.storage.write_now(lambda c: people.change_person(c, person_id, right, self.clock.now()))

    def remove(self, name: str) -> None:
        person_id = self.person(name).id
        self.storage.write_now(lambda c: people.remove_person(c, person_id))

    def revoke(self, name: str) -> None:
        """Take all passwords of a person back, and leave the person."""

        def transaction(connection: Connection) -> None:
            for one in devices.devices_of(connection, self.account.id):
                if one.person == name:
                    devices.remove_device(connection, self.account.id, one.lookup, self.clock.now())

        self.storage.write_now(transaction)

    # The box.

    def put(self, *subjects: str) -> None:
        """Messages into the inbox."""

        def transaction(connection: Connection) -> None:
            for subject in subjects:
                octets = Octets.whole(InMemory.of(original(subject=subject)))
                new = NewMessage(
                    mailbox_id=self.box,
                    token=IDS.token(),
                    body_id=content.save(connection, octets, self.clock.now()),
                    size=octets.size,
                    kind="ordinary",
                    at=self.clock.now(),
                    folder=mailboxes.Folder.INBOX,
                )
                mailboxes.deliver(connection, [new])

        self.storage.write_now(transaction)

    async def rows(self, *, all_: bool = False) -> list[Told]:
        """The journal as it stands when all is written; without sign-ins unless asked for."""
        await self.journal.write()
        found = self.storage.read_now(lambda c: journal.page(c, self.box))
        return [row for row in found if all_ or row.act != "signed in"]

    async def told(self) -> list[tuple[str | None, str, str | None, str | None]]:
        """Person, act, folder and UIDs of each row."""
        return [(row.person, row.act, row.folder, row.uids) for row in await self.rows()]

    # Programs, in a thread each.

    def imap(self, password: str) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.imap_port, ssl_context=self.tls.client(), timeout=60)
        client.login(BOX, password)
        return client

    def pop3(self, password: str) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL("127.0.0.1", self.pop3_port, context=self.tls.client(), timeout=60)
        client.user(BOX)
        client.pass_(password)
        return client

    def smtp(self, password: str) -> smtplib.SMTP_SSL:
        client = smtplib.SMTP_SSL(
            "127.0.0.1", self.smtp_port, local_hostname="laptop", context=self.tls.client(), timeout=60
        )
        client.login(BOX, password)
        return client

    async def with_imap(
        self, password: str, do: Callable[[imaplib.IMAP4_SSL], T], *, select: str | None = "INBOX"
    ) -> T:
        def run() -> T:
            client = self.imap(password)
            if select is not None:
                with contextlib.suppress(imaplib.IMAP4.readonly):
                    client.select(select)
                client.is_readonly = True  # else it takes READ-ONLY for an error
            found = do(client)
            client.logout()
            return found

        return await asyncio.to_thread(run)
