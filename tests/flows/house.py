"""Whole providers without sockets: real storage, keys, certificates and flows; the clock and the ids are counted."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from gateway.drivers.dialer import Target
from gateway.drivers.smtp_peer import Destination
from gateway.drivers.sources import legal_time
from gateway.drivers.tls import TlsPolicy
from gateway.drivers.transmission import Delivered, Outcome, Outgoing, Permanent, Stage
from gateway.flows.authenticate import Authenticate
from gateway.flows.effects import Lease, Leased
from gateway.flows.expire import ExpireFlow
from gateway.flows.inspection import Inspector
from gateway.flows.issue import Identity, Issuer
from gateway.flows.outcomes import Arrival, Holder, Peer, ReceiveOutcome, Refused, Submission, SubmitOutcome
from gateway.flows.receive import ReceiveFlow, ReceiveSettings
from gateway.flows.recipients import Recipients
from gateway.flows.relay import REFUSALS, Consignment, RelayFlow, RelaySettings, Sign
from gateway.flows.screening import Screening
from gateway.flows.submit import SubmitFlow, SubmitSettings
from gateway.points.ordinary import Ordinary
from gateway.points.timeouts import Deadlines
from gateway.storage import accounts, certified, content, domains, outbox, quarantine
from gateway.storage.accounts import Account, BoxKind, NewAccount
from gateway.storage.certified import CertifiedMessage
from gateway.storage.engine import Storage
from gateway.storage.outbox import OutboxRow
from gateway.storage.quarantine import Quarantined
from gateway.storage.register import RegisterRow
from gateway.storage.tables import messages
from gateway.storage.tables import register as register_table
from gateway.storage.values import instant
from providers.directory import Directory
from providers.sealing import Signer
from providers.standing import Standings
from receipts.identifiers import domain_of
from receipts.octets import InMemory, Octets
from tests.flows.credentials import ROME, START, credential, directory, trust
from tests.flows.reading import Certified

__all__ = [
    "CLEAR",
    "CLIENT",
    "LEASE",
    "SERVER",
    "CountedIds",
    "HandClock",
    "Network",
    "Post",
    "Provider",
    "Stored",
    "original",
]

LEASE = Lease("node-1", timedelta(minutes=5))
CLIENT = Peer(address="192.0.2.7", port=50_000, tls=True, helo="laptop")
SERVER = Peer(address="192.0.2.25", port=40_000, tls=True, helo="mx.example")
CLEAR = Peer(address="192.0.2.25", port=40_000, tls=False, helo="mx.example")


@dataclass
class HandClock:
    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        """Let time go by, as it does: whatever the clocks on the wall do meanwhile."""
        self.at = legal_time(self.at.astimezone(UTC) + timedelta(**time), ROME)


@dataclass
class CountedIds:
    """Tokens that say whose they are and which."""

    owner: str
    last: int = 0

    def token(self) -> str:
        self.last += 1
        return f"{self.owner.encode().hex()[:8]:0<8}{self.last:024x}"


def original(
    to: Sequence[str] = ("bruno@beta.example",),
    cc: Sequence[str] = (),
    *,
    sender: str = "anna@alfa.example",
    msgid: str | None = "<17@client.example>",
    subject: str = "Perizia",
    extra: str = "",
    body: bytes = b"In allegato la perizia.\r\n",
) -> bytes:
    """A message as a mail program writes it; ``extra`` are further header lines."""
    lines = [
        f"From: Anna Bianchi <{sender}>",
        f"To: {', '.join(to)}",
        *([f"Cc: {', '.join(cc)}"] if cc else []),
        f"Subject: {subject}",
        *([f"Message-ID: {msgid}"] if msgid else []),
        "Date: Mon, 2 Mar 2026 09:29:00 +0100",
        *filter(None, extra.split("\r\n")),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


@dataclass(frozen=True)
class Stored:
    """A message in a mailbox."""

    folder: str
    kind: str
    raw: bytes
    pec_msgid: str | None

    @property
    def certified(self) -> Certified:
        """Without the Return-Path that storing prepends, and our Received line."""
        return Certified(self.raw)


@dataclass(frozen=True)
class Post:
    """A message in the outbox."""

    row: OutboxRow
    raw: bytes

    @property
    def certified(self) -> Certified:
        return Certified(self.raw)


class Provider:
    """One provider with the accounts anna, bruno and carla and a service mailbox."""

    standings: Callable[[], Standings] | None = None  # of certificates; to be set before ``wire``
    waits_for_standing = False

    def __init__(
        self,
        domain: str,
        storage: Storage,
        clock: HandClock | None = None,
        *,
        index: Callable[[], Directory] = directory,
        signer: Signer | None = None,
        max_total_bytes: int = 30_000_000,
        screening: Screening | None = None,
        twin_of: "Provider | None" = None,
    ) -> None:
        """``twin_of``: another process of that provider."""
        own = credential(domain)
        self.domain, self.storage, self.service_address = domain, storage, own.service_address
        self.clock: HandClock = clock or (twin_of.clock if twin_of else HandClock())
        self.ids: CountedIds = twin_of.ids if twin_of else CountedIds(domain)
        self.index = index
        self.authenticate: Authenticate | None = None
        self.identity = Identity(name=own.name, domain=domain, service_address=own.service_address)
        self.leaving: list[Leased] = []
        self.screening = screening
        self.issuer = Issuer(self.identity, signer or own.signer, self.ids)
        self.submit_settings = SubmitSettings(
            host=f"mx.{domain}",
            max_total_bytes=max_total_bytes,
            show_address=False,
            lease=LEASE,
            ordinary_expiry=timedelta(hours=24),
        )
        self.receive_settings = ReceiveSettings(
            host=f"mx.{domain}",
            ordinary_mail=Ordinary.WRAP,
            notice_address=f"postmaster@{domain}",
            authserv_id=domain,
            max_envelope_age=timedelta(days=7),
            max_envelope_ahead=timedelta(hours=1),
            receipt_expiry=timedelta(days=5),
            lease=LEASE,
        )
        self.wire()
        people = twin_of.people if twin_of else self.storage.write_now(self._populate)
        self.people: dict[str, Account] = people

    def wire(self) -> None:
        """Make the flows, with what the provider has now."""
        shared = {"storage": self.storage, "clock": self.clock, "ids": self.ids, "handover": self.leaving.extend}
        self.submit = SubmitFlow(
            **shared,  # type: ignore[arg-type]
            directory=lambda: self.index(),
            issuer=self.issuer,
            settings=self.submit_settings,
            screening=self.screening,
        )
        self.receive = ReceiveFlow(
            **shared,  # type: ignore[arg-type]
            inspector=Inspector(
                trust(), lambda: self.index(), standings=self.standings, wait_for_standing=self.waits_for_standing
            ),
            issuer=self.issuer,
            settings=self.receive_settings,
            screening=self.screening,
            authenticate=self.authenticate,
        )
        self.check_recipient = Recipients(
            self.storage, lambda: self.index(), self.clock, self.receive_settings.ordinary_mail
        )
        self.expire = ExpireFlow(
            storage=self.storage,
            issuer=self.issuer,
            clock=self.clock,
            ids=self.ids,
            lease=LEASE,
            deadlines=Deadlines(),
        )

    def _populate(self, connection: Connection) -> dict[str, Account]:
        for name in {self.domain, domain_of(self.service_address)}:
            domains.add_domain(connection, name, START)
        people = {
            name: accounts.add_account(connection, NewAccount(address=f"{name}@{self.domain}", at=START))
            for name in ("anna", "bruno", "carla")
        }
        service = NewAccount(address=self.service_address, at=START, kind=BoxKind.SERVICE)
        return people | {"posta-certificata": accounts.add_account(connection, service)}

    def address(self, name: str) -> str:
        return f"{name}@{self.domain}"

    def alias(self, address: str, name: str) -> None:
        box = self.people[name].mailbox_id
        self.storage.write_now(lambda connection: accounts.add_alias(connection, address, box, START))

    def holder(self, name: str) -> Holder:
        account = self.people[name]
        own = self.storage.read_now(lambda connection: accounts.addresses_of(connection, account.mailbox_id))
        return Holder(
            account_id=account.id,
            mailbox_id=account.mailbox_id,
            address=account.address,
            addresses=own,
            may_submit=account.kind is BoxKind.USER,
        )

    async def hand_in(
        self,
        raw: bytes | Octets,
        *to: str,
        sender: str = "anna",
        reverse_path: str | None = None,
        peer: Peer = CLIENT,
    ) -> SubmitOutcome:
        """What the submission server does with a message that came in."""
        return await self.submit(
            Submission(
                holder=self.holder(sender),
                reverse_path=reverse_path or self.address(sender),
                forward_paths=to or ("bruno@beta.example",),
                message=_octets(raw),
                peer=peer,
            )
        )

    async def arrive(
        self, raw: bytes | Octets, *to: str, reverse_path: str = "anna@alfa.example", peer: Peer = SERVER
    ) -> ReceiveOutcome:
        """What port 25 does with a message that came in."""
        return await self.receive(
            Arrival(
                reverse_path=reverse_path, forward_paths=to or ("bruno@beta.example",), message=_octets(raw), peer=peer
            )
        )

    def mailbox(self, name: str) -> list[Stored]:
        """The messages of a mailbox in order of arrival; "operator" is that of postmaster."""

        def look(connection: Connection) -> list[Stored]:
            box = accounts.operator_mailbox(connection) if name == "operator" else None
            box_id = box.id if box is not None else self.people[name].mailbox_id
            rows = connection.execute(select(messages).where(messages.c.mailbox_id == box_id).order_by(messages.c.uid))
            return [
                Stored(row.folder, row.kind, content.load(connection, row.body_id).read(), row.pec_msgid)
                for row in rows
            ]

        return self.storage.read_now(look)

    def kinds(self, name: str) -> list[str]:
        return [stored.kind for stored in self.mailbox(name)]

    def outbox(self) -> list[Post]:
        """What waits to be relayed, in the order in which it was issued."""

        def look(connection: Connection) -> list[Post]:
            rows = sorted(outbox.list_rows(connection), key=lambda row: row.id)
            return [Post(row, content.load(connection, row.body_id).read()) for row in rows]

        return self.storage.read_now(look)

    def register(self) -> list[RegisterRow]:
        """All of the register."""

        def look(connection: Connection) -> list[RegisterRow]:
            found = connection.execute(select(register_table).order_by(register_table.c.id)).mappings()
            return [_register_row({**row}) for row in found]

        return self.storage.read_now(look)

    def events(self) -> list[tuple[str, str | None]]:
        return [(row.event, row.detail) for row in self.register()]

    def sent(self, pec_msgid: str) -> CertifiedMessage:
        found = self.storage.read_now(lambda connection: certified.find_message(connection, pec_msgid))
        assert found is not None
        return found

    def states(self, pec_msgid: str) -> dict[str, str]:
        return {recipient.address: recipient.state.value for recipient in self.sent(pec_msgid).recipients}

    def quarantined(self) -> list[tuple[Quarantined, bytes]]:
        """The virus store, newest first, with the bytes."""

        def look(connection: Connection) -> list[tuple[Quarantined, bytes]]:
            return [
                (kept, quarantine.load(connection, kept).read()) for kept in quarantine.listed(connection, limit=100)
            ]

        return self.storage.read_now(look)

    def is_untouched(self) -> bool:
        """Whether nothing was kept: no message, no row that waits, nothing registered."""
        return not (self.outbox() or self.register() or self.leaving or any(map(self.mailbox, self.people)))


class Network:
    """Providers that carry their mail to each other until all is quiet; ``ordinary`` keeps what leaves for others."""

    def __init__(self, *providers: Provider) -> None:
        self.by_domain = {provider.domain: provider for provider in providers}
        self.by_domain |= {domain_of(provider.service_address): provider for provider in providers}
        self.providers = providers
        self.transactions: list[tuple[str, Outgoing]] = []  # every SMTP transaction, with its domain
        self.ordinary: list[Outgoing] = []
        self.sign: Sign | None = None  # what leaves for them is signed so
        self.refused: set[str] = set()  # addresses of ordinary servers that exist no longer
        self.relays = {provider.domain: self.relay(provider) for provider in providers}

    def relay(self, provider: Provider) -> RelayFlow:
        return RelayFlow(
            storage=provider.storage,
            find=self._find,
            send=self._send,
            receive=provider.receive,
            issuer=provider.issuer,
            clock=provider.clock,
            ids=provider.ids,
            handover=provider.leaving.extend,
            settings=RelaySettings(host=f"mx.{provider.domain}", lease=LEASE),
            sign=self._signed,
        )

    async def carry(self, *, rounds: int = 20) -> None:
        """Relay everything that leaves, and what that makes leave."""
        for _ in range(rounds):
            if not await self.step():
                return
        raise AssertionError("the network does not come to rest")

    async def step(self) -> bool:
        """Relay what leaves now; whether there was anything."""
        work = [consignment for provider in self.providers for consignment in self._consignments(provider)]
        for provider, consignment in work:
            await self.relays[provider.domain](consignment)
        return bool(work)

    def _consignments(self, provider: Provider) -> Iterable[tuple[Provider, Consignment]]:
        groups: dict[tuple[int, str, str], list[Leased]] = {}
        for leased in provider.leaving:
            groups.setdefault((leased.row.body_id, leased.row.reverse_path, leased.row.domain), []).append(leased)
        provider.leaving.clear()
        for (_, _, domain), group in groups.items():
            rows = tuple(leased.row for leased in group)
            local = self.by_domain.get(domain) is provider
            yield provider, Consignment(rows, local, group[0].message)

    async def _signed(self, message: Octets, body_id: int, at: datetime) -> Octets:
        return message if self.sign is None else await self.sign(message, body_id, at)

    async def _find(self, domain: str, *, certified: bool) -> Destination:
        return Destination((Target(domain, 25),), TlsPolicy.VERIFY)

    async def _send(self, destination: Destination, outgoing: Outgoing) -> Sequence[Outcome]:
        domain = destination.targets[0].host
        self.transactions.append((domain, outgoing))
        peer = self.by_domain.get(domain)
        if peer is None:
            self.ordinary.append(outgoing)
            gone = Permanent("5.1.1", "no such user", Stage.RECIPIENT, 550)
            return [gone if path in self.refused else Delivered() for path in outgoing.forward_paths]
        answer = await peer.receive(
            Arrival(
                reverse_path=outgoing.reverse_path,
                forward_paths=outgoing.forward_paths,
                message=Octets.whole(InMemory.of(outgoing.message.read())),
                peer=SERVER,
            )
        )
        outcome: Outcome = Delivered()
        if isinstance(answer, Refused):
            outcome = REFUSALS[answer.why]
            assert isinstance(outcome, Permanent)
        return [outcome] * len(outgoing.forward_paths)


def _register_row(values: dict[str, Any]) -> RegisterRow:
    del values["hash"]
    values["at"] = instant(values["at"])
    for name in ("recipients", "related"):
        values[name] = tuple(json.loads(values[name]))
    return RegisterRow(**values)


def _octets(raw: bytes | Octets) -> Octets:
    return raw if isinstance(raw, Octets) else Octets.whole(InMemory.of(raw))
