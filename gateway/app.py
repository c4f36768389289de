"""One provider, wired: every collaborator is made here, from settings, and handed to those who need it."""

import asyncio
import contextlib
import fcntl
import logging
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, make_url

from config.settings import Settings
from gateway.drivers.dialer import Dialer
from gateway.drivers.resolver import MailResolver, Route, RouteTable
from gateway.drivers.signers import load_signer
from gateway.drivers.smtp_client import SmtpClient
from gateway.drivers.smtp_peer import ClientLimits
from gateway.drivers.sources import RandomIds, SystemClock
from gateway.drivers.tls import ClientContexts, ServerTls, TlsPolicy
from gateway.flows.effects import Lease, Leased
from gateway.flows.failures import FailureLimits
from gateway.flows.holders import Holders
from gateway.flows.inspection import Inspector
from gateway.flows.issue import Identity, Issuer
from gateway.flows.maildrops import Maildrops
from gateway.flows.receive import ReceiveFlow, ReceiveSettings
from gateway.flows.recipients import Recipients
from gateway.flows.relay import RelayFlow, RelaySettings
from gateway.flows.sessions import LiveSessions
from gateway.flows.signin import SignIn, SignInLimits
from gateway.flows.submit import SubmitFlow, SubmitSettings
from gateway.mailbox.limits import MailboxLimits
from gateway.mailbox.pop3 import Pop3Server
from gateway.points.relay import Pauses
from gateway.smtp.hardening import Budget
from gateway.smtp.limits import Limits
from gateway.smtp.relay_server import RelayServer
from gateway.smtp.submission import SubmissionServer
from gateway.storage import accounts, outbox
from gateway.storage.engine import Storage
from gateway.storage.sink import ContentSink
from gateway.web.pages import Health, application
from gateway.web.server import WebServer
from gateway.workers.relay import RelayWorker
from gateway.workers.ticks import Ticks
from providers.chains import Trust
from providers.sealing import Signer
from providers.sync import IndexFile
from receipts.errors import GatewayError

__all__ = ["AlreadyRunning", "Gateway"]

log = logging.getLogger(__name__)


class AlreadyRunning(RuntimeError):
    """Another process serves this SQLite file; only one may (D24)."""


class Room:
    """Whether outbox and disk have room for another message, as of the last look (D17)."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        self._storage = storage
        self._limits = settings.limits
        database = make_url(settings.storage.url).database
        local = make_url(settings.storage.url).get_backend_name() == "sqlite" and database
        self._folder = Path(database).parent if local and database else None
        self._there_is = True

    def __call__(self) -> bool:
        return self._there_is

    async def look(self) -> None:
        waiting = await self._storage.read(outbox.count)
        free = None if self._folder is None else shutil.disk_usage(self._folder).free
        enough = free is None or free >= self._limits.min_free_disk_bytes
        there_is = waiting.rows < self._limits.max_outbox_messages and enough
        if there_is is not self._there_is:
            level = logging.INFO if there_is else logging.ERROR
            log.log(level, "room for submissions changed", extra={"room": there_is, "rows": waiting.rows, "free": free})
        self._there_is = there_is


class LocalDomains:
    """The domains of this provider, as of the last look."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._domains: frozenset[str] = frozenset()

    def __contains__(self, domain: object) -> bool:
        return domain in self._domains

    async def look(self) -> None:
        self._domains = await self._storage.read(accounts.local_domains)


class Gateway:
    """The provider that ``settings`` describe. ``reload`` gives fresh settings on SIGHUP.

    Raises on making:
        StorageUnavailable, UnsafeStorage, SigningUnavailable, OSError, ValueError: it cannot start; the text says why.
    """

    def __init__(self, settings: Settings, reload: Callable[[], Settings]) -> None:
        self._settings = settings
        self._reload = reload
        self._stop = asyncio.Event()
        self._lock = _lock(settings)
        provider, relay = settings.provider, settings.relay
        self.clock = SystemClock(ZoneInfo(provider.time_zone))
        self.ids = RandomIds()
        self.lease = Lease(f"{socket.gethostname()}:{provider.domain}", timedelta(seconds=relay.lease_seconds))
        self.storage = Storage.open(settings.storage.url, migrate=True)
        self.tls = ServerTls(settings.tls.certificate_file, settings.tls.key_file)
        self.index = IndexFile(
            settings.index.file,
            Trust.of_pem(settings.index.signer_ca_file.read_bytes()).anchors,
            self.clock.now,
        )
        self.local_domains = LocalDomains(self.storage)
        self.room = Room(self.storage, settings)
        self.issuer = Issuer(
            Identity(name=provider.name, domain=provider.domain, service_address=provider.service_address),
            _signer(settings),
            self.ids,
        )
        self._wire_flows()
        self._wire_servers()

    def _wire_flows(self) -> None:
        settings, relay = self._settings, self._settings.relay
        host = settings.provider.domain
        self.submit = SubmitFlow(
            storage=self.storage,
            directory=self.index.directory,
            issuer=self.issuer,
            clock=self.clock,
            ids=self.ids,
            handover=self._handover,
            settings=SubmitSettings(
                host=host,
                max_total_bytes=settings.limits.max_total_bytes,
                show_address=settings.policy.received_shows_address,
                lease=self.lease,
                ordinary_expiry=timedelta(days=relay.ordinary_days),
            ),
        )
        self.receive = ReceiveFlow(
            storage=self.storage,
            inspector=Inspector(Trust.of_pem(settings.trust.ca_file.read_bytes()), self.index.directory),
            issuer=self.issuer,
            clock=self.clock,
            ids=self.ids,
            handover=self._handover,
            settings=ReceiveSettings(
                host=host,
                ordinary_mail=settings.policy.ordinary_mail,
                max_envelope_age=timedelta(hours=settings.policy.max_envelope_age_hours),
                max_envelope_ahead=timedelta(minutes=settings.policy.max_envelope_ahead_minutes),
                receipt_expiry=timedelta(days=relay.receipt_days),
                lease=self.lease,
            ),
        )
        self.contexts = ClientContexts()
        self.client = SmtpClient(
            host,
            Dialer(closed=relay.closed),
            self.contexts,
            ClientLimits(connections_per_peer=relay.connections_per_peer),
        )
        self.resolver = MailResolver(
            _routes(settings),
            own_names=(host,),
            ca_file=None if relay.tls_ca_file is None else str(relay.tls_ca_file),
        )
        relay_flow = RelayFlow(
            storage=self.storage,
            find=self.resolver.find,
            send=self.client.send,
            receive=self.receive,
            issuer=self.issuer,
            clock=self.clock,
            ids=self.ids,
            handover=self._handover,
            settings=RelaySettings(
                host=host,
                lease=self.lease,
                pauses=Pauses(
                    put_off=timedelta(seconds=relay.first_retry_seconds),
                    longest=timedelta(seconds=relay.max_retry_seconds),
                ),
            ),
        )
        self.worker = RelayWorker(
            storage=self.storage,
            relay=relay_flow,
            clock=self.clock,
            lease=self.lease,
            is_local=self.local_domains.__contains__,
        )

    def _wire_servers(self) -> None:
        settings = self._settings
        limits = _smtp_limits(settings)
        budget = Budget(limits.max_in_flight_bytes)
        holders = Holders(self.storage)
        sign_in = SignIn(holders.credentials, self.clock, _sign_in_limits(settings))
        self.live = LiveSessions(holders.active_among)
        self.submission = SubmissionServer(
            hostname=settings.provider.domain,
            domain=settings.provider.domain,
            tls=self.tls.context,
            limits=limits,
            budget=budget,
            sign_in=sign_in,
            submit=self.submit,
            open_sink=self._open_sink,
            has_room=self.room,
            live=self.live,
        )
        self.incoming = RelayServer(
            hostname=settings.provider.domain,
            domain=settings.provider.domain,
            tls=self.tls.context,
            limits=limits,
            budget=budget,
            check=Recipients(self.storage, self.index.directory, self.clock),
            receive=self.receive,
            open_sink=self._open_sink,
        )
        self.pop3 = Pop3Server(
            sign_in=sign_in,
            maildrops=Maildrops(self.storage),
            tls=self.tls.context,
            limits=_mailbox_limits(settings),
            live=self.live,
        )
        self.web = WebServer(application(self._health, self._published_index), self.tls.context)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what began. SIGHUP reloads certificate, index and routes."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):  # before any port answers: who sees one may send a signal
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        async with self.running():
            await self._stop.wait()
            log.info("stopping")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All servers and workers, as long as the block lasts."""
        self.index.refresh()
        await self.local_domains.look()
        await self.room.look()
        await self.worker.start()
        ticks = Ticks(self.storage, self.clock, owner=self.lease.owner)
        ticks.every(timedelta(seconds=2), self.room.look, "room")
        ticks.every(timedelta(seconds=2), self.local_domains.look, "domains")
        ticks.every(timedelta(seconds=2), self._refresh_index, "index")
        ticks.every(timedelta(seconds=5), self.live.sweep, "sessions")
        ticks.start()
        try:
            await self._listen()
            self._announce()
            yield
        finally:
            await asyncio.gather(self.submission.close(), self.incoming.close(), self.pop3.close(), self.web.close())
            await self.worker.stop()
            await self.client.close()
            await ticks.stop()
            self.storage.close()
            if self._lock is not None:
                self._lock.close()

    def reload(self) -> None:
        """Take certificate, index and routes anew; what is not good leaves the old one in use (D33)."""
        try:
            self.tls.reload(self._settings.tls.certificate_file, self._settings.tls.key_file)
        except (OSError, GatewayError) as error:
            log.error("TLS certificate not reloaded", extra={"reason": str(error)})
        try:
            self.resolver.routes = _routes(self._reload())
        except Exception as error:  # whatever is wrong with the file, the old routes serve on
            log.error("routes not reloaded", extra={"reason": str(error)})
        self.contexts.renew()
        self.index.refresh()
        log.info("reloaded")

    async def _listen(self) -> None:
        listen = self._settings.listen
        for endpoint in listen.submission:
            await self.submission.listen(endpoint.host or None, endpoint.port)
        for endpoint in listen.submissions:
            await self.submission.listen(endpoint.host or None, endpoint.port, implicit_tls=True)
        for endpoint in listen.smtp:
            await self.incoming.listen(endpoint.host or None, endpoint.port)
        for endpoint in listen.pop3:
            await self.pop3.listen(endpoint.host or None, endpoint.port, implicit_tls=False)
        for endpoint in listen.pop3s:
            await self.pop3.listen(endpoint.host or None, endpoint.port, implicit_tls=True)
        for endpoint in listen.https:
            self.web.bind(endpoint.host, endpoint.port)
        await self.web.start()

    def _announce(self) -> None:
        """What this process really runs with, for operators and for whoever measures it."""
        log.info(
            "serving",
            extra={
                "provider": self._settings.provider.domain,
                "storage": self.storage.dialect,
                "durability": str(self.storage.durability()),
                "tls": self.tls.context.minimum_version.name,
                "scanner": "none",
                "register": "chained",
                "index_loaded": self.index.loaded,
            },
        )

    def _handover(self, leased: Sequence[Leased]) -> None:
        self.worker.handover(leased)

    def _open_sink(self) -> ContentSink:
        return ContentSink(self.storage, self.clock.now)

    async def _refresh_index(self) -> None:
        await asyncio.to_thread(self.index.refresh)

    async def _health(self) -> Health:
        def look(connection: Connection) -> int:
            return outbox.count(connection).rows

        return Health(storage=True, index=self.index.loaded, queue=await self.storage.read(look))

    def _published_index(self) -> bytes | None:
        return self.index.data if self._settings.index.publish else None


def _lock(settings: Settings) -> IO[bytes] | None:
    """Hold the SQLite file against a second process. Raises AlreadyRunning if one holds it."""
    url = make_url(settings.storage.url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    file = Path(f"{url.database}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise AlreadyRunning(
            f"{url.database}: another process serves this file; more than one needs PostgreSQL"
        ) from None
    return lock


def _signer(settings: Settings) -> Signer:
    signing = settings.signing
    password = None if signing.password_file is None else signing.password_file.read_bytes().splitlines()[0]
    return load_signer(signing.key_file, signing.certificate_file, signing.chain_file, password)


def _routes(settings: Settings) -> RouteTable:
    return RouteTable(
        [
            Route(
                domain=route.domain,
                host=route.host,
                port=route.port,
                tls=None if route.tls is None else TlsPolicy(route.tls),
                ca_file=None if route.tls_ca_file is None else str(route.tls_ca_file),
            )
            for route in settings.relay.routes
        ],
        closed=settings.relay.closed,
    )


def _smtp_limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(
        max_message_bytes=limits.max_message_bytes,
        max_recipients=limits.max_recipients,
        max_in_flight_bytes=limits.max_in_flight_bytes,
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        max_unauthenticated_connections=limits.max_unauthenticated_connections,
        max_bad_commands=limits.max_bad_commands,
        session_seconds=limits.session_seconds,
        command_seconds=limits.command_seconds,
        min_data_bytes_per_second=limits.min_data_bytes_per_second,
        messages_per_hour=limits.messages_per_hour,
        messages_per_day=limits.messages_per_day,
        recipients_per_hour=limits.recipients_per_hour,
        recipients_per_day=limits.recipients_per_day,
    )


def _mailbox_limits(settings: Settings) -> MailboxLimits:
    limits = settings.limits
    return MailboxLimits(
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        max_unauthenticated=limits.max_unauthenticated_connections,
        max_bad_commands=limits.max_bad_commands,
        session_seconds=limits.session_seconds,
    )


def _sign_in_limits(settings: Settings) -> SignInLimits:
    sign_in = settings.sign_in
    return SignInLimits(
        queue=sign_in.max_waiting,
        remembered=timedelta(seconds=sign_in.remembered_seconds),
        failures=FailureLimits(
            per_account_and_address=sign_in.max_failures,
            per_address=sign_in.max_failures_per_address,
            window=timedelta(seconds=sign_in.failure_seconds),
        ),
    )
