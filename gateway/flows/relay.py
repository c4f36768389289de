"""One waiting message, for the recipients of one destination: carried there, and its rows brought on (D8 to D10)."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from gateway.drivers.smtp_client import Destination
from gateway.drivers.sources import Clock, Ids
from gateway.drivers.transmission import Delivered, Outcome, Outgoing, Permanent, Stage, Temporary
from gateway.flows.closings import Closings
from gateway.flows.effects import Effects, Handover, Lease
from gateway.flows.issue import Issuer
from gateway.flows.outages import Outages
from gateway.flows.outcomes import Arrival, Peer, Receive, Refusal, Refused
from gateway.flows.undeliverable import Undeliverable, entry, fields, said
from gateway.points.relay import EXPIRED, Pauses, may_expire, pause
from gateway.storage import content, outbox
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import ORDINARY
from gateway.storage.outbox import OutboxRow
from gateway.storage.register import Event, RegisterEntry
from receipts.errors import TemporaryError
from receipts.octets import Octets
from receipts.records import record

__all__ = ["Consignment", "FindDestination", "RelayFlow", "RelaySettings", "Send", "Sign"]

log = logging.getLogger(__name__)

Send = Callable[[Destination, Outgoing], Awaitable[Sequence[Outcome]]]
Sign = Callable[[Octets, int, datetime], Awaitable[Octets]]
"""Message, the id of its body, instant -> the message with a DKIM signature in front."""

REFUSALS: Mapping[Refusal, Outcome] = {
    Refusal.UNKNOWN_RECIPIENT: Permanent("5.1.1", "no mailbox by this name", Stage.RECIPIENT, 550),
    Refusal.INFECTED: Permanent("5.7.1", "infected", Stage.CONTENT, 554),
    Refusal.LOOP: Permanent("5.4.6", "too many hops", Stage.CONTENT, 554),
    Refusal.POLICY: Permanent("5.7.1", "ordinary mail is not taken here", Stage.CONTENT, 550),
    Refusal.MAILBOX_FULL: Temporary("4.2.2", "mailbox full", Stage.CONTENT, 452),
}
"""What the receive flow's refusals are to a message that reaches it without a socket."""

PASSING = "temporary trouble here"
BROUGHT_FORWARD = 1_000
"""Rows that are tried at once, of those that wait, when a peer can be reached again."""


class FindDestination(Protocol):
    """The part of ``MailResolver`` that the flow needs."""

    async def __call__(self, domain: str, *, certified: bool) -> Destination | Temporary | Permanent: ...


@record()
class Consignment:
    """Rows of one message that share reverse path and destination, leased to this process."""

    rows: tuple[OutboxRow, ...]
    local: bool  # for recipients of this provider
    message: Octets | None = None  # None: still to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    host: str  # our host name
    lease: Lease
    pauses: Pauses = field(default_factory=Pauses)


class RelayFlow:
    """Takes one consignment as far as it gets now. Never raises for anything a peer does.

    Args:
        legal_clock: dates the notices of what can never be delivered; ``clock`` if left out.
    """

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
        legal_clock: Clock | None = None,
        sign: Sign | None = None,
    ) -> None:
        """``sign``: what leaves for ordinary servers is signed so; not at all if left out."""
        self._sign = sign
        self._provider = issuer.identity.name
        self._storage = storage
        self._find = find
        self._send = send
        self._receive = receive
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self._closings = Closings(storage, settings.lease.owner)
        self._outages = Outages()
        self._undeliverable = Undeliverable(
            storage=storage,
            issuer=issuer,
            clock=legal_clock or clock,
            ids=ids,
            handover=handover,
            host=settings.host,
            lease=settings.lease,
        )

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
        if consignment.local:
            own = first.kind == ORDINARY
            await self._settle(consignment.rows, await self._hand_in(outgoing, own=own), message)
        else:
            await self._carry(consignment.rows, outgoing)

    async def _carry(self, rows: Sequence[OutboxRow], outgoing: Outgoing) -> None:
        found = await self._find(rows[0].domain, certified=rows[0].certified)
        if isinstance(found, Destination):
            outcomes = await self._send(found, await self._signed(rows[0], outgoing))
            await self._settle(rows, outcomes, outgoing.message)
            await self._learn(rows, found, outcomes)
        else:
            outcomes = (found,) * len(rows)
            await self._settle(rows, outcomes, outgoing.message)
            await self._learn(rows, None, outcomes)

    async def _signed(self, row: OutboxRow, outgoing: Outgoing) -> Outgoing:
        """What ordinary servers get: a DKIM signature in front of what is sealed. Certified mail needs none."""
        if self._sign is None or row.certified:
            return outgoing
        message = await self._sign(outgoing.message, row.body_id, self._clock.now())
        return replace(outgoing, message=message)

    async def _hand_in(self, outgoing: Outgoing, *, own: bool) -> Sequence[Outcome]:
        """To recipients of this provider: the same full path, without the socket (EN-16)."""
        arrival = Arrival(
            reverse_path=outgoing.reverse_path,
            forward_paths=outgoing.forward_paths,
            message=outgoing.message,
            peer=Peer(address="127.0.0.1", port=0, tls=True, helo=self._settings.host),
            own=own,
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
            await self._closings.close([row.id for row in taken], _relayed(taken, first.text, at, self._provider))
        if later:
            await self._postpone(later, at)
        for row, permanent in failed:
            await self._undeliverable(row, permanent, message)

    def _pause(self, row: OutboxRow, outcome: Temporary) -> timedelta:
        chance = int(self._ids.token()[:8], 16) / 0xFFFFFFFF
        reached = outcome.stage not in (Stage.ROUTE, Stage.CONNECT)
        return pause(self._settings.pauses, row.attempts, chance, reached=reached)

    def _expires(self, row: OutboxRow, due: datetime) -> bool:
        return row.expires_at is not None and due >= row.expires_at and may_expire(row.kind, certified=row.certified)

    async def _postpone(self, later: Sequence[tuple[OutboxRow, Temporary, datetime]], at: datetime) -> None:
        owner = self._settings.lease.owner
        effects = Effects(at=at, ids=self._ids)
        for row, outcome, due in later:
            shown = fields(row, outcome) | {"attempts": row.attempts + 1, "again_at": due}
            if outcome.stage is Stage.TLS and row.last_reply != said(outcome):
                log.error("no secure channel to a peer", extra=shown)
                effects.register(entry(Event.ALARM, row, at, self._provider, f"no secure channel: {outcome.text}"))
            else:
                log.info("relay postponed", extra=shown)

        def keep(connection: Connection) -> None:
            for row, outcome, due in later:
                outbox.postpone(connection, row.id, owner, due, said(outcome), unreached=outcome.unreached)
            effects.perform(connection, self._settings.lease)

        await self._storage.write(keep)

    async def _learn(
        self, rows: Sequence[OutboxRow], destination: Destination | None, outcomes: Sequence[Outcome]
    ) -> None:
        """Note that a peer cannot be reached; when one can be again, let mail follow that waits only for that."""
        at, domain = self._clock.now(), rows[0].domain
        if any(isinstance(outcome, Temporary) and outcome.unreached for outcome in outcomes):
            self._outages.began(domain, destination, at)
        elif destination is not None:
            if any(row.unreached for row in rows):  # what another process learnt, or this one in an earlier life
                self._outages.began(domain, destination, at)
            if domains := self._outages.over(domain, destination, at):
                await self._bring_forward(domains, destination, at)

    async def _bring_forward(self, domains: frozenset[str], destination: Destination, at: datetime) -> None:
        try:
            moved = await self._storage.write(
                lambda connection: outbox.bring_forward(connection, domains, at, limit=BROUGHT_FORWARD)
            )
        except TemporaryError as error:
            log.warning("mail that waits for a peer was not brought forward", exc_info=error)
            self._outages.goes_on(domains, destination, at)
            return
        if moved == BROUGHT_FORWARD:
            self._outages.goes_on(domains, destination, at)
        if moved:
            log.info("a peer can be reached again", extra={"domains": len(domains), "rows": moved})


def _relayed(rows: Sequence[OutboxRow], text: str, at: datetime, provider: str) -> RegisterEntry:
    return RegisterEntry(
        event=Event.RELAY,
        at=at,
        pec_msgid=rows[0].pec_msgid,
        msgid=rows[0].msgid,
        sender=rows[0].sender or rows[0].reverse_path,
        recipients=tuple(row.forward_path for row in rows),
        subject=rows[0].subject,
        provider=provider,
        detail=f"{rows[0].kind}: {text}" if text else rows[0].kind,
    )
