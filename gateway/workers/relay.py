"""The relay worker: gives waiting messages to the relay flow, freshly committed ones at once, others when due.

Each domain has a lane of its own, so that one that answers slowly, or not at all, does not hold up the others;
recipients of this provider share one lane. Messages wait in memory as long as the budget lasts, then as rows only.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.flows.effects import Lease, Leased
from gateway.flows.relay import Consignment
from gateway.storage import outbox
from gateway.storage.engine import Storage
from gateway.storage.outbox import OutboxRow
from gateway.workers.finishing import finish
from receipts.errors import TemporaryError
from receipts.octets import Octets

__all__ = ["RelayLimits", "RelayWorker"]

log = logging.getLogger(__name__)

LOCAL = ""
"""The lane of recipients of this provider; no domain is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayLimits:
    """How much the worker has in hand at once."""

    poll: timedelta = timedelta(seconds=1)
    claim: int = 200  # rows asked for in one go
    active: int = 512  # consignments under way
    active_per_lane: int = 128
    waiting: int = 20_000  # rows; beyond, they are given back
    waiting_bytes: int = 64_000_000  # of messages kept in memory for them
    recipients: int = 100  # of one SMTP transaction (RFC 5321 section 4.5.3.1.8)


@dataclass(slots=True)
class _Lane:
    waiting: deque[Consignment] = field(default_factory=deque)
    active: int = 0
    ready: bool = False  # stands in the queue of those that may begin something


class RelayWorker:
    """Feeds ``relay`` until it is stopped.

    Args:
        is_local: whether a domain is one of this provider.
        lease: in whose name, and for how long, rows are claimed; the same as the flows write into new rows.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        relay: Callable[[Consignment], Awaitable[None]],
        clock: Clock,
        lease: Lease,
        is_local: Callable[[str], bool],
        limits: RelayLimits | None = None,
    ) -> None:
        self._storage = storage
        self._relay = relay
        self._clock = clock
        self._lease = lease
        self._is_local = is_local
        self._limits = limits or RelayLimits()
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()  # lanes that may begin something, each once
        self._held: dict[int, OutboxRow] = {}  # every row in hand, as it was last leased
        self._waiting_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._surplus: list[int] = []
        self._poller: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = False

    # What others call

    async def start(self) -> None:
        """Take back what an earlier life of this process held, then begin (D10). Before the first ``handover``."""
        released = await self._storage.write(lambda connection: outbox.release_owner(connection, self._lease.owner))
        if released:
            log.info("messages of an earlier run taken up again", extra={"rows": released})
        self._poller = asyncio.create_task(self._poll())

    def handover(self, leased: Sequence[Leased]) -> None:
        """Take freshly committed rows, leased to this process. Never blocks, never raises."""
        if leased:
            self._admit((each.row for each in leased), {each.row.body_id: each.message for each in leased})

    def wake(self) -> None:
        """Look at once for rows that are due (``ceralacca queue retry``)."""
        self._wake.set()

    async def stop(self, grace: timedelta = timedelta(seconds=20)) -> None:
        """Begin nothing more, finish what is under way, give back the rest (D33). Never raises."""
        self._stopping = True
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
        for lane in self._lanes.values():
            lane.waiting.clear()
        await finish(self._tasks, grace)
        try:
            await self._storage.write(lambda connection: outbox.release_owner(connection, self._lease.owner))
        except TemporaryError as error:
            log.warning("messages in hand stay with this process until their lease ends", exc_info=error)

    @property
    def in_hand(self) -> int:
        """Rows waiting in memory or under way."""
        return len(self._held)

    # Taking in

    def _admit(self, rows: Iterable[OutboxRow], messages: dict[int, Octets]) -> None:
        new = []
        for row in rows:
            known = row.id in self._held
            if not known and (self._stopping or len(self._held) >= self._limits.waiting):
                self._surplus.append(row.id)
                continue
            self._held[row.id] = row
            if not known:
                new.append(row)
        for lane_name, consignment in self._grouped(new, messages):
            self._enqueue(lane_name, consignment)
        self._begin()

    def _grouped(self, rows: Sequence[OutboxRow], messages: dict[int, Octets]) -> list[tuple[str, Consignment]]:
        """Recipients of one domain, or of this provider, go together if they get the same message."""
        groups: dict[tuple[int, str, str], list[OutboxRow]] = {}
        for row in rows:
            lane = LOCAL if self._is_local(row.domain) else row.domain
            groups.setdefault((row.body_id, row.reverse_path, lane), []).append(row)
        most = self._limits.recipients
        return [
            (lane, Consignment(tuple(group[start : start + most]), lane == LOCAL, messages.get(body_id)))
            for (body_id, _, lane), group in groups.items()
            for start in range(0, len(group), most)
        ]

    def _enqueue(self, name: str, consignment: Consignment) -> None:
        size = 0 if consignment.message is None else consignment.message.size
        if self._waiting_bytes + size > self._limits.waiting_bytes:
            consignment, size = replace(consignment, message=None), 0
        self._waiting_bytes += size
        lane = self._lanes.setdefault(name, _Lane())
        lane.waiting.append(consignment)
        self._line_up(name, lane)

    def _line_up(self, name: str, lane: _Lane) -> None:
        if lane.waiting and not lane.ready and lane.active < self._limits.active_per_lane:
            lane.ready = True
            self._ready.append(name)

    # Carrying out

    def _begin(self) -> None:
        """Begin what may be begun, a consignment of each lane in turn."""
        while self._ready and len(self._tasks) < self._limits.active and not self._stopping:
            name = self._ready.popleft()
            lane = self._lanes[name]
            lane.ready = False
            consignment = lane.waiting.popleft()
            lane.active += 1
            task = asyncio.create_task(self._carry_out(name, consignment))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._line_up(name, lane)

    async def _carry_out(self, name: str, consignment: Consignment) -> None:
        if consignment.message is not None:
            self._waiting_bytes -= consignment.message.size
        try:
            if (current := self._still_ours(consignment)) is not None:
                await self._relay(current)
        except TemporaryError as error:
            log.warning("relay interrupted", extra={"domain": name}, exc_info=error)
        except Exception:
            log.exception("relay failed unexpectedly", extra={"domain": name})
        finally:
            for row in consignment.rows:
                self._held.pop(row.id, None)
            self._leave(name)

    def _leave(self, name: str) -> None:
        lane = self._lanes[name]
        lane.active -= 1
        self._line_up(name, lane)
        if not lane.active and not lane.waiting:
            del self._lanes[name]
        asyncio.get_running_loop().call_soon(self._begin)

    def _still_ours(self, consignment: Consignment) -> Consignment | None:
        """Only rows whose lease has not run out while they waited in memory; the others are claimed anew."""
        now = self._clock.now()
        rows = tuple(
            row
            for row in (self._held.get(row.id, row) for row in consignment.rows)
            if row.leased_until is not None and row.leased_until > now
        )
        return replace(consignment, rows=rows) if rows else None

    # Polling

    async def _poll(self) -> None:
        while True:
            try:
                full = await self._claim()
                await self._give_back()
            except TemporaryError as error:
                log.warning("the outbox cannot be read", exc_info=error)
                full = False
            except Exception:
                log.exception("polling the outbox failed")
                full = False
            if not full:
                await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._limits.poll.total_seconds()):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _claim(self) -> bool:
        """Claim what is due and fits; whether there may be more."""
        limit = min(self._limits.claim, self._limits.waiting - len(self._held))
        if limit <= 0:
            return False
        now, lease = self._clock.now(), self._lease

        def claim(connection: Connection) -> list[OutboxRow]:
            return outbox.claim(connection, lease.owner, now, limit=limit, lease=lease.length)

        rows = await self._storage.write(claim)
        self._admit(rows, {})
        return len(rows) == limit

    async def _give_back(self) -> None:
        surplus, self._surplus = self._surplus, []
        if not surplus:
            return

        def release(connection: Connection) -> None:
            for row_id in surplus:
                outbox.release(connection, row_id, self._lease.owner)

        await self._storage.write(release)
