"""A provider without sockets: real storage, seal and outbox; the peers, the DNS and the incoming point are fakes."""

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.drivers.dialer import Target
from gateway.drivers.signers import SoftwareSigner
from gateway.drivers.smtp_client import Destination
from gateway.drivers.tls import TlsPolicy
from gateway.drivers.transmission import Delivered, Outcome, Outgoing, Permanent, Temporary
from gateway.flows.effects import Effects, Lease, Leased
from gateway.flows.issue import Identity, Issuer
from gateway.flows.outcomes import Arrival, ReceiveOutcome, Taken
from gateway.flows.relay import Consignment, RelayFlow, RelaySettings
from gateway.lab.authority import Authority
from gateway.points.tracking import RecipientState
from gateway.storage import accounts, certified, content, domains, mailboxes, outbox, register
from gateway.storage.certified import CertifiedMessage, NewCertifiedMessage, NewRecipient
from gateway.storage.engine import Storage
from gateway.storage.outbox import OutboxRow
from gateway.storage.register import RegisterRow
from gateway.workers.relay import RelayLimits, RelayWorker
from receipts.facts import CertificationData, Recipient
from receipts.identifiers import domain_of
from receipts.octets import Octets
from receipts.wire import CertificationType, MessageKind, ReceiptForm, RecipientKind

START = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
LEASE = Lease("node-1", timedelta(minutes=5))
SENDER = "anna@alfa.example"
MSGID = "<17@client.example>"
PEC_MSGID = "0123456789abcdef0123456789abcdef@alfa.example"
ENVELOPE = Octets.of(b"Subject: POSTA CERTIFICATA: prova\r\nTo: x\r\n\r\nbody\r\n")


@dataclass
class HandClock:
    at: datetime = START

    def now(self) -> datetime:
        return self.at


@dataclass
class CountedIds:
    last: int = 0

    def token(self) -> str:
        self.last += 1
        return f"{self.last:032x}"


@dataclass
class Peers:
    """Takes everything but what stands in ``answers``, by forward path; counts and keeps what it got."""

    answers: dict[str, Outcome] = field(default_factory=dict)
    routes: dict[str, Temporary | Permanent] = field(default_factory=dict)
    sent: list[Outgoing] = field(default_factory=list)
    gate: asyncio.Event | None = None
    shut: set[str] = field(default_factory=set)  # domains that never answer
    active: int = 0
    most_active: int = 0

    async def find(self, domain: str, *, certified: bool) -> Destination | Temporary | Permanent:
        return self.routes.get(domain) or Destination((Target(f"mx.{domain}", 25),), TlsPolicy.VERIFY)

    async def send(self, destination: Destination, outgoing: Outgoing) -> Sequence[Outcome]:
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if domain_of(outgoing.forward_paths[0]) in self.shut:
                await asyncio.Event().wait()
            self.sent.append(outgoing)
            return [self.answers.get(path, Delivered("2.0.0 kept")) for path in outgoing.forward_paths]
        finally:
            self.active -= 1


@dataclass
class Incoming:
    """The receive flow's stand-in."""

    answer: ReceiveOutcome | Exception = field(default_factory=Taken)
    arrivals: list[Arrival] = field(default_factory=list)

    async def __call__(self, arrival: Arrival) -> ReceiveOutcome:
        self.arrivals.append(arrival)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@functools.cache
def signer() -> SoftwareSigner:
    authority = Authority.create([("Alfa PEC", "alfa.example")], START)
    return authority.provider_certificate("Alfa PEC", "posta-certificata@alfa.example").signer()


class House:
    """``working``: the worker is given what the flow commits, as in a whole provider."""

    def __init__(self, storage: Storage, limits: RelayLimits | None = None, *, working: bool = True) -> None:
        self.working = working
        self.storage = storage
        self.clock, self.ids, self.peers, self.incoming = HandClock(), CountedIds(), Peers(), Incoming()
        identity = Identity(name="Alfa PEC", domain="alfa.example", service_address="posta-certificata@alfa.example")
        self.flow = RelayFlow(
            storage=storage,
            find=self.peers.find,
            send=self.peers.send,
            receive=self.incoming,
            issuer=Issuer(identity, signer(), self.ids),
            clock=self.clock,
            ids=self.ids,
            handover=self.handover,
            settings=RelaySettings(host="mx.alfa.example", lease=LEASE),
        )
        self.worker = RelayWorker(
            storage=storage,
            relay=self.flow,
            clock=self.clock,
            lease=LEASE,
            is_local=lambda domain: domain == "alfa.example",
            limits=limits,
        )
        self.handed: list[Leased] = []
        storage.write_now(lambda connection: domains.add_domain(connection, "alfa.example", START))
        account = storage.write_now(
            lambda connection: accounts.add_account(connection, accounts.NewAccount(address=SENDER, at=START))
        )
        self.account_id, self.mailbox_id = account.id, account.mailbox_id

    def handover(self, leased: Sequence[Leased]) -> None:
        self.handed.extend(leased)
        if self.working:
            self.worker.handover(leased)

    async def waiting(
        self,
        *paths: str,
        kind: str = MessageKind.ENVELOPE,
        certified: bool = True,
        reverse_path: str = SENDER,
        message: Octets = ENVELOPE,
        expires_at: datetime | None = None,
        pec_msgid: str | None = PEC_MSGID,
    ) -> tuple[Leased, ...]:
        """Rows as a flow commits them, leased to this process."""
        effects = Effects(at=self.clock.now(), ids=self.ids)
        about = None if pec_msgid is None else _about(pec_msgid, paths, effects.at)
        for path in paths:
            effects.send(
                message,
                kind=kind,
                reverse_path=reverse_path,
                forward_path=path,
                certified=certified,
                about=about,
                expires_at=expires_at,
            )
        kept = await self.storage.write(lambda connection: effects.perform(connection, LEASE))
        return kept.leased

    async def accepted(self, *recipients: str, external: Sequence[str] = ()) -> None:
        """The certified message that the envelopes belong to."""
        new = [
            NewRecipient(
                address=address,
                kind=RecipientKind.EXTERNAL if address in external else RecipientKind.CERTIFIED,
                role="to",
                provider=None,
                state=RecipientState.EXTERNAL if address in external else RecipientState.ACCEPTED,
            )
            for address in (*recipients, *external)
        ]

        def keep(connection: object) -> None:
            body = content.save(connection, ENVELOPE, START)  # type: ignore[arg-type]
            certified.add_message(
                connection,  # type: ignore[arg-type]
                NewCertifiedMessage(
                    pec_msgid=PEC_MSGID,
                    msgid=MSGID,
                    account_id=self.account_id,
                    sender=SENDER,
                    reply_to=SENDER,
                    subject="prova",
                    receipt_form=ReceiptForm.COMPLETE,
                    at=START,
                    original_body_id=body,
                    envelope_body_id=body,
                    recipients=tuple(new),
                ),
            )

        await self.storage.write(keep)

    async def relay(self, leased: Sequence[Leased], *, local: bool = False) -> None:
        await self.flow(Consignment(tuple(each.row for each in leased), local, leased[0].message))

    async def rows(self) -> list[OutboxRow]:
        return await self.storage.read(lambda connection: outbox.list_rows(connection))

    async def register(self) -> list[RegisterRow]:
        return await self.storage.read(lambda connection: register.rows_about(connection, PEC_MSGID))

    async def sent(self) -> CertifiedMessage:
        found = await self.storage.read(lambda connection: certified.find_message(connection, PEC_MSGID))
        assert found is not None
        return found

    async def mailbox(self) -> list[tuple[str, bytes]]:
        """Kind and bytes of each message of the sender."""

        def look(connection: object) -> list[tuple[str, bytes]]:
            return [
                (found.kind, content.load(connection, found.body_id).read())  # type: ignore[arg-type]
                for found in mailboxes.pop3_listing(connection, self.mailbox_id)  # type: ignore[arg-type]
            ]

        return await self.storage.read(look)


def _about(pec_msgid: str, paths: Sequence[str], at: datetime) -> CertificationData:
    """What the messages that wait are about."""
    return CertificationData(
        type=CertificationType.ENVELOPE,
        sender=SENDER,
        recipients=tuple(Recipient(address=path, kind=RecipientKind.CERTIFIED) for path in paths),
        reply_to=SENDER,
        subject="Perizia",
        provider="Alfa PEC",
        at=at,
        pec_msgid=pec_msgid,
        msgid="<17@client.example>",
    )
