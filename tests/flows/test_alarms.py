"""An alarm is raised once and is over once, whoever says so and however often."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import select

from gateway.flows.alarms import Alarms
from gateway.storage import alarms as rows
from gateway.storage.alarms import Alarm
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable
from gateway.storage.tables import register
from tests.flows.house import HandClock

SLOW = "the scanner does not answer"


@pytest.fixture
def bell(storage: Storage, clock: HandClock) -> Alarms:
    return Alarms(storage, clock, place="node-1", provider="Alfa")


@pytest.fixture
def other_node(storage: Storage, clock: HandClock) -> Alarms:
    return Alarms(storage, clock, place="node-2", provider="Alfa")


def standing(storage: Storage) -> list[tuple[str, str, str]]:
    return [(alarm.name, alarm.place, alarm.detail) for alarm in storage.read_now(rows.list_since)]


def registered(storage: Storage) -> list[tuple[str, str]]:
    query = select(register.c.event, register.c.detail).order_by(register.c.id)
    return [tuple(row) for row in storage.read_now(lambda connection: connection.execute(query).all())]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "gateway.flows.alarms"]


async def test_it_is_raised_once_and_over_once(
    bell: Alarms, storage: Storage, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        await bell.raised("scanner", SLOW)
        clock.pass_(seconds=1)
    assert standing(storage) == [("scanner", "node-1", SLOW)]
    assert await bell.count() == 1
    for _ in range(3):
        await bell.over("scanner")
    assert standing(storage) == []
    assert registered(storage) == [
        ("alarm", f"scanner (node-1): {SLOW}"),
        ("alarm over", "scanner (node-1): stood 3 s"),
    ]
    assert told(caplog) == ["alarm raised", "alarm over"]


async def test_what_never_failed_says_nothing(bell: Alarms, storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await bell.over("scanner")
    assert registered(storage) == []
    assert told(caplog) == []


async def test_while_it_stands_it_is_told_again_now_and_then(
    bell: Alarms, storage: Storage, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(30):
        await bell.raised("scanner", SLOW)
        clock.pass_(minutes=1)
    assert told(caplog) == ["alarm raised"] * 3
    assert len(registered(storage)) == 1
    (alarm,) = storage.read_now(rows.list_since)
    assert alarm.told_at - alarm.raised_at == timedelta(minutes=20)


async def test_a_detail_that_changes_is_told_once_a_minute(
    bell: Alarms, storage: Storage, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(120):
        await bell.raised("scanner", f"attempt {second}")
        clock.pass_(seconds=1)
    assert told(caplog) == ["alarm raised"] * 2
    assert standing(storage) == [("scanner", "node-1", "attempt 60")]


async def test_each_process_has_its_own(bell: Alarms, other_node: Alarms, storage: Storage) -> None:
    await bell.raised("scanner", SLOW)
    await other_node.over("scanner")
    assert standing(storage) == [("scanner", "node-1", SLOW)]


async def test_what_is_everywhere_may_end_on_another_node(
    bell: Alarms, other_node: Alarms, storage: Storage, clock: HandClock
) -> None:
    await bell.raised("time stamps", "refused", everywhere=True)
    await other_node.raised("time stamps", "refused", everywhere=True)
    assert standing(storage) == [("time stamps", "", "refused")]
    await other_node.over("time stamps", everywhere=True)
    assert standing(storage) == []
    clock.pass_(minutes=11)
    await bell.raised("time stamps", "refused", everywhere=True)
    assert standing(storage) == [("time stamps", "", "refused")]
    assert [event for event, _ in registered(storage)] == ["alarm", "alarm over", "alarm"]


async def test_a_process_that_starts_again_ends_what_it_left(bell: Alarms, storage: Storage, clock: HandClock) -> None:
    await bell.raised("scanner", SLOW)
    again = Alarms(storage, clock, place="node-1", provider="Alfa")
    await again.over("scanner")
    assert standing(storage) == []


class Outage:
    """A storage that can be away."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.away = False

    async def read(self, question: object) -> object:
        self._look()
        return await self._storage.read(question)  # type: ignore[arg-type]

    async def write(self, transaction: object) -> object:
        self._look()
        return await self._storage.write(transaction)  # type: ignore[arg-type]

    def _look(self) -> None:
        if self.away:
            raise StorageUnavailable("away")


async def test_without_a_database_it_is_in_the_log_and_is_kept_later(
    storage: Storage, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage(storage)
    bell = Alarms(outage, clock, place="node-1", provider="Alfa")  # type: ignore[arg-type]
    outage.away = True
    for _ in range(20):
        await bell.raised("scanner", SLOW)
        clock.pass_(seconds=1)
    assert told(caplog).count("alarm raised") == 1
    assert standing(storage) == []
    outage.away = False
    await bell.raised("scanner", SLOW)
    assert standing(storage) == [("scanner", "node-1", SLOW)]
    assert told(caplog).count("alarm raised") == 1
    outage.away = True
    await bell.over("scanner")
    assert standing(storage) == [("scanner", "node-1", SLOW)]
    outage.away = False
    clock.pass_(seconds=10)
    await bell.over("scanner")
    assert standing(storage) == []


async def test_those_of_the_past_are_found_and_forgotten(bell: Alarms, storage: Storage, clock: HandClock) -> None:
    start = clock.now()
    await bell.raised("scanner", SLOW)
    await bell.over("scanner")
    clock.pass_(days=1)
    await bell.raised("clock", "unknown")

    def names(found: list[Alarm]) -> list[str]:
        return [alarm.name for alarm in found]

    assert names(storage.read_now(lambda connection: rows.list_since(connection, start))) == ["scanner", "clock"]
    assert names(storage.read_now(lambda connection: rows.list_since(connection, clock.now()))) == ["clock"]
    assert storage.write_now(lambda connection: rows.forget(connection, clock.now())) == 1
    assert names(storage.read_now(lambda connection: rows.list_since(connection, start))) == ["clock"]
