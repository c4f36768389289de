"""A message handed over to the server that keeps its mailbox; what is due about it follows that server's answer.

The server is asked before it is given anything, every time: whatever ended an earlier attempt, a message is there once.
The delivery receipt, the end of the envelope and the end of the row are one commit (promise 2), made after the OK.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import Connection

from gateway.drivers.imap_client import ImapRefused, ImapUnavailable
from gateway.drivers.imap_store import Kept
from gateway.drivers.sources import Clock, Ids
from gateway.flows.alarms import Bell
from gateway.flows.conclude_envelope import Conclusion, delivered, not_delivered
from gateway.flows.effects import Handover as Leaving
from gateway.flows.effects import Lease, Leased
from gateway.flows.issue import Issuer
from gateway.flows.work import deliberate, until_settled
from gateway.points.handing_over import Places, Setback, flags_of, folder_there, setback_of, status_of_failure
from gateway.points.relay import Pauses, pause
from gateway.storage import content, handovers, register
from gateway.storage.engine import Storage
from gateway.storage.handovers import Box, Handover
from gateway.storage.register import Event, RegisterEntry
from receipts.errors import TemporaryError
from receipts.octets import Octets

__all__ = ["HandOver", "HandOverSettings", "Keeper", "Keeping"]

log = logging.getLogger(__name__)

ALARM: Final = "mail store"
TOLD_AT: Final = 5
"""After so many refusals an operator is told of a message."""
ENOUGH: Final = 2 / 3
"""Part of a lease that must be left for an attempt to begin; it ends before the lease does."""
ENDS_AT: Final = 9 / 10
ENTERED_WITHIN: Final = 1 / 3


class Keeping(Protocol):
    """A session with one box (``drivers.imap_store.StoreSession``)."""

    async def find(self, folder: str, message: Octets) -> Kept | None: ...
    async def put(self, folder: str, message: Octets, flags: Sequence[str], at: datetime) -> Kept: ...


class Keeper(Protocol):
    """A server that keeps boxes of ours (``drivers.imap_store.Store``)."""

    @property
    def name(self) -> str: ...
    @property
    def places(self) -> Places: ...
    @property
    def patience(self) -> timedelta: ...
    def url(self, kept: Kept) -> str: ...
    def entered(self, address: str) -> AbstractAsyncContextManager[Keeping]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverSettings:
    lease: Lease
    pauses: Pauses
    receipt_expiry: timedelta = timedelta(days=5)  # how long receipts wait for a server


@dataclass(frozen=True, slots=True)
class _Missed:
    """An attempt after which nobody can say that the message is there."""

    setback: Setback
    words: str
    doubt: bool


class HandOver:
    """Hands over what waits for one box at a time.

    Args:
        keepers: the servers by their names.
        clock: of the machine; ``legal_clock``, of receipts, raises TemporaryError while the time is not to be trusted.
        handover: takes the receipts there are to relay, once they are committed.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        keepers: Mapping[str, Keeper],
        issuer: Issuer,
        clock: Clock,
        legal_clock: Clock,
        ids: Ids,
        handover: Leaving,
        bell: Bell,
        settings: HandOverSettings,
    ) -> None:
        self._storage = storage
        self._keepers = keepers
        self._issuer = issuer
        self._clock = clock
        self._legal_clock = legal_clock
        self._ids = ids
        self._handover = handover
        self._bell = bell
        self._settings = settings
        self._troubled: set[Box] = set()  # boxes that could not be entered

    async def __call__(self, box: Box, rows: Sequence[Handover]) -> bool:
        """Hand over what waits for ``box``, leased to us, oldest first; whether its server was there.

        Raises:
            TemporaryError: the database failed; what was not settled stays leased, and in doubt.
        """
        keeper = self._keepers.get(box.store or "")
        if keeper is None:
            words = f"no [[elsewhere.stores]] is called {box.store}" if box.store else "the box has come back here"
            await self._unreached(box, None, rows, words)
            return False
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._settings.lease.length.total_seconds() * ENTERED_WITHIN):
                    session = await stack.enter_async_context(keeper.entered(box.address))
            except (ImapUnavailable, ImapRefused, TimeoutError) as error:
                await self._unreached(box, keeper, rows, f"{box.address}: {str(error) or 'no answer in time'}")
                return False
            await self._reached(box)
            return await self._all(keeper, session, rows)

    async def _all(self, keeper: Keeper, session: Keeping, rows: Sequence[Handover]) -> bool:
        for number, row in enumerate(rows):
            left = self._left(row)
            if left < self._settings.lease.length * ENOUGH:
                await self._give_back(rows[number:])
                return True
            message = await self._load(row)
            kept = await self._attempt(keeper, session, row, message, left * ENDS_AT)
            if isinstance(kept, Kept):
                await self._keep(keeper, row, message, kept)
                continue
            await self._set_back(keeper, row, kept)
            if kept.setback in (Setback.CUT, Setback.UNREACHED):
                await self._give_back(rows[number + 1 :])
                return False
        return True

    async def _load(self, row: Handover) -> Octets:
        return await self._storage.read(lambda connection: content.load(connection, row.body_id))

    def _left(self, row: Handover) -> timedelta:
        assert row.leased_until is not None
        return row.leased_until - self._clock.now()

    async def _attempt(
        self, keeper: Keeper, session: Keeping, row: Handover, message: Octets, limit: timedelta
    ) -> Kept | _Missed:
        """Look for the message, and add it if it is not there."""
        folder = folder_there(keeper.places, row.kind, row.folder)
        doubt, setback = row.doubt > 1, Setback.UNREACHED  # to have been taken by us counts once
        try:
            async with asyncio.timeout(limit.total_seconds()):
                kept = await session.find(folder, message)
                if kept is None:
                    doubt, setback = True, Setback.CUT
                    kept = await session.put(folder, message, flags_of(row.flags), row.created_at)
        except ImapRefused as refused:  # it says no: so it has not taken it now
            return _Missed(setback_of(str(refused)), str(refused), doubt and setback is not Setback.CUT)
        except (ImapUnavailable, TimeoutError) as error:
            return _Missed(setback, str(error) or "no answer in time", doubt)
        return kept

    async def _keep(self, keeper: Keeper, row: Handover, message: Octets, kept: Kept) -> None:
        """It is there: say so to whom that is owed, and forget it."""
        url = keeper.url(kept)
        log.info("handed over", extra=_fields(row) | {"place": url})
        if row.due is None:
            await self._storage.write(lambda connection: handovers.settle(connection, row.id, self._owner))
            return
        try:
            await until_settled(lambda: self._conclude(row, message, where=url))
        except TemporaryError as error:
            log.warning("handed over, but nobody can be told now", extra=_fields(row), exc_info=error)
            await self._postpone(row, _Missed(Setback.OURS, f"it is there: {error}", doubt=True))

    async def _set_back(self, keeper: Keeper, row: Handover, missed: _Missed) -> None:
        """Try again later, or tell the sender that it was not delivered."""
        age = self._clock.now() - row.created_at
        status = status_of_failure(missed.setback, age, patience=keeper.patience, doubt=missed.doubt)
        if row.due is None or status is None:
            await self._postpone(row, missed)
            return
        log.info("not handed over", extra=_fields(row) | {"status": status, "reply": missed.words})
        message = await self._load(row)
        try:
            await until_settled(lambda: self._conclude(row, message, status=status))
        except TemporaryError as error:
            log.warning("not handed over, but nobody can be told now", extra=_fields(row), exc_info=error)
            await self._postpone(row, missed)

    async def _conclude(self, row: Handover, message: Octets, *, where: str = "", status: str = "") -> None:
        """The receipts and the end of the row, in one commit, at one instant."""
        at = self._legal_clock.now()
        expiry = self._settings.receipt_expiry

        def made() -> Conclusion:
            if status:
                return not_delivered(
                    row, message, at=at, issuer=self._issuer, ids=self._ids, expiry=expiry, status=status
                )
            return delivered(row, message, at=at, issuer=self._issuer, ids=self._ids, expiry=expiry, where=where)

        conclusion = await deliberate(message.size, made)

        def keep(connection: Connection) -> tuple[Leased, ...]:
            if not handovers.settle(connection, row.id, self._owner):
                return ()
            kept = conclusion.effects.perform(connection, self._settings.lease)
            conclusion.remember(connection, kept)
            return kept.leased

        self._handover(await self._storage.write(keep, size=conclusion.effects.size))

    async def _reached(self, box: Box) -> None:
        self._troubled.discard(box)
        if not self._troubled:
            await self._bell.over(ALARM)

    async def _unreached(self, box: Box, keeper: Keeper | None, rows: Sequence[Handover], words: str) -> None:
        """Nobody is there to be asked: what has waited for too long is given up, as far as that is true."""
        self._troubled.add(box)
        await self._bell.raised(ALARM, f"{box.store}: {words}")
        for row in rows:
            missed = _Missed(Setback.UNREACHED, words, row.doubt > 1)
            if keeper is None:
                await self._postpone(row, missed)
            else:
                await self._set_back(keeper, row, missed)

    async def _postpone(self, row: Handover, missed: _Missed) -> None:
        chance = int(self._ids.token()[:8], 16) / 0xFFFFFFFF
        reached = missed.setback is not Setback.UNREACHED
        at = self._clock.now()
        due = at + pause(self._settings.pauses, row.attempts, chance, reached=reached)
        log.info("handing over put off", extra=_fields(row) | {"reply": missed.words, "again_at": due})
        told = reached and row.attempts + 1 == TOLD_AT

        def keep(connection: Connection) -> None:
            handovers.postpone(connection, row.id, self._owner, due, missed.words, doubt=missed.doubt)
            if told:
                register.append(connection, [self._refused(row, missed, at)])

        await self._storage.write(keep)
        if told:
            log.error("alarm", extra=_fields(row) | {"detail": missed.words})

    def _refused(self, row: Handover, missed: _Missed, at: datetime) -> RegisterEntry:
        return RegisterEntry(
            event=Event.ALARM,
            at=at,
            pec_msgid=row.pec_msgid,
            recipients=(row.box.address,),
            provider=self._issuer.identity.name,
            detail=f"{row.box.store} does not take a message ({row.kind}): {missed.words}",
        )

    async def _give_back(self, rows: Sequence[Handover]) -> None:
        if not rows:
            return

        def keep(connection: Connection) -> None:
            for row in rows:
                handovers.release(connection, row.id, self._owner, doubt=row.doubt > 1)

        await self._storage.write(keep)

    @property
    def _owner(self) -> str:
        return self._settings.lease.owner


def _fields(row: Handover) -> dict[str, object]:
    """What the log says about a row."""
    return {"row": row.id, "kind": row.kind, "store": row.box.store, "pec_msgid": row.pec_msgid}
