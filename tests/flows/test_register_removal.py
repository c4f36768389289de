"""Rows that were kept long enough go; what was signed about them stays, and still proves what there was."""

import asyncio
import threading
from datetime import datetime, timedelta
from functools import cache

import pytest
from sqlalchemy import select

from gateway.flows.register_removal import RegisterRemoval
from gateway.lab.authority import Authority
from gateway.storage import audit, segments
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable
from gateway.storage.tables import register
from providers.chains import Trust
from providers.sealing import Signer
from tests.flows.credentials import ROME
from tests.flows.house import HandClock
from tests.flows.legal import Legal, unguarded

LONG_AGO = datetime(2020, 3, 2, 9, 30, tzinfo=ROME)  # the database itself keeps what is younger than 30 months


@cache
def long_valid() -> tuple[Signer, Trust]:
    """A seal that was good all that time."""
    authority = Authority.create([("Alfa PEC", "alfa.example")], LONG_AGO)
    lifetime = (LONG_AGO - timedelta(days=1), LONG_AGO + timedelta(days=3_000))
    issued = authority.provider_certificate("Alfa PEC", "posta-certificata@alfa.example", lifetime=lifetime)
    return issued.signer(), Trust((authority.root.der,))


@pytest.fixture
async def legal(storage: Storage, clock: HandClock) -> Legal:
    """Four closed days of long ago, and one of 29 months later."""
    clock.at = LONG_AGO
    legal = Legal(storage, clock, sealed=long_valid())
    for _ in range(4):
        await legal.a_day()
    clock.pass_(days=882)
    await legal.a_day()
    return legal


def removal(legal: Legal) -> RegisterRemoval:
    return RegisterRemoval(legal.storage, legal.clock, months=30, provider="Alfa PEC")


async def test_nothing_goes_before_its_time(legal: Legal) -> None:
    legal.clock.at = datetime(2022, 9, 9, 0, 0, tzinfo=ROME)
    assert await removal(legal)() == 0
    assert legal.verify().rows == 15


@pytest.mark.req("LOG-02")
async def test_days_go_one_by_one_when_their_time_comes(legal: Legal) -> None:
    legal.clock.at = datetime(2022, 9, 11, 0, 0, tzinfo=ROME)
    assert await removal(legal)() == 3
    await legal.link()
    found = legal.verify()
    assert found.whole
    assert (found.removed, found.removed_rows) == ([1], 3)
    legal.clock.pass_(days=2)
    assert await removal(legal)() == 6
    await legal.link()
    assert legal.verify().removed == [1, 2, 3]
    assert await removal(legal)() == 0


@pytest.mark.req("LOG-02")
async def test_what_is_left_proves_what_there_was(legal: Legal) -> None:
    before = legal.statements()
    legal.clock.at = datetime(2022, 10, 1, 0, 0, tzinfo=ROME)
    assert await removal(legal)() == 12
    await legal.link()
    found = legal.verify()
    assert (found.faults, found.removed, found.removed_rows, found.rows) == ([], [1, 2, 3, 4], 12, 7)
    assert legal.statements() == before
    assert [segment.body_id for segment in legal.segments()][:4] == [None] * 4


async def test_the_register_says_itself_what_was_removed(legal: Legal) -> None:
    legal.clock.at = datetime(2022, 9, 11, 0, 0, tzinfo=ROME)
    await removal(legal)()
    query = select(register.c.event, register.c.detail).order_by(register.c.id.desc()).limit(1)
    (row,) = legal.storage.read_now(lambda connection: connection.execute(query).all())
    assert tuple(row) == ("removal", "segment 1 of 2020-03-02, links 1 to 3: kept long enough")


async def test_what_is_left_of_a_removed_day_cannot_be_changed_either(legal: Legal) -> None:
    legal.clock.at = datetime(2022, 10, 1, 0, 0, tzinfo=ROME)
    await removal(legal)()
    await legal.link()
    legal.tamper("UPDATE register_segments SET signature = statement WHERE number = 2")
    assert legal.verify().faults == ["segment 2: its signature cannot be read"]


async def test_rows_that_are_gone_without_a_word_are_missed(legal: Legal) -> None:
    unguarded(legal.storage)
    legal.tamper("DELETE FROM register WHERE id <= 3", "DELETE FROM register_links WHERE position <= 3")
    assert legal.verify().faults[0] == "links 1 to 3 are missing"


async def test_a_day_that_was_given_up_too_early_is_named(legal: Legal) -> None:
    early = LONG_AGO + timedelta(days=800)
    await legal.storage.write(lambda connection: segments.begin_removal(connection, 1, early))
    assert legal.verify().faults == ["segment 1 was removed before its time"]


async def test_a_removal_that_was_interrupted_goes_on(legal: Legal, monkeypatch: pytest.MonkeyPatch) -> None:
    legal.clock.at = datetime(2022, 10, 1, 0, 0, tzinfo=ROME)
    real = segments.remove_some
    calls = 0

    def breaks(*arguments: object, **options: object) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StorageUnavailable("the power is gone")
        return real(*arguments, **options, most=2)  # type: ignore[arg-type]

    monkeypatch.setattr(segments, "remove_some", breaks)
    with pytest.raises(StorageUnavailable):
        await removal(legal)()
    await legal.link()
    half = legal.verify()
    assert (half.faults, half.removed) == ([], [1])
    monkeypatch.undo()
    assert await removal(legal)() == 10
    await legal.link()
    assert legal.verify().removed == [1, 2, 3, 4]


class TestBesideAReader:
    """A walk sees the register as it stood when the walk began."""

    async def test_who_reads_first_sees_all_rows(self, legal: Legal, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader that has begun goes on while all rows go."""
        monkeypatch.setattr(audit, "_LINKED", audit._LINKED.limit(2))
        begun, removed = threading.Event(), threading.Event()

        def slow(connection: object) -> audit.Audit:
            def at_the_first(*_: object) -> list[str]:
                begun.set()
                assert removed.wait(60)
                return []

            return audit.verify(connection, at_the_first)  # type: ignore[arg-type]

        reading = asyncio.create_task(legal.storage.read(slow))
        await asyncio.to_thread(begun.wait, 60)
        legal.clock.at = datetime(2022, 10, 1, 0, 0, tzinfo=ROME)
        try:
            assert await removal(legal)() == 12
        finally:
            removed.set()
        found = await reading
        assert (found.faults, found.rows, found.removed) == ([], 15, [])

    async def test_who_reads_while_rows_go_misses_none_that_should_be_there(
        self, legal: Legal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = segments.remove_some
        found: list[audit.Audit] = []

        def watched(*arguments: object, **options: object) -> int:
            found.append(legal.storage.read_now(audit.verify))
            return real(*arguments, **options, most=2)  # type: ignore[arg-type]

        monkeypatch.setattr(segments, "remove_some", watched)
        legal.clock.at = datetime(2022, 10, 1, 0, 0, tzinfo=ROME)
        assert await removal(legal)() == 12
        assert [one.faults for one in found] == [[]] * len(found)
        assert found[-1].removed == [1, 2, 3, 4]
