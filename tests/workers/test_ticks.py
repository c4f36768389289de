"""Beats go on whatever happens to one of their runs, and the register's chain keeps up."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, timedelta

import pytest
from sqlalchemy import Connection

from gateway.storage import audit as auditing
from gateway.storage import register
from gateway.storage.audit import Audit
from gateway.storage.engine import Storage
from gateway.storage.register import Event, RegisterEntry
from gateway.workers import ticks as module
from gateway.workers.ticks import LEFT_BEHIND, REMINDED, Act, Ticks
from receipts.errors import TemporaryError
from tests.drivers.scripted import until
from tests.workers.house import START, HandClock

BEAT = timedelta(milliseconds=10)


class Counted:
    """Counts its runs; fails while ``failure`` is set."""

    def __init__(self) -> None:
        self.runs = 0
        self.failure: Exception | None = None

    async def __call__(self) -> None:
        self.runs += 1
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def ticks(storage: Storage, clock: HandClock) -> AsyncIterator[Ticks]:
    ticks = Ticks(storage, clock, owner="node-1")
    yield ticks
    await ticks.stop()


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, int]]:
    return [
        (record.message, record.tick, record.failures)  # type: ignore[attr-defined]
        for record in caplog.records
        if record.name == module.__name__
    ]


def registered(storage: Storage, number: int) -> None:
    entries = [RegisterEntry(event=Event.EMISSION, at=START, pec_msgid=f"{n}@alfa.example") for n in range(number)]
    storage.write_now(lambda connection: register.append(connection, entries))


def unlinked(storage: Storage) -> list[int]:
    return storage.read_now(auditing.verify).unlinked


async def test_an_act_runs_again_and_again_and_at_once_if_asked(ticks: Ticks) -> None:
    often, seldom, at_once = Counted(), Counted(), Counted()
    ticks.every(BEAT, often, "often")
    ticks.every(timedelta(hours=1), seldom, "seldom")
    ticks.every(timedelta(hours=1), at_once, "at once", at_once=True)
    ticks.start()
    await until(lambda: often.runs >= 3)
    assert (seldom.runs, at_once.runs) == (0, 1)


async def test_an_act_that_lasts_is_not_begun_a_second_time(ticks: Ticks) -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def lasting() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    other = Counted()
    ticks.every(BEAT, lasting, "lasting")
    ticks.every(BEAT, other, "other")
    ticks.start()
    await until(lambda: other.runs >= 5)
    assert most == 1
    gate.set()


@pytest.mark.parametrize("failure", [TemporaryError("the database is away"), ZeroDivisionError("a bug")])
async def test_after_a_failure_the_next_run_comes(
    ticks: Ticks, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    act = Counted()
    act.failure = failure
    ticks.every(BEAT, act, "mine")
    ticks.start()
    await until(lambda: act.runs >= 5)
    act.failure = None
    await until(lambda: len(told(caplog)) == 2)
    (first, second) = told(caplog)
    assert first == ("tick failed", "mine", 1)
    assert second[:2] == ("tick works again", "mine")
    assert second[2] >= 5


async def test_a_failure_that_goes_on_is_told_now_and_then_only(
    storage: Storage, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    act = Counted()
    act.failure = TemporaryError("the database is away")
    run: Act = Ticks(storage, clock, owner="node-1").every(BEAT, act, "mine")
    for _ in range(50):
        await run()
    assert [failures for _, _, failures in told(caplog)] == [1]
    clock.at += REMINDED
    await run()
    await run()
    assert [failures for _, _, failures in told(caplog)] == [1, 51]
    act.failure = TemporaryError("the disk is full")
    await run()
    assert [failures for _, _, failures in told(caplog)] == [1, 51, 53]


async def test_the_zone_of_the_machine_does_not_matter(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Nowhere/Nothing")
    act, ticks = Counted(), Ticks(storage, HandClock(), owner="node-1")
    ticks.every(BEAT, act, "mine")
    ticks.start()
    await until(lambda: act.runs)
    assert ticks._scheduler.timezone is UTC
    await ticks.stop()


async def test_what_is_registered_is_linked_within_the_next_beats(storage: Storage, ticks: Ticks) -> None:
    ticks.start()
    registered(storage, 3)
    await until(lambda: not unlinked(storage))


async def test_stop_links_what_has_been_registered_even_before_the_start(storage: Storage, ticks: Ticks) -> None:
    registered(storage, 3)
    await ticks.stop()
    assert unlinked(storage) == []


async def test_stop_never_raises(storage: Storage, ticks: Ticks) -> None:
    ticks.start()
    storage.close()
    await ticks.stop()


async def test_rows_that_the_chain_passed_by_are_found_at_the_start(
    storage: Storage, ticks: Ticks, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a commit on another node that took longer than the chain waits for."""
    monkeypatch.setattr(module, "LINK_AT_ONCE", 2)
    registered(storage, 7)
    highest = max(unlinked(storage))

    def passed_by(connection: Connection) -> None:
        connection.exec_driver_sql(f"UPDATE register_chain SET linked_below = {highest}, linked_highest = {highest}")

    await storage.write(passed_by)
    ticks.start()
    await until(lambda: storage.read_now(auditing.verify).links == 0)
    assert len(unlinked(storage)) == 7  # too young to have been passed by
    await ticks.stop()
    clock.at += 2 * LEFT_BEHIND
    later = Ticks(storage, clock, owner="node-1")
    later.start()
    await until(lambda: not unlinked(storage))
    audit: Audit = storage.read_now(auditing.verify)
    assert (audit.links, audit.whole) == (7, True)
    await later.stop()
