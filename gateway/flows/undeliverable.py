"""What follows when a waiting message can never reach a recipient (D8): a notice, a bounce, or an alarm."""

import logging
from datetime import datetime

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.drivers.transmission import Permanent, Stage, Temporary
from gateway.flows.bounce import bounce
from gateway.flows.effects import Effects, Handover, Lease, Leased, stored_form
from gateway.flows.issue import Issuer
from gateway.points.relay import Consequence, consequence, error_kind, reason
from gateway.points.tracking import CHANGES
from gateway.storage import accounts, certified, outbox
from gateway.storage.certified import CertifiedMessage
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import ORDINARY
from gateway.storage.outbox import OutboxRow
from gateway.storage.register import Event, RegisterEntry
from receipts.facts import CertificationData, Recipient
from receipts.octets import Octets
from receipts.wire import CertificationType, MessageKind

__all__ = ["Undeliverable", "entry", "fields", "said"]

log = logging.getLogger(__name__)


class Undeliverable:
    """Ends a row that has no hope, together with what its kind asks for, in one commit.

    Args:
        host: our host name.
        lease: in whose name the rows are held.
        handover: takes what there is to relay after it, once it is committed.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        issuer: Issuer,
        clock: Clock,
        ids: Ids,
        handover: Handover,
        host: str,
        lease: Lease,
    ) -> None:
        self._storage = storage
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._host = host
        self._lease = lease

    async def __call__(self, row: OutboxRow, outcome: Permanent, message: Octets) -> None:
        """End ``row``, unless it is no longer ours.

        Raises:
            TemporaryError: the database or the key failed; the row stays leased as it was.
        """
        what = consequence(row.kind, certified=row.certified, reverse_path=row.reverse_path)
        log.log(
            logging.ERROR if what is Consequence.ALARM else logging.INFO,
            "relay failed",
            extra=fields(row, outcome) | {"consequence": what.name.lower()},
        )
        if what is Consequence.NOTICE:
            await self._notify(row, outcome)
        elif what is Consequence.BOUNCE:
            await self._bounce(row, outcome, message)
        else:
            effects = Effects(at=self._clock.now(), ids=self._ids)
            effects.register(entry(Event.FAILURE, row, effects.at, self._issuer.identity.name, said(outcome)))
            effects.register(
                entry(Event.ALARM, row, effects.at, self._issuer.identity.name, f"{row.kind} can never be delivered")
            )
            await self._end(row, effects)

    async def _notify(self, row: OutboxRow, outcome: Permanent) -> None:
        """T10, the state of the recipient and the end of the row, in one commit (D8, D9)."""

        def look(connection: Connection) -> tuple[CertifiedMessage | None, int | None]:
            box = accounts.mailbox_of(connection, row.reverse_path)
            found = certified.find_message(connection, row.pec_msgid) if row.pec_msgid is not None else None
            return found, None if box is None else box.id

        sent, mailbox_id = await self._storage.read(look)
        at = self._clock.now()
        name, detail = self._issuer.identity.name, said(outcome)
        failure = entry(Event.FAILURE, row, at, name, detail)
        effects, late = Effects(at=at, ids=self._ids), Effects(at=at, ids=self._ids)
        effects.register(failure)
        late.register(failure)  # the recipient had come to another end: no notice, and no state is changed
        if sent is not None and mailbox_id is not None:
            self._file_notice(effects, row, outcome, sent, mailbox_id)
        else:
            effects.register(entry(Event.ALARM, row, at, name, "nobody to tell of a failure"))
        to, from_states = CHANGES[MessageKind.NON_DELIVERY]
        owner = self._lease.owner

        def keep(connection: Connection) -> tuple[Leased, ...]:
            if not outbox.settle(connection, row.id, owner):
                return ()
            first = row.pec_msgid is not None and certified.advance(
                connection, row.pec_msgid, row.forward_path, to, at, from_states=from_states, detail=detail
            )
            return (effects if first else late).perform(connection, self._lease).leased

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
        effects.register(entry(Event.EMISSION, row, effects.at, identity.name, issued.kind, (issued.message_id,)))

    async def _bounce(self, row: OutboxRow, outcome: Permanent, message: Octets) -> None:
        """RFC 3464, to the sender by way of the receive flow, like all ordinary mail: so it waits in the outbox."""
        effects = Effects(at=self._clock.now(), ids=self._ids)
        identity = self._issuer.identity
        explained, token = reason(outcome.status, identity.name), self._ids.token()
        notification = bounce(
            message,
            at=effects.at,
            host=self._host,
            postmaster=f"postmaster@{identity.domain}",
            sender=row.reverse_path,
            recipient=row.forward_path,
            status=outcome.status,
            explanation=(explained.italian, explained.english),
            diagnostic=said(outcome),
            arrived=row.created_at,
            token=token,
        )
        effects.send(
            notification,
            kind=ORDINARY,
            reverse_path="",
            forward_path=row.reverse_path,
            certified=True,
            about=None,
            expires_at=None,
        )
        made = (f"{token}@{identity.domain}",)
        effects.register(entry(Event.FAILURE, row, effects.at, identity.name, said(outcome), made))
        await self._end(row, effects)

    async def _end(self, row: OutboxRow, effects: Effects) -> None:
        """Remove the row and perform the effects, unless it is no longer ours."""

        def keep(connection: Connection) -> tuple[Leased, ...]:
            if not outbox.settle(connection, row.id, self._lease.owner):
                return ()
            return effects.perform(connection, self._lease).leased

        self._handover(await self._storage.write(keep, size=effects.size))


def said(outcome: Temporary | Permanent) -> str:
    """The outcome in one line, for a row, a register or a notification."""
    return f"{outcome.code} {outcome.text}" if outcome.code else f"{outcome.status} {outcome.text}"


def entry(
    event: Event,
    row: OutboxRow,
    at: datetime,
    provider: str,
    detail: str,
    related: tuple[str, ...] = (),
) -> RegisterEntry:
    """An event about one row; ``provider`` is ours, who sent what it holds."""
    return RegisterEntry(
        event=event,
        at=at,
        pec_msgid=row.pec_msgid,
        msgid=row.msgid,
        sender=row.sender or row.reverse_path,
        recipients=(row.forward_path,),
        subject=row.subject,
        provider=provider,
        related=related,
        detail=detail,
    )


def fields(row: OutboxRow, outcome: Temporary | Permanent) -> dict[str, object]:
    """What the log says about one row and outcome."""
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
