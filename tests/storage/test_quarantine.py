"""The virus store: as it came, for 30 months, and for no mailbox."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, select

from gateway.drivers.sources import RandomIds
from gateway.flows.effects import Effects, Lease
from gateway.storage import quarantine
from gateway.storage.engine import Storage
from gateway.storage.purge import START, purge_unreferenced
from gateway.storage.quarantine import NewQuarantined, Quarantined, kept_since
from gateway.storage.tables import bodies, contents, messages, outbox
from gateway.workers.ticks import Ticks
from receipts.octets import InMemory, Octets
from tests.workers.house import HandClock

AT = datetime(2026, 3, 2, 8, 30, 15, 123456, tzinfo=UTC)
LEASE = Lease("node-1", timedelta(minutes=5))


def new(message: Octets, at: datetime = AT, **changes: object) -> NewQuarantined:
    facts: dict[str, object] = {
        "kind": "envelope",
        "virus": "Eicar-Test-Signature",
        "pec_msgid": "1@alfa.example",
        "sender": "anna@alfa.example",
        "recipients": ("bruno@beta.example", "carla@beta.example"),
        "subject": "Perizia",
        "provider": "Alfa PEC",
    }
    return NewQuarantined(at=at, message=message, **(facts | changes))  # type: ignore[arg-type]


async def keep(storage: Storage, infected: NewQuarantined) -> None:
    effects = Effects(at=infected.at, ids=RandomIds())
    effects.isolate(infected)
    await storage.write(lambda connection: effects.perform(connection, LEASE))


def latest(connection: Connection) -> list[Quarantined]:
    return quarantine.listed(connection, limit=10)


@pytest.mark.req("VIR-02", "VIR-05")
@pytest.mark.parametrize("size", [0, 1_000, 3_000_000])
async def test_what_comes_out_is_what_went_in(storage: Storage, size: int) -> None:
    message = Octets.of(b"From: anna\r\n\r\n", Octets.whole(InMemory.of(os.urandom(size))) if size else b"")
    await keep(storage, new(message))
    [kept] = await storage.read(latest)
    assert (kept.at, kept.kind, kept.virus, kept.pec_msgid) == (
        AT,
        "envelope",
        "Eicar-Test-Signature",
        "1@alfa.example",
    )
    assert (kept.sender, kept.recipients) == ("anna@alfa.example", ("bruno@beta.example", "carla@beta.example"))
    assert (kept.subject, kept.provider) == ("Perizia", "Alfa PEC")
    assert kept.sha256 == message.sha256()
    assert await storage.read(lambda connection: quarantine.find(connection, kept.id)) == kept
    out = await storage.read(lambda connection: quarantine.load(connection, kept))
    assert out.equals(message)
    assert await storage.read(quarantine.count) == 1
    for table in (messages, outbox):
        rows = select(func.count()).select_from(table)
        assert await storage.read(lambda connection, rows=rows: connection.execute(rows).scalar_one()) == 0  # type: ignore[misc]


async def test_words_that_no_database_takes_are_mended(storage: Storage) -> None:
    await keep(storage, new(Octets.of(b"x"), subject="a\0b\ud800", provider=None, pec_msgid=None, virus="\0"))
    [kept] = await storage.read(latest)
    assert (kept.subject, kept.provider, kept.pec_msgid, kept.virus) == ("a\ufffdb\ufffd", None, None, "\ufffd")


async def test_nothing_is_found_under_another_number(storage: Storage) -> None:
    assert await storage.read(lambda connection: quarantine.find(connection, 17)) is None


@pytest.mark.req("VIR-05")
@pytest.mark.parametrize(
    ("now", "since"),
    [
        ("2028-09-02 08:30:15", "2026-03-02 08:30:15"),
        ("2026-12-31 00:00:00", "2024-06-30 00:00:00"),
        ("2026-08-31 12:00:00", "2024-02-29 12:00:00"),
        ("2025-08-30 12:00:00", "2023-02-28 12:00:00"),
        ("2026-06-15 23:59:59", "2023-12-15 23:59:59"),
    ],
)
def test_thirty_months_go_by_the_calendar(now: str, since: str) -> None:
    assert kept_since(datetime.fromisoformat(now)) == datetime.fromisoformat(since)


@pytest.mark.req("VIR-05")
async def test_it_is_kept_for_thirty_months_and_not_a_day_less(storage: Storage) -> None:
    clock = HandClock()
    ticks = Ticks(storage, clock, owner="node-1")
    purge = ticks.every(timedelta(days=1), ticks._purge, "purge now")
    clock.at = AT
    await keep(storage, new(Octets.whole(InMemory.of(os.urandom(2_000)))))
    await keep(storage, new(Octets.whole(InMemory.of(os.urandom(2_000))), at=AT + timedelta(days=10)))
    for days in (2, 365, 913):  # 30 months are 915 days here
        clock.at = AT + timedelta(days=days)
        await purge()
        assert await storage.read(quarantine.count) == 2
        [_, kept] = await storage.read(latest)
        assert (await storage.read(lambda connection: quarantine.load(connection, kept))).size == 2_000  # noqa: B023
    clock.at = AT + timedelta(days=916)
    await purge()
    assert await storage.read(quarantine.count) == 1
    assert await storage.read(_bytes_left) == (1, 1)
    await ticks.stop()


def _bytes_left(connection: Connection) -> tuple[int, int]:
    bodies_left = connection.execute(select(func.count()).select_from(bodies)).scalar_one()
    return bodies_left, connection.execute(select(func.count()).select_from(contents)).scalar_one()


async def test_the_store_keeps_bytes_alive_that_nothing_else_refers_to(storage: Storage) -> None:
    await keep(storage, new(Octets.whole(InMemory.of(os.urandom(2_000)))))
    await storage.write(lambda connection: purge_unreferenced(connection, AT + timedelta(days=2), START))
    assert await storage.read(_bytes_left) == (1, 1)
