"""The parts of one provider: every collaborator is made here, from settings, and handed to those who need it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from config.settings import Settings
from gateway.app import registers, terms
from gateway.app.collecting import collecting
from gateway.app.keepers import Keepers
from gateway.app.ports import Ports
from gateway.app.stores import stores
from gateway.drivers.dialer import Dialer
from gateway.drivers.profiles import sign_profile
from gateway.drivers.resolver import MailResolver
from gateway.drivers.smtp_client import ClientLimits, SmtpClient
from gateway.drivers.sources import Clock, RandomIds, SystemClock
from gateway.drivers.tls import ClientContexts, ServerTls
from gateway.flows.alarms import Alarms
from gateway.flows.boxes import Boxes
from gateway.flows.clock_watch import LegalClock
from gateway.flows.diary import Diary
from gateway.flows.digests import Digests
from gateway.flows.effects import Lease, Leased
from gateway.flows.expire import ExpireFlow
from gateway.flows.filler import Filler
from gateway.flows.fullness_alerts import BoxAlerts
from gateway.flows.hand_over import HandOver, HandOverSettings
from gateway.flows.holders import Holders
from gateway.flows.issue import Identity, Issuer
from gateway.flows.journal import Journal, JournaledDiary
from gateway.flows.letters import Writer
from gateway.flows.local_domains import LocalDomains
from gateway.flows.maildrops import Maildrops
from gateway.flows.news import News
from gateway.flows.outcomes import Protocol
from gateway.flows.receive import ReceiveFlow
from gateway.flows.recipients import Recipients
from gateway.flows.relay import RelayFlow
from gateway.flows.room import Room
from gateway.flows.screening import Screen
from gateway.flows.scripts import Scripts
from gateway.flows.sessions import LiveSessions
from gateway.flows.sharedboxes import WatchedBoxes
from gateway.flows.shareddrops import WatchedMaildrops
from gateway.flows.sharing_sink import SharingSink
from gateway.flows.signin import SignIn
from gateway.flows.submit import SubmitFlow
from gateway.flows.upkeep import Upkeep
from gateway.mailbox.imap.server import ImapServer
from gateway.mailbox.limits import MailboxLimits
from gateway.mailbox.managesieve.limits import SieveLimits
from gateway.mailbox.managesieve.server import SieveServer
from gateway.mailbox.pop3 import Pop3Server
from gateway.points.ordinary import Ordinary
from gateway.smtp.hardening import Budget
from gateway.smtp.relay_server import RelayServer
from gateway.smtp.submission import SubmissionServer
from gateway.storage import outbox
from gateway.storage.alarms import count
from gateway.storage.engine import Storage
from gateway.storage.sink import ContentSink
from gateway.web.pages import Health, Publications, application
from gateway.web.server import WebServer
from gateway.web.setup.pages import setup_pages
from gateway.workers.handing_over import HandingOver
from gateway.workers.relay import RelayWorker
from gateway.workers.ticks import Ticks

__all__ = ["Parts"]

LOOKED_AT = timedelta(seconds=2)
"""How soon a new domain, a new index and a full disk are seen."""
SCANNER_LOOKED_AT = timedelta(seconds=10)
"""How soon an outage of the virus scanner is seen, and its end, when no mail comes."""
NEWS_LOOKED_AT = timedelta(seconds=0.5)
"""How soon a session hears of what another node did to its mailbox."""
DETAILS_SWEPT = timedelta(minutes=10)
FULLNESS_LOOKED_AT = timedelta(seconds=30)
DIGESTS_LOOKED_AT = timedelta(seconds=5)
FORGOTTEN = timedelta(hours=6)
SESSIONS_LOOKED_AT = timedelta(seconds=5)
PEOPLE_LOOKED_AT = timedelta(seconds=0.5)
"""How soon somebody whose rights in a shared box changed loses the sessions from before."""
JOURNAL_WRITTEN = timedelta(seconds=1)
DIARY_WRITTEN = timedelta(seconds=5)
DEADLINES_LOOKED_AT = timedelta(seconds=30)
COLLECTIONS_LOOKED_AT = timedelta(seconds=15)


class Parts:
    """All that works in one provider; nothing does yet.

    Args:
        owner: the name of this process in leases.
        clock: the machine's if left out.

    Raises:
        KeyRefused, OSError: a key, a certificate or an authority cannot be used; the text names its file.
    """

    def __init__(self, settings: Settings, storage: Storage, owner: str, clock: Clock | None = None) -> None:
        self.settings = settings
        self.storage = storage
        self.lease = Lease(owner, timedelta(seconds=settings.relay.lease_seconds))
        self.clock: Clock = clock or SystemClock(ZoneInfo(settings.provider.time_zone))
        self.ids = RandomIds()
        self.alarms = Alarms(storage, self.clock, place=owner, provider=settings.provider.name)
        self.clock_watch = terms.clock_watch(settings, self.alarms)
        self.legal_clock = LegalClock(self.clock, self.clock_watch)
        self.tls = ServerTls(settings.tls.certificate_file, settings.tls.key_file)
        self.web_tls = ServerTls(settings.tls.certificate_file, settings.tls.key_file, settings.index.client_ca_file)
        self.dialer = Dialer(closed=settings.relay.closed)
        self.keepers = Keepers(settings, storage, self.clock, self.alarms, self.dialer)
        self.index = self.keepers.index
        self.local_domains = LocalDomains(storage)
        self.room = Room(
            storage,
            terms.data_folder(settings),
            max_rows=settings.limits.max_outbox_messages,
            min_free_bytes=settings.limits.min_free_disk_bytes,
        )
        provider = settings.provider
        self.issuer = Issuer(
            Identity(name=provider.name, domain=provider.domain, service_address=provider.service_address),
            self.keepers.signer,
            self.ids,
        )
        self._make_boxes()
        self.closing = registers.closing(settings, storage, self.clock, self.keepers.signer, self.alarms, owner)
        self.removal = registers.removal(settings, storage, self.clock)
        self._make_flows()
        self._make_relay()
        self._make_handing_over()
        self.collecting = collecting(settings, storage, self.clock, self.ids, self.alarms, owner)
        self._make_servers()
        self._make_ticks()

    def _make_boxes(self) -> None:
        self.news = News(self.storage)
        self.filler = Filler(self.storage, self.news, self.clock, owner=self.lease.owner)
        self.upkeep = Upkeep(self.storage, self.clock, terms.upkeep(self.settings))
        self.box_alerts = BoxAlerts(
            self.storage, self.clock, self.ids, self._handover, terms.box_alerts(self.settings, self.lease)
        )
        self.digests = Digests(
            self.storage, self.clock, self.ids, self._handover, terms.digests(self.settings, self.lease)
        )
        self.boxes = Boxes(
            storage=self.storage,
            news=self.news,
            clock=self.clock,
            ids=self.ids,
            capacity=terms.capacity(self.settings),
        )

    def _make_flows(self) -> None:
        scanner, policy = terms.scanner(self.settings), terms.scan_policy(self.settings)
        self.screen = None if scanner is None else Screen(scanner, policy, alarms=self.alarms, clock=self.clock)
        self.submit = SubmitFlow(
            storage=self.storage,
            directory=self.index.directory,
            issuer=self.issuer,
            clock=self.legal_clock,
            ids=self.ids,
            handover=self._handover,
            settings=terms.submit_settings(self.settings, self.lease),
            screening=self.screen,
        )
        self.receive = ReceiveFlow(
            storage=self.storage,
            inspector=self.keepers.inspector,
            issuer=self.issuer,
            clock=self.legal_clock,
            ids=self.ids,
            handover=self._handover,
            settings=terms.receive_settings(self.settings, self.lease),
            authenticate=terms.authenticate(self.settings),
            screening=self.screen,
        )
        self.expire = ExpireFlow(
            storage=self.storage,
            issuer=self.issuer,
            clock=self.legal_clock,
            ids=self.ids,
            lease=self.lease,
            deadlines=terms.deadlines(self.settings),
        )

    def _make_relay(self) -> None:
        host, relay = self.settings.provider.domain, self.settings.relay
        self.contexts = ClientContexts()
        self.client = SmtpClient(
            host,
            self.dialer,
            self.contexts,
            ClientLimits(connections_per_peer=relay.connections_per_peer),
        )
        self.resolver = MailResolver(
            terms.routes(self.settings),
            own_names=(host,),
            ca_file=None if relay.tls_ca_file is None else str(relay.tls_ca_file),
        )
        flow = RelayFlow(
            storage=self.storage,
            find=self.resolver.find,
            send=self.client.send,
            receive=self.receive,
            issuer=self.issuer,
            clock=self.clock,
            ids=self.ids,
            handover=self._handover,
            settings=terms.relay_settings(self.settings, self.lease),
            legal_clock=self.legal_clock,
            sign=terms.dkim_signer(self.settings),
        )
        self.worker = RelayWorker(
            storage=self.storage,
            relay=flow,
            clock=self.clock,
            lease=self.lease,
            is_local=self.local_domains.__contains__,
        )

    def _make_handing_over(self) -> None:
        """The way to mail servers that keep boxes of ours."""
        keepers = stores(self.settings)
        terms_of_relay = terms.relay_settings(self.settings, self.lease)
        flow = HandOver(
            storage=self.storage,
            keepers=keepers,
            issuer=self.issuer,
            clock=self.clock,
            legal_clock=self.legal_clock,
            ids=self.ids,
            handover=self._handover,
            bell=self.alarms,
            settings=HandOverSettings(
                lease=self.lease,
                pauses=terms_of_relay.pauses,
                receipt_expiry=timedelta(days=self.settings.relay.receipt_days),
            ),
        )
        self.handing_over = HandingOver(
            storage=self.storage,
            flow=flow,
            clock=self.clock,
            lease=self.lease,
            connections={keeper.name: keeper.connections for keeper in keepers.values()},
        )

    def _make_servers(self) -> None:
        domain, limits = self.settings.provider.domain, terms.smtp_limits(self.settings)
        budget, holders = Budget(limits.max_in_flight_bytes), Holders(self.storage)
        self.diary = Diary(
            self.storage,
            self.clock,
            self.ids,
            Writer(name=self.settings.provider.name, address=f"postmaster@{domain}"),
            lease=self.lease,
            tell_after=self.settings.sign_in.told_failures_per_day,
        )
        self.journal = Journal(self.storage, self.clock)
        diary = JournaledDiary(self.diary, self.journal)
        self.sign_in = SignIn(holders.credentials, self.clock, terms.sign_in_limits(self.settings), diary=diary)
        self.live = LiveSessions(holders.active_among, holders.shared_among, holders.standing)
        self.submission = SubmissionServer(
            hostname=domain,
            domain=domain,
            tls=self.tls.context,
            limits=limits,
            budget=budget,
            sign_in=self.sign_in.through(Protocol.SMTP),
            submit=self.submit,
            open_sink=self._open_sink,
            has_room=self.room,
            live=self.live,
        )
        self.incoming = RelayServer(
            hostname=domain,
            domain=domain,
            tls=self.tls.context,
            limits=limits,
            budget=budget,
            check=Recipients(
                self.storage,
                self.index.directory,
                self.clock,
                Ordinary(self.settings.policy.ordinary_mail),
                terms.capacity(self.settings),
            ),
            receive=self.receive,
            open_sink=lambda: SharingSink(self.storage, self.clock.now),
        )
        self.pop3 = Pop3Server(
            sign_in=self.sign_in.through(Protocol.POP3),
            maildrops=WatchedMaildrops(self.storage, Maildrops(self.storage), self.journal, self.clock),
            tls=self.tls.context,
            limits=terms.mailbox_limits(self.settings, MailboxLimits),
            live=self.live,
        )
        self.imap = ImapServer(
            sign_in=self.sign_in.through(Protocol.IMAP),
            open_box=WatchedBoxes(self.boxes, self.journal),
            tls=self.tls.context,
            limits=terms.imap_limits(self.settings),
            live=self.live,
        )
        self.sieve = SieveServer(
            sign_in=self.sign_in.through(Protocol.SIEVE),
            scripts=Scripts(self.storage, self.clock),
            tls=self.tls.context,
            limits=terms.mailbox_limits(self.settings, SieveLimits),
            live=self.live,
        )
        setup = setup_pages(
            terms.mail_servers(self.settings),
            is_ours=self.local_domains.__contains__,
            sign=self._sign_profile,
            base_url=terms.base_url(self.settings),
        )
        published = Publications(
            index=self.keepers.published_index,
            record=self.keepers.published_record,
            clients_only=self.settings.index.client_ca_file is not None,
        )
        self.web = WebServer(application(self._health, published, setup), self.web_tls.context)

    def _make_ticks(self) -> None:
        self.ticks = Ticks(self.storage, self.clock, owner=self.lease.owner)
        self.ticks.every(LOOKED_AT, self.room.look, "room")
        self.ticks.every(LOOKED_AT, self.local_domains.look, "domains")
        self.ticks.every(LOOKED_AT, self._refresh_index, "index")
        self.keepers.tick(self.ticks)
        self.ticks.every(NEWS_LOOKED_AT, self.news.poll, "news")
        self.ticks.every(DETAILS_SWEPT, self.filler.sweep, "details", at_once=True)
        self.ticks.every(FULLNESS_LOOKED_AT, self.box_alerts.look, "fullness")
        self.ticks.every(DIGESTS_LOOKED_AT, self.digests.look, "digests")
        self.ticks.every(FORGOTTEN, self.box_alerts.note_day, "usage", at_once=True)
        self.ticks.every(FORGOTTEN, self.upkeep.forget, "upkeep", at_once=True)
        self.ticks.every(registers.CLOSING_LOOKED_AT, self.closing, "closing")
        self.ticks.every(registers.REMOVAL_EVERY, self.removal, "removal")
        self.ticks.every(SESSIONS_LOOKED_AT, self.live.sweep, "sessions")
        self.ticks.every(PEOPLE_LOOKED_AT, self.live.sweep_people, "people")
        self.ticks.every(DIARY_WRITTEN, self.diary.write, "diary")
        self.ticks.every(JOURNAL_WRITTEN, self.journal.write, "journal")
        self.ticks.every(DEADLINES_LOOKED_AT, self.expire, "deadlines")
        self.ticks.every(COLLECTIONS_LOOKED_AT, self.collecting.look, "collections")
        if self.screen is not None:
            self.ticks.every(SCANNER_LOOKED_AT, self.screen.look, "scanner")
        if self.clock_watch is not None:
            pause = timedelta(seconds=self.settings.clock.check_seconds)
            self.ticks.every(pause, self.clock_watch.look, "clock", at_once=True)

    async def look(self) -> None:
        """See index, domains, room and scanner for the first time. What is not good stops nothing (D6)."""
        await self._refresh_index()
        await self.local_domains.look()
        await self.room.look()
        if self.screen is not None:
            await self.screen.look()

    def begin(self) -> None:
        """Follow the mailboxes of this process, and work out what comes into them."""
        self.news.start()
        self.filler.start()

    async def answer(self, ports: Ports) -> None:
        """Let the servers answer on their ports."""
        for service, implicit_tls in (("submission", False), ("submissions", True)):
            for opened in ports.of(service):
                await self.submission.serve(opened, implicit_tls=implicit_tls)
        for opened in ports.of("smtp"):
            await self.incoming.serve(opened)
        for service, implicit_tls in (("pop3", False), ("pop3s", True)):
            for opened in ports.of(service):
                await self.pop3.serve(opened, implicit_tls=implicit_tls)
        for service, implicit_tls in (("imap", False), ("imaps", True)):
            for opened in ports.of(service):
                await self.imap.serve(opened, implicit_tls=implicit_tls)
        for opened in ports.of("managesieve"):
            await self.sieve.serve(opened, implicit_tls=False)
        self.web.take(ports.of("https"))
        await self.web.start()

    def _handover(self, leased: Sequence[Leased]) -> None:
        self.worker.handover(leased)

    def _open_sink(self) -> ContentSink:
        return ContentSink(self.storage, self.clock.now)

    async def _refresh_index(self) -> None:
        await asyncio.to_thread(self.index.refresh)

    async def _health(self) -> Health:
        waiting, alarms = await self.storage.read(lambda connection: (outbox.count(connection), count(connection)))
        scanner = None if self.screen is None else self.screen.works
        return Health(
            storage=True,
            index=self.index.loaded,
            clock=self.legal_clock.state,
            queue=waiting.rows,
            alarms=alarms,
            scanner=scanner,
        )

    async def _sign_profile(self, profile: bytes) -> bytes:
        tls = self.settings.tls
        return await asyncio.to_thread(sign_profile, profile, tls.certificate_file, tls.key_file)
