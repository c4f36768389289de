"""The days of the register are closed: signed by the provider, stamped by somebody else (LOG-02, LOG-04, D25).

Any process of a provider may do it; one does, under a lease, and the number of a segment is given only once whatever
happens to leases. Nothing here is waited for by a message.
"""

import asyncio
import hashlib
import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.drivers.timestamps import Stamp, StampUnavailable
from gateway.flows.alarms import Bell
from gateway.points.closing import day_ends, day_to_close
from gateway.storage import content, leases, segments
from gateway.storage.audit import page, row_fault, row_line
from gateway.storage.chain import GENESIS
from gateway.storage.engine import Storage
from gateway.storage.errors import Conflict, StorageUnavailable
from gateway.storage.segment_form import SegmentStatement
from gateway.storage.segments import Segment
from gateway.storage.sink import ContentSink
from gateway.storage.values import instant
from providers.sealing import Signer, signed_data
from receipts.errors import SigningUnavailable
from receipts.octets import Octets

__all__ = ["ClosingSettings", "RegisterClosing", "Stamper"]

log = logging.getLogger(__name__)

Stamper = Callable[[bytes], Awaitable[Stamp]]
"""A time stamp over bytes. Raises StampUnavailable."""

WORK: Final = "register"  # the name of the lease
LEASED: Final = timedelta(minutes=10)
MOST_ROWS: Final = 500_000
"""Rows of one segment; a day with more has several."""
MOST_FAULTS: Final = 100
STAMPS_AT_ONCE: Final = 20
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)  # before a time stamp is asked for again

CLOSING, STAMPS, CHANGED = "register closing", "time stamps", "register changed"  # alarms


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingSettings:
    provider: str
    domain: str
    zone: ZoneInfo
    hour: int  # from which on the day before is closed
    owner: str  # of the lease


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The rows of a day that are to be closed."""

    day: date
    first: int  # positions, both within
    last: int
    before: Segment | None


class RegisterClosing:
    """Closes the days that are over, and has them stamped.

    Args:
        stamper: None if nobody is to attest the time.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        signer: Signer,
        stamper: Stamper | None,
        alarms: Bell,
        settings: ClosingSettings,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._signer = signer
        self._stamper = stamper
        self._alarms = alarms
        self._settings = settings
        self._nothing_on: date | None = None  # a day known to have no row to close

    async def __call__(self, *, today: bool = False) -> int:
        """Do what is due now; how many segments were closed.

        Args:
            today: close what was registered today as well. What follows goes into another segment of the same day.

        Raises:
            StorageUnavailable: what is due is done at the next call.
        """
        if not await self._is_due(today=today) or not await self._leased():
            return 0
        try:
            closed = await self._close_all(today=today)
            await self._stamp_all()
        finally:
            with suppress(StorageUnavailable):
                await self._storage.write(lambda connection: leases.release(connection, WORK, self._settings.owner))
        return closed

    async def _is_due(self, *, today: bool) -> bool:
        now = self._clock.now()

        def look(connection: Connection) -> bool:
            stamps = self._stamper is not None and segments.stamps_due(connection, now, limit=1)
            return bool(stamps) or self._run(connection, now, today=today) is not None

        return await self._storage.read(look)

    async def _leased(self) -> bool:
        now, owner = self._clock.now(), self._settings.owner
        return await self._storage.write(lambda connection: leases.take(connection, WORK, owner, now, LEASED))

    async def _close_all(self, *, today: bool) -> int:
        closed = 0
        try:
            while (run := await self._storage.read(partial(self._run, now=self._clock.now(), today=today))) is not None:
                before = run.before
                for first in range(run.first, run.last + 1, MOST_ROWS):
                    before = await self._close(run, first, min(first + MOST_ROWS - 1, run.last), before)
                    closed += 1
                    if not await self._leased():
                        return closed
                if today:  # rows go on coming
                    break
        except SigningUnavailable as error:
            await self._alarms.raised(CLOSING, f"the key does not sign: {error}", everywhere=True)
            return closed
        except Conflict:
            log.info("another process closes the register")
            return closed
        await self._alarms.over(CLOSING, everywhere=True)
        return closed

    def _run(self, connection: Connection, now: datetime, *, today: bool) -> _Run | None:
        """The rows of the first day that is to be closed now."""
        zone = self._settings.zone
        before = segments.last(connection)
        first = segments.unclosed(connection, 0 if before is None else before.last)
        if first is None:
            return None
        if today:
            return self._found(connection, before, first.position, now.date(), now + timedelta(days=1))
        day = day_to_close(first.at.astimezone(zone), _closed(before, zone), now, self._settings.hour)
        if day is None or day == self._nothing_on:
            return None
        found = self._found(connection, before, first.position, day, day_ends(day, zone))
        if found is None:
            self._nothing_on = day
        return found

    def _found(
        self, connection: Connection, before: Segment | None, first: int, day: date, until: datetime
    ) -> _Run | None:
        last = segments.last_before(connection, first - 1, until)
        return None if last is None else _Run(day=day, first=first, last=last, before=before)

    async def _close(self, run: _Run, first: int, last: int, before: Segment | None) -> Segment:
        """One segment. Raises Conflict if another process has closed these rows meanwhile."""
        sink = ContentSink(self._storage, self._clock.now)
        lines = _Lines(first, GENESIS if before is None else before.link_after)
        try:
            after = first - 1
            while rows := await self._storage.read(partial(page, after=after, up_to=last)):
                await sink.write(await asyncio.to_thread(lines.add, rows))
                after = rows[-1]["position"]
            await sink.write(lines.end(last))
            kept = await sink.finish()
        except BaseException:
            await sink.abort()
            raise
        at = self._clock.now()
        said = lines.statement(self._settings, self._signer.address, run.day, at, last, before)
        digest = hashlib.sha256(said.to_bytes()).digest()
        signature = await asyncio.to_thread(signed_data, self._signer, digest, at)

        def keep(connection: Connection) -> Segment:
            body_id = content.save(connection, Octets.whole(kept), at)
            segments.add(connection, said, signature, body_id)
            found = segments.find(connection, said.number)
            assert found is not None
            return found

        segment = await self._storage.write(keep)
        shown = {"segment": said.number, "day": said.day.isoformat(), "rows": said.rows, "faults": len(said.faults)}
        log.info("register closed", extra=shown)
        if said.faults:
            await self._alarms.raised(CHANGED, f"segment {said.number}: {said.faults[0]}", everywhere=True)
        return segment

    async def _stamp_all(self) -> None:
        if self._stamper is None:
            return
        now = self._clock.now()
        while due := await self._storage.read(partial(segments.stamps_due, now=now, limit=STAMPS_AT_ONCE)):
            for segment in due:
                try:
                    stamp = await self._stamper(segment.signature)
                except StampUnavailable as error:
                    await self._alarms.raised(STAMPS, str(error), everywhere=True)
                    await self._storage.write(partial(_postpone, due=due, now=now))
                    return
                await self._storage.write(partial(_keep_stamp, number=segment.number, stamp=stamp))
                log.info("register stamped", extra={"segment": segment.number, "by": stamp.source})
        if not await self._storage.read(segments.without_stamp):
            await self._alarms.over(STAMPS, everywhere=True)


class _Lines:
    """The lines of one segment, in portions: hashed as they are, kept compressed."""

    def __init__(self, first: int, link_before: bytes) -> None:
        self._first = first
        self._position = first - 1
        self._link_before = self._link = link_before
        self._digest = hashlib.sha256()
        self._size = 0
        self._rows = 0
        self._earliest: int | None = None
        self._latest: int | None = None
        self._faults: list[str] = []
        self._zip = zlib.compressobj(wbits=31)

    def add(self, rows: Sequence[Any]) -> bytes:
        """What is to be kept of these rows."""
        lines = b"".join([self._line(row) for row in rows])
        self._digest.update(lines)
        self._size += len(lines)
        return self._zip.compress(lines)

    def end(self, last: int) -> bytes:
        self._gap(last + 1)
        return self._zip.flush()

    def statement(
        self, settings: ClosingSettings, signer: str, day: date, at: datetime, last: int, before: Segment | None
    ) -> SegmentStatement:
        assert self._earliest is not None
        assert self._latest is not None
        return SegmentStatement(
            provider=settings.provider,
            domain=settings.domain,
            signer=signer,
            number=1 if before is None else before.number + 1,
            day=day,
            time_zone=settings.zone.key,
            closed_at=at,
            first=self._first,
            last=last,
            rows=self._rows,
            earliest=instant(self._earliest),
            latest=instant(self._latest),
            link_before=self._link_before,
            link_after=self._link,
            lines_sha256=self._digest.digest(),
            lines_bytes=self._size,
            previous_sha256=None if before is None else hashlib.sha256(before.statement).digest(),
            faults=tuple(self._faults),
        )

    def _line(self, row: Any) -> bytes:
        self._gap(row["position"])
        self._position = row["position"]
        at = row["linked_at"] if row["id"] is None else row["at"]
        self._earliest = at if self._earliest is None else min(at, self._earliest)
        self._latest = at if self._latest is None else max(at, self._latest)
        if row["id"] is not None:
            self._rows += 1
        if (fault := row_fault(row, self._link)) is not None:
            self._fault(fault)
        self._link = bytes(row["link"])
        return row_line(row)

    def _gap(self, position: int) -> None:
        if position != self._position + 1:
            self._fault(f"links {self._position + 1} to {position - 1} are missing")

    def _fault(self, fault: str) -> None:
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(fault)


def _closed(before: Segment | None, zone: ZoneInfo) -> date | None:
    """The last day that was closed after it was over."""
    if before is None:
        return None
    over = before.closed_at >= day_ends(before.day, zone)
    return before.day if over else before.day - timedelta(days=1)


def _keep_stamp(connection: Connection, number: int, stamp: Stamp) -> None:
    segments.keep_stamp(connection, number, stamp.response, stamp.at, stamp.source)


def _postpone(connection: Connection, due: Sequence[Segment], now: datetime) -> None:
    for segment in due:
        pause = min(FIRST_PAUSE * 2 ** min(segment.attempts, 16), LONGEST_PAUSE)
        segments.postpone_stamp(connection, segment.number, now + pause)
