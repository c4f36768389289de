"""Every setting of one provider: its type, its unit, its default and what it means.

The docstring under a field is what ``gateway.example.toml`` and ``docs/configuration.md`` say about it.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.antivirus import AntivirusSettings
from config.authentication import AuthenticationSettings, DkimSettings
from config.clients import ClientSettings
from config.clock import ClockSettings
from config.deadlines import DeadlineSettings
from config.elsewhere import ElsewhereSettings
from config.index import IndexSettings
from config.mailboxes import MailboxSettings
from config.notices import NoticeSettings
from config.register import RegisterSettings
from config.revocation import RevocationSettings
from config.section import Section
from config.values import (
    HIGHEST_PORT,
    MB,
    Address,
    Domain,
    Endpoint,
    Listeners,
    LocalPath,
    Positive,
    StorageUrl,
    TimeZone,
)

__all__ = [
    "Endpoint",
    "IndexSettings",
    "LimitSettings",
    "ListenSettings",
    "LogSettings",
    "PolicySettings",
    "ProviderSettings",
    "RegisterSettings",
    "RelaySettings",
    "RouteSettings",
    "Settings",
    "SignInSettings",
    "SigningSettings",
    "StorageSettings",
    "TlsSettings",
    "TrustSettings",
]

SERVICE_LOCAL_PART = "posta-certificata"


class ProviderSettings(Section):
    """Who this provider is, as its records and receipts name it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the provider as published in the index; receipts carry it as `gestore-emittente`."""

    domain: Domain
    """Mail domain of the provider: what stands behind the "@" of the message identifiers it makes."""

    service_address: Address = Field(default_factory=lambda known: f"{SERVICE_LOCAL_PART}@{known['domain']}")
    """Address in the From of every receipt and envelope; it must stand in the signing certificate.
    Left out: `posta-certificata@` and the domain above."""

    time_zone: TimeZone = "Europe/Rome"
    """Legal time of receipts and certification data, whatever the machine's own zone is."""


class ListenSettings(Section):
    """Where each server listens: lists of "host:port", with "*" for every address of the machine.

    An empty list turns a server off.
    """

    submission: Listeners = (Endpoint("", 587),)
    """Submission by the holders, with STARTTLS."""

    submissions: Listeners = (Endpoint("", 465),)
    """Submission by the holders, in TLS from the first byte."""

    smtp: Listeners = (Endpoint("", 25),)
    """Mail from other providers and from ordinary servers."""

    imap: Listeners = (Endpoint("", 143),)
    """Mailboxes by IMAP, with STARTTLS."""

    imaps: Listeners = (Endpoint("", 993),)
    """Mailboxes by IMAP, in TLS from the first byte."""

    pop3: Listeners = (Endpoint("", 110),)
    """Mailboxes by POP3, with STLS."""

    pop3s: Listeners = (Endpoint("", 995),)
    """Mailboxes by POP3, in TLS from the first byte."""

    managesieve: Listeners = (Endpoint("", 4190),)
    """Filters of the holders by ManageSieve, with STARTTLS."""

    https: Listeners = (Endpoint("", 443),)
    """Health, provider index and the set-up of mail programs, over HTTPS."""


class TlsSettings(Section):
    """The certificate that clients and peers see on every port. Read again on SIGHUP."""

    certificate_file: LocalPath
    """PEM file with the certificate, then its issuers."""

    key_file: LocalPath
    """PEM file with its private key; nobody but its owner may read it."""


class SigningSettings(Section):
    """The provider's signing key, which seals every receipt and envelope: in a file, or on a PKCS#11 token."""

    key_file: LocalPath | None = None
    """PEM or PKCS#12 file with the private key; nobody but its owner may read it.
    Not used when there is a token."""

    certificate_file: LocalPath | None = None
    """PEM file with its certificate. Left out: the certificate is in the key file."""

    chain_file: LocalPath | None = None
    """PEM file with the certificates of the issuing authorities below the root.
    They travel inside every signature. Left out: those in the key file."""

    password_file: LocalPath | None = None
    """File whose first line is the password of the key file, or the PIN of the token.
    Left out: the key is not encrypted."""

    token_module: LocalPath | None = None
    """Library that speaks PKCS#11 with the token (hardware module, smart card) that has the key."""

    token_label: str | None = None
    """Label of the token."""

    token_key: str | None = None
    """Label of the private key on it."""

    @model_validator(mode="after")
    def _key_somewhere(self) -> Self:
        needed = (self.token_label, self.token_key, self.certificate_file, self.password_file)
        if self.token_module is not None and None in needed:
            raise ValueError("a token needs token_label, token_key, certificate_file and password_file (its PIN)")
        if self.token_module is None and self.key_file is None:
            raise ValueError("key_file is missing, or token_module for a key on a token")
        return self


class TrustSettings(Section):
    """Whom this provider believes when it verifies a signature."""

    ca_file: LocalPath
    """PEM file with the root authorities of the signing certificates of all providers."""


class StorageSettings(Section):
    """Where messages, mailboxes, queue and register are kept."""

    url: StorageUrl = Field(default="sqlite:////var/lib/ceralacca/ceralacca.sqlite", repr=False)
    """One SQLite file (one process), or a PostgreSQL database (any number of processes)."""


class LimitSettings(Section):
    """What one holder, one peer and one process may take. 1 MB is 1,000,000 bytes."""

    max_total_bytes: Annotated[int, Field(ge=30 * MB)] = 30 * MB
    """Size of a message times its recipients; more is not accepted, with a notice. The law's floor is 30 MB."""

    max_message_bytes: Annotated[int, Field(ge=30 * MB)] = 100 * MB
    """Size of one message, announced as SIZE; more is refused (552)."""

    max_recipients: Annotated[int, Field(ge=50)] = 500
    """Recipients of one message; the next one is refused (452). The law's floor is 50."""

    max_in_flight_bytes: Annotated[int, Field(ge=30 * MB)] = 256 * MB
    """Bytes of messages that one process takes in at the same time; beyond it new messages wait outside (452)."""

    max_connections: Positive = 1_000
    """Connections to one server in all (421)."""

    max_connections_per_address: Positive = 50
    """Connections to one server from one network address (421)."""

    max_unauthenticated_connections: Positive = 200
    """Connections to one submission or mailbox server on which nobody has signed in yet: beyond it a submission server
    refuses new ones (421), a mailbox server ends the oldest of the address that has most of them."""

    max_bad_commands: Positive = 10
    """Commands not understood or out of order before a connection is closed (421)."""

    session_seconds: Positive = 3_600
    """How long one connection may last."""

    command_seconds: Positive = 300
    """How long a server waits for the next command (RFC 5321 4.5.3.2.7)."""

    min_data_bytes_per_second: Positive = 1_000
    """Slowest pace at which the bytes of a message may come in, after the first minute."""

    messages_per_hour: Positive = 2_000
    """Messages one account may submit in an hour (450)."""

    messages_per_day: Positive = 10_000
    """Messages one account may submit in a day (450)."""

    recipients_per_hour: Positive = 5_000
    """Recipients one account may address in an hour (450)."""

    recipients_per_day: Positive = 25_000
    """Recipients one account may address in a day (450)."""

    max_outbox_messages: Positive = 200_000
    """Messages waiting to leave; beyond it new submissions are put off (452)."""

    min_free_disk_bytes: Annotated[int, Field(ge=0)] = 1_000 * MB
    """Free disk below which new submissions are put off (452). 0 turns the check off."""


class SignInSettings(Section):
    """How passwords are checked and guessing is slowed down."""

    max_waiting: Positive = 64
    """Sign-ins that may wait for a free processor; the next one is put off (454)."""

    remembered_seconds: Annotated[int, Field(ge=0)] = 600
    """How long a successful sign-in is remembered, so that the next one costs nothing. 0 turns it off."""

    max_failures: Positive = 10
    """Wrong passwords from one network address, for one account, before further ones are put off."""

    max_failures_per_address: Positive = 100
    """Wrong passwords from one network address, for all accounts, before further ones are put off."""

    failure_seconds: Positive = 900
    """How long a wrong password counts."""

    told_failures_per_day: Positive = 20
    """Wrong passwords for one account in a day after which its holder gets a letter about them."""


class RouteSettings(Section):
    """Where the mail of one domain goes instead of to its MX hosts."""

    domain: Domain
    """The domain this route is for."""

    host: Annotated[str, Field(min_length=1)]
    """Host name or address of its server; the name its certificate must carry."""

    port: Annotated[int, Field(ge=1, le=HIGHEST_PORT)] = 25
    """Port of its server."""

    tls: Literal["verify", "encrypt", "opportunistic"] | None = None
    """`verify`: TLS with a certificate that holds. `encrypt`: TLS with any certificate.
    `opportunistic`: TLS if offered, never enough for a certified domain.
    Left out: `verify` for certified domains, `opportunistic` for others."""

    tls_ca_file: LocalPath | None = None
    """PEM file with the authorities of its certificate. Left out: that of `[relay]`."""


class RelaySettings(Section):
    """How mail leaves for other servers."""

    closed: bool = False
    """Nothing leaves but by the routes below, and to this machine alone; every other domain fails at once (5.1.2)."""

    connections_per_peer: Annotated[int, Field(ge=1, le=100)] = 4
    """Connections kept to one server at the same time."""

    tls_ca_file: LocalPath | None = None
    """PEM file with the authorities of other servers' certificates. Left out: those of the operating system."""

    first_retry_seconds: Positive = 15
    """Pause after a server puts a message off for the first time; each further time doubles it.
    One that cannot be reached is tried sooner, and gets all that waits for it as soon as it answers."""

    max_retry_seconds: Positive = 900
    """Longest pause between two attempts."""

    lease_seconds: Annotated[int, Field(ge=10, le=300)] = 300
    """How long a process that takes a message from the queue keeps it from the others."""

    receipt_days: Positive = 5
    """How long receipts and notices stay queued for a server that does not answer."""

    ordinary_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """How long ordinary recipients' copies stay queued for a server that does not answer; then the sender is told.
    24 hours at most (RFC 6109 2.2.2)."""

    routes: Annotated[tuple[RouteSettings, ...], Strict(False)] = ()
    """Domains that do not go by MX: one `[[relay.routes]]` table each. Read again on SIGHUP."""


class PolicySettings(Section):
    """What the provider decides for its holders where the rules leave it free."""

    ordinary_mail: Literal["wrap", "refuse", "folder"] = "wrap"
    """Mail that no provider signed: `wrap` it into an anomaly envelope, `refuse` it (550), or put the anomaly
    envelope into the `folder` Junk. Each box may decide otherwise (`ceralacca account policy`)."""

    notice_address: Address | None = None
    """Whom mail comes from that a box forwards. Left out: `postmaster@` and the provider's domain."""

    max_envelope_age_hours: Positive = 168
    """An envelope sealed longer ago than this is not believed; it is delivered as an anomaly."""

    max_envelope_ahead_minutes: Annotated[int, Field(ge=0)] = 60
    """An envelope whose time lies further ahead than this is not believed; it is delivered as an anomaly."""

    received_shows_address: bool = False
    """Whether the Received line of a submission shows the network address of the holder."""


class LogSettings(Section):
    """The technical log. The legal register is kept in the storage and has no settings."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important event that is written."""

    format: Literal["json", "console"] = "json"
    """One JSON object a line, or lines for a person."""

    file: LocalPath | None = None
    """File the log is appended to. Left out: standard error."""


class Settings(BaseSettings):
    """One provider."""

    model_config = SettingsConfigDict(
        strict=True, extra="forbid", frozen=True, env_prefix="CERALACCA_", env_nested_delimiter="__"
    )

    provider: ProviderSettings
    listen: ListenSettings = ListenSettings()
    tls: TlsSettings
    signing: SigningSettings
    trust: TrustSettings
    index: IndexSettings
    revocation: RevocationSettings = RevocationSettings()
    storage: StorageSettings = StorageSettings()
    limits: LimitSettings = LimitSettings()
    sign_in: SignInSettings = SignInSettings()
    mailboxes: MailboxSettings = MailboxSettings()
    notices: NoticeSettings = NoticeSettings()
    elsewhere: ElsewhereSettings = ElsewhereSettings()
    relay: RelaySettings = RelaySettings()
    deadlines: DeadlineSettings = DeadlineSettings()
    clock: ClockSettings = ClockSettings()
    policy: PolicySettings = PolicySettings()
    antivirus: AntivirusSettings = AntivirusSettings()
    authentication: AuthenticationSettings = AuthenticationSettings()
    dkim: DkimSettings = DkimSettings()
    clients: ClientSettings = ClientSettings()
    legal_register: RegisterSettings = RegisterSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing but what the caller hands in: ``config.load`` reads the environment it is given."""
        return (init_settings,)

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.limits.max_in_flight_bytes < self.limits.max_message_bytes:
            raise ValueError("limits.max_in_flight_bytes must hold at least one message of limits.max_message_bytes")
        if self.relay.max_retry_seconds < self.relay.first_retry_seconds:
            raise ValueError("relay.max_retry_seconds must not be less than relay.first_retry_seconds")
        domains = [route.domain for route in self.relay.routes]
        if len(domains) != len(set(domains)):
            raise ValueError("relay.routes names a domain twice")
        return self
