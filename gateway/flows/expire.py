"""Recipients of whom too long nothing was heard: their senders are told, once for each deadline (RFC 6109 3.1.6).

What is due stands in rows, so any node may take it, after any pause. Each notice is a transaction of its own, with an
instant of its own; what it says is checked again by the statement that makes it true (D23).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import partial
from itertools import groupby
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows.effects import Effects, Lease, stored_form
from gateway.flows.entries import emission, entry_about
from gateway.flows.issue import Issuer
from gateway.points.faults import Fault
from gateway.points.timeouts import END, Deadlines, Heard, Standing, overdue, reason
from gateway.points.tracking import OPEN, RecipientState
from gateway.storage import accounts, certified, outbox
from gateway.storage.certified import CertifiedMessage, RecipientStatus
from gateway.storage.engine import Storage
from gateway.storage.overdue import Overdue, unanswered, unended
from gateway.storage.register import Event
from receipts.errors import TemporaryError
from receipts.facts import CertificationData, Deadline, Recipient
from receipts.wire import CertificationType, ErrorKind

__all__ = ["ExpireFlow"]

log = logging.getLogger(__name__)

PAGE: Final = 200  # recipients looked at in one go
AT_ONCE: Final = 16  # notices whose transactions may share a commit
OVERLAP: Final = timedelta(minutes=10)
"""An acceptance is committed at most this long after its instant."""
PUT_OFF: Final = timedelta(minutes=10)
"""How long an envelope that is being tried now is not tried again: longer than any lease."""

Find = Callable[..., list[Overdue]]


class ExpireFlow:
    """Sends the timeout notices (T11) of one provider.

    Args:
        clock: of legal acts; raises TemporaryError while the time is not to be trusted.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        issuer: Issuer,
        clock: Clock,
        ids: Ids,
        lease: Lease,
        deadlines: Deadlines,
    ) -> None:
        self._storage = storage
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._lease = lease
        self._deadlines = deadlines
        self._told_until: datetime | None = None

    async def __call__(self) -> int:
        """Issue every notice that is due; how many were. A second run that finds nothing new costs two queries.

        Raises:
            TemporaryError: the database, the key or the time cannot be had now; what is still due stays due.
        """
        now = self._clock.now().astimezone(UTC)
        issued, _ = await self._all(partial(unended, until=now - self._deadlines.second))
        until = now - self._deadlines.first
        more, waiting = await self._all(partial(unanswered, after=self._from(now, until), until=until))
        self._told_until = None if waiting else until
        return issued + more

    def _from(self, now: datetime, until: datetime) -> datetime:
        """Whom the last run left without a first notice needs none; so only what is younger has to be looked at."""
        oldest = now - self._deadlines.second
        if self._told_until is None or self._told_until > until:  # the clock was set back
            return oldest
        return max(oldest, self._told_until - OVERLAP)

    async def _all(self, find: Find) -> tuple[int, int]:
        """How many notices were issued, and how many recipients wait for the next run."""
        issued = waiting = 0
        while page := await self._storage.read(partial(find, limit=PAGE, skip=waiting)):
            for pec_msgid, group in groupby(page, lambda each: each.pec_msgid):
                ends = await self._about(pec_msgid, [each.address for each in group])
                issued += ends.count(_End.ISSUED)
                waiting += len(ends) - ends.count(_End.ISSUED)
        return issued, waiting

    async def _about(self, pec_msgid: str, addresses: Sequence[str]) -> "list[_End]":
        """The notices about one message. One that cannot be written keeps none of the others back."""
        message, box_id = await self._storage.read(partial(_sent, pec_msgid=pec_msgid))
        ends: list[_End] = []
        for start in range(0, len(addresses), AT_ONCE):
            some = addresses[start : start + AT_ONCE]
            tried = [self._tell(message, box_id, address) for address in some]
            for address, end in zip(some, await asyncio.gather(*tried, return_exceptions=True), strict=True):
                if isinstance(end, _End):
                    ends.append(end)
                elif isinstance(end, TemporaryError) or not isinstance(end, Exception):
                    raise end
                else:
                    about = {"pec_msgid": pec_msgid, "recipient": address}
                    log.error("a timeout notice cannot be issued", extra=about, exc_info=end)
                    ends.append(_End.WAITING)
        return ends

    async def _tell(self, message: CertifiedMessage, box_id: int | None, address: str) -> "_End":
        """Issue the notice about one recipient that is due at this instant."""
        at = self._clock.now()
        recipient = message.recipient(address)
        assert recipient is not None
        deadline = overdue(_standing(recipient), self._deadlines, at)
        if deadline is None:
            return _End.WAITING
        effects = self._effects(message, box_id, recipient, deadline, at)
        keep = partial(self._keep, message.pec_msgid, recipient.address, deadline, effects)
        return await self._storage.write(keep, size=effects.size)

    def _keep(
        self, pec_msgid: str, address: str, deadline: Deadline, effects: Effects, connection: Connection
    ) -> "_End":
        """The second notice, the end of the recipient and that of the waiting envelope are one commit (D9)."""
        at = effects.at
        if deadline is Deadline.FIRST:
            first = certified.note_delay(connection, pec_msgid, address, at)
        elif outbox.give_up(connection, pec_msgid, address, at, otherwise=at + PUT_OFF):
            to = RecipientState.TIMED_OUT
            detail = reason(deadline, self._issuer.identity.name).italian
            first = certified.advance(connection, pec_msgid, address, to, at, from_states=OPEN, detail=detail)
        else:
            first = False
        if not first:
            return _End.WAITING
        effects.perform(connection, self._lease)
        return _End.ISSUED

    def _effects(
        self,
        message: CertifiedMessage,
        box_id: int | None,
        recipient: RecipientStatus,
        deadline: Deadline,
        at: datetime,
    ) -> Effects:
        identity, effects = self._issuer.identity, Effects(at=at, ids=self._ids)
        explained = reason(deadline, identity.name)
        data = _facts(message, recipient.address, explained, identity.name, at)
        about, provider = (recipient.address,), identity.name
        entry = partial(entry_about, data, at=at, provider=provider, recipients=about)
        if box_id is None:
            effects.register(entry(Event.ALARM, detail="nobody to tell of a delay"))
        else:
            issued = self._issuer.timeout(data, deadline, (explained,))
            effects.file(
                box_id,
                stored_form(issued.message, identity.service_address),
                kind=issued.kind,
                reverse_path=identity.service_address,
                pec_msgid=message.pec_msgid,
            )
            effects.register(emission(data, issued, at=at, provider=provider, recipients=about))
        if deadline is Deadline.SECOND:
            effects.register(entry(Event.TRACKING, detail=RecipientState.TIMED_OUT))
            if at.astimezone(UTC) - recipient.accepted_at > END:
                log.error(
                    "timeout notice after the 24 hours",
                    extra={"pec_msgid": message.pec_msgid, "accepted_at": recipient.accepted_at},
                )
                effects.register(entry(Event.ALARM, detail="timeout notice after the 24 hours"))
        return effects


class _End(Enum):
    ISSUED = auto()
    WAITING = auto()  # for the next run, which finds it no longer due if another node was faster


def _sent(connection: Connection, *, pec_msgid: str) -> tuple[CertifiedMessage, int | None]:
    """A message of ours, and the mailbox of its sender if that still exists."""
    message = certified.find_message(connection, pec_msgid)
    assert message is not None
    box = accounts.mailbox_of(connection, message.sender)
    return message, None if box is None else box.id


def _standing(recipient: RecipientStatus) -> Standing:
    heard = Heard.TAKEN if recipient.taken_at is not None else Heard.NOTHING
    if recipient.ended_at is not None:
        heard = Heard.END
    return Standing(accepted_at=recipient.accepted_at, heard=heard, told=recipient.delayed_at is not None)


def _facts(
    message: CertifiedMessage, recipient: str, explained: Fault, provider: str, at: datetime
) -> CertificationData:
    return CertificationData(
        type=CertificationType.TIMEOUT,
        error=ErrorKind.OTHER,
        sender=message.sender,
        recipients=tuple(Recipient(address=each.address, kind=each.kind) for each in message.recipients),
        reply_to=message.reply_to,
        subject=message.subject,
        provider=provider,
        at=at,
        pec_msgid=message.pec_msgid,
        msgid=message.msgid,
        delivered_to=recipient,
        error_text=explained.italian,
    )
