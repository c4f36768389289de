"""One waiting message, for the recipients of one destination: carried there, and its rows brought on (D8 to D10)."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from gateway.drivers.smtp_client import Destination
from gateway.drivers.sources import Clock, Ids
from gateway.drivers.transmission import Delivered, Outcome, Outgoing, Permanent, Stage, Temporary
from gateway.flows.bounce import bounce
from gateway.flows.closings import Closings
from gateway.flows.effects import Effects, Handover, Lease, Leased, stored_form
from gateway.flows.issue import Issuer
from gateway.flows.outcomes import Arrival, Peer, Receive, Refusal, Refused
from gateway.points.relay import EXPIRED, Consequence, consequence, error_kind, may_expire, pause, reason
from gateway.points.tracking import CHANGES
from gateway.storage import accounts, certified, content, outbox
from gateway.storage.certified import CertifiedMessage
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import ORDINARY
from gateway.storage.outbox import OutboxRow
from gateway.storage.register import Event, RegisterEntry
from receipts.errors import TemporaryError
from receipts.facts import CertificationData, Recipient
from receipts.octets import Octets
from receipts.wire import CertificationType, MessageKind

__all__ = ["Consignment", "FindDestination", "RelayFlow", "RelaySettings", "Send"]

log = logging.getLogger(__name__)

Send = Callable[[Destination, Outgoing], Awaitable[Sequence[Outcome]]]

REFUSALS: Mapping[Refusal, Outcome] = {
    Refusal.UNKNOWN_RECIPIENT: Permanent("5.1.1", "no mailbox by this name", Stage.RECIPIENT, 550),
    Refusal.INFECTED: Permanent("5.7.1", "infected", Stage.CONTENT, 554),
    Refusal.LOOP: Permanent("5.4.6", "too many hops", Stage.CONTENT, 554),
    Refusal.POLICY: Permanent("5.7.1", "ordinary mail is not taken here", Stage.CONTENT, 550),
    Refusal.MAILBOX_FULL: Temporary("4.2.2", "mailbox full", Stage.CONTENT, 452),
}
"""What the receive flow's refusals are to a message that reaches it without a socket."""

PASSING = "temporary trouble here"


class FindDestination(Protocol):
    """The part of ``MailResolver`` that the flow needs."""

    async def __call__(self, domain: str, *, certified: bool) -> Destination | Temporary | Permanent: ...


@dataclass(frozen=True, slots=True)
class Consignment:
    """Rows of one message that share reverse path and destination, leased to this process."""

    rows: tuple[OutboxRow, ...]
    local: bool  # for recipients of this provider
    message: Octets | None = None  # None: still to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    host: str  # our host name
    lease: Lease


class RelayFlow:
    """Takes one consignment as far as it gets now. Never raises for anything a peer does."""

    def __init__(
        self,
        *,
        storage: Storage,
        find: FindDestination,
        send: Send,
        receive: Receive,
        issuer: Issuer,
        clock: Clock,
        ids: Ids,
        handover: Handover,
        settings: RelaySettings,
    ) -> None:
        self._storage = storage
        self._find = find
        self._send = send
        self._receive = receive
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._settings = settings
        self._closings = Closings(storage, settings.lease.owner)

    async def __call__(self, consignment: Consignment) -> None:
        """Carry the message and bring its rows on: gone, postponed, or failed with what follows from it.

        Raises:
            TemporaryError: the database or the key failed; rows not yet brought on stay leased until that ends.
        """
        first = consignment.rows[0]
        message = consignment.message
        if message is None:
            message = await self._storage.read(lambda connection: content.load(connection, first.body_id))
        outgoing = Outgoing(
            reverse_path=first.reverse_path,
            forward_paths=tuple(row.forward_path for row in consignment.rows),
            message=message,
        )
        outcomes = await (self._hand_in(outgoing) if consignment.local else self._carry(first, outgoing))
        await self._settle(consignment.rows, outcomes, message)

    async def _carry(self, first: OutboxRow, outgoing: Outgoing) -> Sequence[Outcome]:
        destination = await self._find(first.domain, certified=first.certified)
        if isinstance(destination, Destination):
            return await self._send(destination, outgoing)
        return (destination,) * len(outgoing.forward_paths)

    async def _hand_in(self, outgoing: Outgoing) -> Sequence[Outcome]:
        """To recipients of this provider: the same full path, without the socket (EN-16)."""
        arrival = Arrival(
            reverse_path=outgoing.reverse_path,
            forward_paths=outgoing.forward_paths,
            message=outgoing.message,
            peer=Peer(address="127.0.0.1", port=0, tls=True, helo=self._settings.host),
        )
        outcome: Outcome = Delivered()
        try:
            answer = await self._receive(arrival)
        except TemporaryError as error:
            log.warning("handing in a message failed for now", exc_info=error)
            outcome = Temporary("4.3.0", PASSING, Stage.CONTENT, 451)
        except Exception:
            log.exception("handing in a message failed")
            outcome = Temporary("4.3.0", PASSING, Stage.CONTENT, 451)
        else:
            if isinstance(answer, Refused):
                outcome = REFUSALS[answer.why]
        return (outcome,) * len(outgoing.forward_paths)

    async def _settle(self, rows: Sequence[OutboxRow], outcomes: Sequence[Outcome], message: Octets) -> None:
        at = self._clock.now()
        taken: list[OutboxRow] = []
        later: list[tuple[OutboxRow, Temporary, datetime]] = []
        failed: list[tuple[OutboxRow, Permanent]] = []
        for row, outcome in zip(rows, outcomes, strict=True):
            if isinstance(outcome, Delivered):
                taken.append(row)
            elif isinstance(outcome, Permanent):
                failed.append((row, outcome))
            else:
                due = at + self._pause(row, outcome)
                if self._expires(row, due):
                    failed.append((row, Permanent(EXPIRED, outcome.text, outcome.stage, outcome.code)))
                else:
                    later.append((row, outcome, due))
        if taken:
            first = next(outcome for outcome in outcomes if isinstance(outcome, Delivered))
            await self._closings.close([row.id for row in taken], _relayed(taken, first.text, at))
        if later:
            await self._postpone(later, at)
        for row, permanent in failed:
            await self._fail(row, permanent, message)

    def _pause(self, row: OutboxRow, outcome: Temporary) -> timedelta:
        chance = int(self._ids.token()[:8], 16) / 0xFFFFFFFF
        return pause(row.attempts, chance, reached=outcome.stage not in (Stage.ROUTE, Stage.CONNECT))

    def _expires(self, row: OutboxRow, due: datetime) -> bool:
        return row.expires_at is not None and due >= row.expires_at and may_expire(row.kind, certified=row.certified)

    async def _postpone(self, later: Sequence[tuple[OutboxRow, Temporary, datetime]], at: datetime) -> None:
        owner = self._settings.lease.owner
        effects = Effects(at=at, ids=self._ids)
        for row, outcome, due in later:
            fields = _fields(row, outcome) | {"attempts": row.attempts + 1, "again_at": due}
            if outcome.stage is Stage.TLS:
                log.error("no secure channel to a peer", extra=fields)
                if row.attempts == 0:
                    effects.register(_entry(Event.ALARM, row, at, f"no secure channel: {outcome.text}"))
            else:
                log.info("relay postponed", extra=fields)

        def keep(connection: Connection) -> None:
            for row, outcome, due in later:
                outbox.postpone(connection, row.id, owner, due, _said(outcome))
            effects.perform(connection, self._settings.lease)

        await self._storage.write(keep)

    async def _fail(self, row: OutboxRow, outcome: Permanent, message: Octets) -> None:
        what = consequence(row.kind, certified=row.certified, reverse_path=row.reverse_path)
        log.log(
            logging.ERROR if what is Consequence.ALARM else logging.INFO,
            "relay failed",
            extra=_fields(row, outcome) | {"consequence": what.name.lower()},
        )
        if what is Consequence.NOTICE:
            await self._notify(row, outcome)
        elif what is Consequence.BOUNCE:
            await self._bounce(row, outcome, message)
        else:
            effects = Effects(at=self._clock.now(), ids=self._ids)
            effects.register(_entry(Event.FAILURE, row, effects.at, _said(outcome)))
            effects.register(_entry(Event.ALARM, row, effects.at, f"{row.kind} can never be delivered"))
            await self._end(row, effects)

    async def _notify(self, row: OutboxRow, outcome: Permanent) -> None:
        """T10, the state of the recipient and the end of the row, in one commit (D8, D9)."""

        def look(connection: Connection) -> tuple[CertifiedMessage | None, int | None]:
            box = accounts.mailbox_of(connection, row.reverse_path)
            found = certified.find_message(connection, row.pec_msgid) if row.pec_msgid is not None else None
            return found, None if box is None else box.id

        sent, mailbox_id = await self._storage.read(look)
        at = self._clock.now()
        said = _said(outcome)
        late = Effects(at=at, ids=self._ids)
        late.register(_entry(Event.FAILURE, row, at, said, sent))
        effects = Effects(at=at, ids=self._ids)
        effects.register(_entry(Event.FAILURE, row, at, said, sent))
        if sent is not None and mailbox_id is not None:
            self._file_notice(effects, row, outcome, sent, mailbox_id)
        else:
            effects.register(_entry(Event.ALARM, row, at, "nobody to tell of a failure", sent))
        to, from_states = CHANGES[MessageKind.NON_DELIVERY]
        owner = self._settings.lease.owner

        def keep(connection: Connection) -> tuple[Leased, ...]:
            if not outbox.settle(connection, row.id, owner):
                return ()
            first = row.pec_msgid is not None and certified.advance(
                connection, row.pec_msgid, row.forward_path, to, at, from_states=from_states, detail=said
            )
            return (effects if first else late).perform(connection, self._settings.lease).leased

        self._handover(await self._storage.write(keep, size=effects.size))

    def _file_notice(
        self, effects: Effects, row: OutboxRow, outcome: Permanent, sent: CertifiedMessage, mailbox_id: int
    ) -> None:
        identity = self._issuer.identity
        explained = reason(outcome.status, identity.name)
        data = CertificationData(
            type=CertificationType.NON_DELIVERY,
            error=error_kind(outcome.status, routed=outcome.stage is not Stage.ROUTE, code=outcome.code),
            sender=sent.sender,
            recipients=tuple(Recipient(address=each.address, kind=each.kind) for each in sent.recipients),
            reply_to=sent.reply_to,
            subject=sent.subject,
            provider=identity.name,
            at=effects.at,
            pec_msgid=sent.pec_msgid,
            msgid=sent.msgid,
            delivered_to=row.forward_path,
            error_text=explained.italian,
        )
        issued = self._issuer.non_delivery(data, (explained,))
        effects.file(
            mailbox_id,
            stored_form(issued.message, identity.service_address),
            kind=issued.kind,
            reverse_path=identity.service_address,
            pec_msgid=sent.pec_msgid,
        )
        effects.register(_entry(Event.EMISSION, row, effects.at, issued.kind, sent, (issued.message_id,)))

    async def _bounce(self, row: OutboxRow, outcome: Permanent, message: Octets) -> None:
        """RFC 3464, to the sender by way of the receive flow, like all ordinary mail: so it waits in the outbox."""
        effects = Effects(at=self._clock.now(), ids=self._ids)
        identity = self._issuer.identity
        explained = reason(outcome.status, identity.name)
        notification = bounce(
            message,
            at=effects.at,
            host=self._settings.host,
            postmaster=f"postmaster@{identity.domain}",
            sender=row.reverse_path,
            recipient=row.forward_path,
            status=outcome.status,
            explanation=(explained.italian, explained.english),
            diagnostic=_said(outcome),
            arrived=row.created_at,
            token=self._ids.token(),
        )
        effects.send(
            notification,
            kind=ORDINARY,
            reverse_path="",
            forward_path=row.reverse_path,
            certified=True,
            pec_msgid=None,
            expires_at=None,
        )
        effects.register(_entry(Event.FAILURE, row, effects.at, _said(outcome)))
        await self._end(row, effects)

    async def _end(self, row: OutboxRow, effects: Effects) -> None:
        """Remove the row and perform the effects, unless it is no longer ours."""

        def keep(connection: Connection) -> tuple[Leased, ...]:
            if not outbox.settle(connection, row.id, self._settings.lease.owner):
                return ()
            return effects.perform(connection, self._settings.lease).leased

        self._handover(await self._storage.write(keep, size=effects.size))


def _said(outcome: Temporary | Permanent) -> str:
    return f"{outcome.code} {outcome.text}" if outcome.code else f"{outcome.status} {outcome.text}"


def _relayed(rows: Sequence[OutboxRow], text: str, at: datetime) -> RegisterEntry:
    return RegisterEntry(
        event=Event.RELAY,
        at=at,
        pec_msgid=rows[0].pec_msgid,
        sender=rows[0].reverse_path,
        recipients=tuple(row.forward_path for row in rows),
        detail=f"{rows[0].kind}: {text}" if text else rows[0].kind,
    )


def _entry(
    event: Event,
    row: OutboxRow,
    at: datetime,
    detail: str,
    sent: CertifiedMessage | None = None,
    related: tuple[str, ...] = (),
) -> RegisterEntry:
    return RegisterEntry(
        event=event,
        at=at,
        pec_msgid=row.pec_msgid,
        msgid=None if sent is None else sent.msgid,
        sender=row.reverse_path,
        recipients=(row.forward_path,),
        subject=None if sent is None else sent.subject,
        related=related,
        detail=detail,
    )


def _fields(row: OutboxRow, outcome: Temporary | Permanent) -> dict[str, object]:
    return {
        "row": row.id,
        "kind": row.kind,
        "domain": row.domain,
        "pec_msgid": row.pec_msgid,
        "status": outcome.status,
        "code": outcome.code,
        "stage": outcome.stage.name.lower(),
        "reply": outcome.text,
    }
