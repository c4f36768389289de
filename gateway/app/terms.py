"""The settings in the terms of those who keep to them."""

from datetime import time, timedelta
from pathlib import Path
from typing import Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import make_url

from config.settings import Settings
from config.values import MB
from gateway.drivers.antivirus import Clamd
from gateway.drivers.dialer import Dialer
from gateway.drivers.dkim_keys import DkimKeys
from gateway.drivers.dkim_signer import DkimSigner
from gateway.drivers.dns import NameServers
from gateway.drivers.http_client import Fetched, HttpClient, Wanted
from gateway.drivers.kernel_clock import kernel_offset
from gateway.drivers.keyfiles import KeyRefused, load_certificates
from gateway.drivers.resolver import Route, RouteTable
from gateway.drivers.signers import load_signer
from gateway.drivers.sntp import SntpServer
from gateway.drivers.tls import TlsPolicy, client_with_certificate
from gateway.drivers.token_signer import Token, TokenSigner
from gateway.flows.alarms import Bell
from gateway.flows.authenticate import Authenticate
from gateway.flows.certificate_paths import Question
from gateway.flows.clock_watch import ClockWatch
from gateway.flows.digests import DigestSettings
from gateway.flows.effects import Lease
from gateway.flows.failures import FailureLimits
from gateway.flows.fullness_alerts import BoxAlertSettings
from gateway.flows.index_update import Fetch
from gateway.flows.letters import Writer
from gateway.flows.receive import ReceiveSettings
from gateway.flows.relay import RelaySettings
from gateway.flows.revocation_watch import Ask
from gateway.flows.signin import SignInLimits
from gateway.flows.submit import SubmitSettings
from gateway.flows.upkeep import UpkeepSettings
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.limits import MailboxLimits
from gateway.points.box import Capacity
from gateway.points.ordinary import Ordinary
from gateway.points.relay import Pauses
from gateway.points.screening import ScanPolicy
from gateway.points.timeouts import Deadlines
from gateway.smtp.limits import Limits
from gateway.web.setup.servers import MailServer, MailServers, Service
from providers.directory import MAX_INDEX_BYTES
from providers.revocation import Means, ocsp_request
from providers.sealing import Signer

__all__ = [
    "authenticate",
    "authserv_id",
    "base_url",
    "box_alerts",
    "capacity",
    "clock_watch",
    "data_folder",
    "deadlines",
    "digests",
    "dkim_signer",
    "imap_limits",
    "index_fetch",
    "mail_servers",
    "mailbox_limits",
    "notice_address",
    "receive_settings",
    "relay_settings",
    "revocation_ask",
    "routes",
    "scan_policy",
    "scanner",
    "sign_in_limits",
    "signer",
    "smtp_limits",
    "submit_settings",
    "upkeep",
]


HTTPS = 443

L = TypeVar("L", bound=MailboxLimits)


def signer(settings: Settings) -> Signer:
    """Raises KeyRefused if key, password and certificates are not there or do not fit."""
    signing = settings.signing
    password = None if signing.password_file is None else _password(signing.password_file)
    if signing.token_module is not None:
        return _token_signer(settings, password or b"")
    assert signing.key_file is not None  # as the settings ask
    return load_signer(signing.key_file, signing.certificate_file, signing.chain_file, password)


def _token_signer(settings: Settings, pin: bytes) -> Signer:
    signing = settings.signing
    assert signing.certificate_file is not None  # as the settings ask
    certificate, *chain = load_certificates(signing.certificate_file)
    if signing.chain_file is not None:
        chain = load_certificates(signing.chain_file)
    elliptic = isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    token = Token(
        module=str(signing.token_module),
        label=signing.token_label or "",
        key=signing.token_key or "",
        elliptic=elliptic,
    )
    return TokenSigner(token, pin.decode("utf-8", "replace"), certificate, tuple(chain))


def _password(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            password = opened.readline(1_000).rstrip(b"\r\n")
    except OSError as error:
        raise KeyRefused(f"{file}: {error.strerror}") from error
    if not password:
        raise KeyRefused(f"{file}: its first line is empty")
    return password


INDEX_SECONDS: Final = 120.0


def index_fetch(settings: Settings, dialer: Dialer, url: str) -> Fetch:
    """Fetches the index, with our certificate (DIR-07).

    Raises:
        OSError, KeyRefused: a file that it needs cannot be used.
    """
    index = settings.index
    tls = client_with_certificate(index.ca_file, index.client_certificate_file, index.client_key_file)
    client = HttpClient(dialer, tls=tls, private=True, seconds=INDEX_SECONDS)

    async def fetch(tag: str | None) -> Fetched:
        wanted = Wanted(url=url, max_bytes=MAX_INDEX_BYTES, accept="application/pkcs7-mime", tag=tag, secure=True)
        return await client.fetch(wanted)

    return fetch


LIST_BYTES: Final = 20 * MB
ANSWER_BYTES: Final = 64_000
ASKED_SECONDS: Final = 30.0


def revocation_ask(settings: Settings, dialer: Dialer) -> Ask:
    """Fetches what authorities say of certificates, from where those send us."""
    private = settings.revocation.private_addresses
    tls = client_with_certificate(None, None, None)
    client = HttpClient(dialer, tls=tls, private=private, seconds=ASKED_SECONDS)

    async def ask(question: Question) -> bytes:
        url = question.source.url
        if question.source.means is Means.CRL:
            wanted = Wanted(url=url, max_bytes=LIST_BYTES)
        else:
            kind, body = "application/ocsp-request", ocsp_request(question.subject)
            wanted = Wanted(url=url, max_bytes=ANSWER_BYTES, body=body, content_type=kind)
        return (await client.fetch(wanted)).body or b""

    return ask


def data_folder(settings: Settings) -> Path | None:
    """Where the database fills the disk; None if that is on another host."""
    url = make_url(settings.storage.url)
    return Path(url.database).parent if url.get_backend_name() == "sqlite" and url.database else None


def routes(settings: Settings) -> RouteTable:
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


def submit_settings(settings: Settings, lease: Lease) -> SubmitSettings:
    return SubmitSettings(
        host=settings.provider.domain,
        max_total_bytes=settings.limits.max_total_bytes,
        show_address=settings.policy.received_shows_address,
        lease=lease,
        ordinary_expiry=timedelta(hours=settings.relay.ordinary_hours),
    )


def receive_settings(settings: Settings, lease: Lease) -> ReceiveSettings:
    policy = settings.policy
    return ReceiveSettings(
        host=settings.provider.domain,
        ordinary_mail=Ordinary(policy.ordinary_mail),
        notice_address=notice_address(settings),
        authserv_id=authserv_id(settings),
        max_envelope_age=timedelta(hours=policy.max_envelope_age_hours),
        max_envelope_ahead=timedelta(minutes=policy.max_envelope_ahead_minutes),
        receipt_expiry=timedelta(days=settings.relay.receipt_days),
        capacity=capacity(settings),
        lease=lease,
    )


def authenticate(settings: Settings) -> Authenticate | None:
    """None if nobody looks into the origin of ordinary mail, as in a closed network without a DNS of its own."""
    wanted = settings.authentication
    if not wanted.check or (settings.relay.closed and not wanted.nameservers):
        return None
    servers = [(server.host, server.port) for server in wanted.nameservers]
    return Authenticate(NameServers(servers), authserv_id=authserv_id(settings), seconds=wanted.max_seconds)


def authserv_id(settings: Settings) -> str:
    return settings.authentication.authserv_id or settings.provider.domain


def notice_address(settings: Settings) -> str:
    return settings.policy.notice_address or f"postmaster@{settings.provider.domain}"


def dkim_signer(settings: Settings) -> DkimSigner | None:
    return None if settings.dkim.folder is None else DkimSigner(DkimKeys(settings.dkim.folder))


def relay_settings(settings: Settings, lease: Lease) -> RelaySettings:
    relay = settings.relay
    return RelaySettings(
        host=settings.provider.domain,
        lease=lease,
        pauses=Pauses(
            put_off=timedelta(seconds=relay.first_retry_seconds),
            longest=timedelta(seconds=relay.max_retry_seconds),
        ),
    )


def clock_watch(settings: Settings, alarms: Bell) -> ClockWatch | None:
    """None: nobody watches the clock."""
    clock = settings.clock
    if not clock.watched:
        return None
    return ClockWatch(
        servers=[SntpServer(server.host, server.port).offset for server in clock.servers],
        kernel=kernel_offset,
        limit=timedelta(milliseconds=clock.max_offset_milliseconds),
        alarms=alarms,
    )


def deadlines(settings: Settings) -> Deadlines:
    return Deadlines(
        first=timedelta(minutes=settings.deadlines.first_notice_minutes),
        second=timedelta(minutes=settings.deadlines.second_notice_minutes),
    )


def scanner(settings: Settings) -> Clamd | None:
    """The virus scanner; None where none is set."""
    antivirus = settings.antivirus
    if antivirus.socket is None:
        return None
    host, _, port = antivirus.socket.rpartition(":")
    address = Path(antivirus.socket) if antivirus.socket.startswith("/") else (host.strip("[]"), int(port))
    return Clamd(address, timeout_seconds=antivirus.timeout_seconds)


def scan_policy(settings: Settings) -> ScanPolicy:
    return ScanPolicy(encrypted=settings.antivirus.encrypted, unscannable=settings.antivirus.unscannable)


def smtp_limits(settings: Settings) -> Limits:
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


def capacity(settings: Settings) -> Capacity:
    """Of a mailbox that has none of its own."""
    mailboxes = settings.mailboxes
    return Capacity(mailboxes.quota_bytes or None, mailboxes.reserve_bytes)


def box_alerts(settings: Settings, lease: Lease) -> BoxAlertSettings:
    return BoxAlertSettings(
        notice_address=settings.policy.notice_address or f"postmaster@{settings.provider.domain}",
        capacity=capacity(settings),
        lease=lease,
        expiry=timedelta(days=settings.relay.receipt_days),
    )


def digests(settings: Settings, lease: Lease) -> DigestSettings:
    return DigestSettings(
        writer=Writer(name=settings.provider.name, address=notice_address(settings)),
        daily_at=time.fromisoformat(settings.notices.daily_at),
        read_at=settings.notices.read_at,
        lease=lease,
        expiry=timedelta(days=settings.relay.receipt_days),
    )


def upkeep(settings: Settings) -> UpkeepSettings:
    kept = settings.mailboxes
    return UpkeepSettings(expunged=timedelta(days=kept.expunged_days), journal=timedelta(days=kept.journal_days))


def mailbox_limits(settings: Settings, form: type[L]) -> L:
    """Of POP3 and ManageSieve, whose sessions are short; the rest of a form is as it is by default."""
    limits = settings.limits
    return form(
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        max_unauthenticated=limits.max_unauthenticated_connections,
        max_bad_commands=limits.max_bad_commands,
        session_seconds=limits.session_seconds,
    )


def imap_limits(settings: Settings) -> ImapLimits:
    limits = settings.limits
    return ImapLimits(
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        max_unauthenticated=limits.max_unauthenticated_connections,
        max_bad_commands=limits.max_bad_commands,
        message_bytes=limits.max_message_bytes,
    )


def mail_servers(settings: Settings) -> MailServers:
    """The servers as holders reach them; those in TLS from the first byte come first."""
    listen, clients = settings.listen, settings.clients
    host = clients.host or settings.provider.domain
    served = (
        (Service.SUBMISSION, True, listen.submissions, clients.submissions_port),
        (Service.SUBMISSION, False, listen.submission, clients.submission_port),
        (Service.IMAP, True, listen.imaps, clients.imaps_port),
        (Service.POP3, True, listen.pop3s, clients.pop3s_port),
        (Service.SIEVE, False, listen.managesieve, clients.managesieve_port),
    )
    return MailServers(
        provider=settings.provider.name,
        short_name=clients.display_name or settings.provider.name,
        help_at=clients.help_at,
        servers=tuple(
            MailServer(service=service, host=host, port=port or listeners[0].port, implicit_tls=implicit_tls)
            for service, implicit_tls, listeners, port in served
            if listeners
        ),
    )


def base_url(settings: Settings) -> str:
    """Of the HTTPS port as holders reach it, without a final slash."""
    clients, https = settings.clients, settings.listen.https
    port = clients.https_port or (https[0].port if https else HTTPS)
    host = clients.host or settings.provider.domain
    return f"https://{host}" if port == HTTPS else f"https://{host}:{port}"


def sign_in_limits(settings: Settings) -> SignInLimits:
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
