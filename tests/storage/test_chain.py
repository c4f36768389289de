"""The chain over the register tells of every row that was changed, removed or slipped in."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, insert, select, text, update

from gateway.storage import audit as auditing
from gateway.storage import chain, register
from gateway.storage.audit import Audit
from gateway.storage.engine import Storage
from gateway.storage.register import Event, RegisterEntry
from gateway.storage.tables import register as rows
from gateway.storage.tables import register_chain, register_links

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
UNGUARD = {
    "sqlite": ("DROP TRIGGER register_unchanged", "DROP TRIGGER register_kept"),
    "postgresql": ("DROP TRIGGER register_guard ON register",),
}


def registered(number: int, event_: Event = Event.EMISSION) -> Callable[[Connection], None]:
    entries = [RegisterEntry(event=event_, at=AT, pec_msgid=f"{n}@alfa.example") for n in range(number)]
    return lambda connection: register.append(connection, entries)


async def linked(storage: Storage, *, owner: str = "one", at: datetime = AT, **options: bool) -> int:
    return await storage.write(lambda connection: chain.link(connection, owner, at, **options))


@pytest.fixture
async def full(storage: Storage) -> Storage:
    """A storage with ten linked rows and two that are not linked yet."""
    await storage.write(registered(6))
    assert await linked(storage) == 6
    await storage.write(registered(4))
    assert await linked(storage, at=AT + SECOND) == 4
    await storage.write(registered(2))
    return storage


async def tampered(storage: Storage, *acts: Callable[[Connection], object]) -> Audit:
    """What is found after somebody with all rights on the database did this."""

    def transaction(connection: Connection) -> None:
        for statement in UNGUARD[connection.dialect.name]:
            connection.execute(text(statement))
        for act in acts:
            act(connection)

    await storage.write(transaction)
    return await storage.read(auditing.verify)


async def test_an_untouched_register_is_whole_and_its_tail_is_named(full: Storage) -> None:
    audit = await full.read(auditing.verify)
    assert audit.whole
    assert (audit.rows, audit.links, audit.unlinked) == (12, 10, [11, 12])


async def test_an_empty_register_is_whole(storage: Storage) -> None:
    assert await storage.read(auditing.verify) == Audit()
    assert await linked(storage) == 0


@pytest.mark.req("LOG-02")
@pytest.mark.parametrize("column", register.TEXT)
async def test_a_changed_row_is_named(full: Storage, column: str) -> None:
    change = {"at": rows.c.at + 1}.get(column, "[]x" if column in {"recipients", "related"} else "x")
    audit = await tampered(full, lambda connection: connection.execute(_changed(4, **{column: change})))
    assert audit.faults == ["row 4 was changed"]


def _changed(row: int, **values: object) -> object:
    return update(rows).where(rows.c.id == row).values(**values)


@pytest.mark.req("LOG-02")
async def test_a_row_changed_together_with_its_hash_is_named(full: Storage) -> None:
    other = RegisterEntry(event=Event.DELIVERY, at=AT, pec_msgid="other@alfa.example").row
    audit = await tampered(full, lambda connection: connection.execute(_changed(4, **other)))
    assert audit.faults == ["link 4 does not hold row 4"]


@pytest.mark.req("LOG-02")
async def test_a_row_rewritten_with_its_link_breaks_the_next_link(full: Storage) -> None:
    other = RegisterEntry(event=Event.DELIVERY, at=AT, pec_msgid="other@alfa.example").row

    def relink(connection: Connection) -> None:
        before = connection.execute(select(register_links.c.link).where(register_links.c.position == 3)).scalar_one()
        link = chain.link_of(bytes(before), 4, other["hash"])
        connection.execute(update(register_links).where(register_links.c.position == 4).values(link=link))

    audit = await tampered(full, lambda connection: connection.execute(_changed(4, **other)), relink)
    assert audit.faults == ["link 5 does not hold row 5"]


@pytest.mark.req("LOG-02")
async def test_a_removed_row_is_named(full: Storage) -> None:
    audit = await tampered(full, lambda connection: connection.execute(delete(rows).where(rows.c.id == 5)))
    assert audit.faults == ["row 5 is missing (link 5)"]


@pytest.mark.req("LOG-02")
async def test_a_row_removed_with_its_link_is_seen(full: Storage) -> None:
    audit = await tampered(
        full,
        lambda connection: connection.execute(delete(rows).where(rows.c.id == 5)),
        lambda connection: connection.execute(delete(register_links).where(register_links.c.position == 5)),
    )
    assert audit.faults == ["links 5 to 5 are missing", "link 6 does not hold row 6"]


@pytest.mark.req("LOG-02")
async def test_an_end_that_was_cut_off_is_seen(full: Storage) -> None:
    audit = await tampered(
        full,
        lambda connection: connection.execute(delete(rows).where(rows.c.id > 8)),
        lambda connection: connection.execute(delete(register_links).where(register_links.c.position > 8)),
    )
    assert audit.faults == ["the chain does not end at link 8, where its last link is"]


@pytest.mark.req("LOG-02")
async def test_rows_that_changed_places_are_named(full: Storage) -> None:
    def swap(connection: Connection) -> None:
        for old, new in ((3, 99), (4, 3), (99, 4)):
            connection.execute(update(rows).where(rows.c.id == old).values(id=new))

    audit = await tampered(full, swap)
    assert audit.faults == ["link 3 does not hold row 3", "link 4 does not hold row 4"]


@pytest.mark.req("LOG-02")
async def test_a_changed_row_of_the_tail_is_named(full: Storage) -> None:
    audit = await tampered(full, lambda connection: connection.execute(_changed(12, subject="x")))
    assert audit.faults == ["row 12 was changed"]


async def test_a_row_slipped_in_is_no_more_than_tail(full: Storage) -> None:
    """Nobody can put a row between others; at the end it is one more, and says when it came."""
    slipped = RegisterEntry(event=Event.DELIVERY, at=AT, pec_msgid="slipped@alfa.example").row
    audit = await tampered(full, lambda connection: connection.execute(insert(rows).values(**slipped)))
    assert audit.unlinked == [11, 12, 13]


async def test_faults_are_bounded_in_number(storage: Storage) -> None:
    await storage.write(registered(150))
    await linked(storage)
    audit = await tampered(storage, lambda connection: connection.execute(update(rows).values(subject="x")))
    assert len(audit.faults) == 100


async def test_a_register_longer_than_one_reading_is_walked_to_its_end(storage: Storage) -> None:
    await storage.write(registered(4_500))
    assert await linked(storage) == 4_500
    await storage.write(registered(2_100))
    audit = await storage.read(auditing.verify)
    assert (audit.rows, audit.links, len(audit.unlinked), audit.faults) == (6_600, 4_500, 2_100, [])


async def test_links_come_in_portions(storage: Storage) -> None:
    await storage.write(registered(25))
    portions = [await storage.write(lambda connection: chain.link(connection, "one", AT, limit=10)) for _ in range(4)]
    assert portions == [10, 10, 5, 0]
    assert (await storage.read(auditing.verify)).whole


async def test_one_chainer_at_a_time(storage: Storage) -> None:
    await storage.write(registered(1))
    assert await linked(storage, owner="one") == 1
    await storage.write(registered(1))
    assert await linked(storage, owner="two", at=AT + 29 * SECOND) == 0
    assert await linked(storage, owner="two", at=AT + 30 * SECOND) == 1
    await storage.write(registered(1))
    assert await linked(storage, owner="one", at=AT + 31 * SECOND) == 0
    assert (await storage.read(auditing.verify)).whole


async def test_two_nodes_that_link_at_once_make_one_chain(storage_url: str) -> None:
    nodes = [Storage.open(storage_url) for _ in range(2)]

    async def node(number: int) -> int:
        done = 0
        for round_ in range(10):
            await nodes[number].write(registered(3))
            done += await linked(nodes[number], owner=f"node{number}", at=AT + round_ * 40 * SECOND)
        return done

    counts = await asyncio.gather(node(0), node(1))
    await linked(nodes[0], owner="last", at=AT + timedelta(days=1), sweep=True)
    audit = await nodes[0].read(auditing.verify)
    assert audit.whole
    assert audit.unlinked == []
    assert audit.links == 60 >= sum(counts)
    for one in nodes:
        one.close()


async def test_a_row_committed_late_is_linked_all_the_same(postgresql_url: str) -> None:
    """On PostgreSQL a row with a lower id may be committed after one with a higher id."""
    storage, slow = Storage.open(postgresql_url), Storage.open(postgresql_url)
    loop = asyncio.get_running_loop()
    counts = []

    def late(connection: Connection) -> None:
        registered(1)(connection)
        connection.info["batch"].flush(connection)
        for at in (AT, AT + SECOND):
            asyncio.run_coroutine_threadsafe(storage.write(registered(1)), loop).result()
            counts.append(asyncio.run_coroutine_threadsafe(linked(storage, at=at), loop).result())

    await slow.write(late)
    counts.append(await linked(storage, at=AT + 2 * SECOND))
    assert counts == [1, 1, 1]
    audit = await storage.read(auditing.verify)
    assert (audit.whole, audit.unlinked) == (True, [])
    storage.close()
    slow.close()


async def test_a_row_committed_far_too_late_is_found_by_a_sweep(postgresql_url: str) -> None:
    storage, slow = Storage.open(postgresql_url), Storage.open(postgresql_url)
    loop = asyncio.get_running_loop()

    def late(connection: Connection) -> None:
        registered(1)(connection)
        connection.info["batch"].flush(connection)
        for number in range(3):
            asyncio.run_coroutine_threadsafe(storage.write(registered(1)), loop).result()
            at = AT + number * timedelta(minutes=1)
            asyncio.run_coroutine_threadsafe(linked(storage, at=at), loop).result()

    await slow.write(late)
    later = AT + timedelta(minutes=3)
    assert await linked(storage, at=later) == 0
    assert (await storage.read(auditing.verify)).unlinked == [1]
    assert await linked(storage, at=later, sweep=True) == 1
    audit = await storage.read(auditing.verify)
    assert (audit.whole, audit.unlinked) == (True, [])
    storage.close()
    slow.close()


async def test_nothing_is_written_while_nothing_waits(full: Storage) -> None:
    """The chainer comes every second; a quiet night must not wear the disk."""
    await linked(full, at=AT + 2 * SECOND)
    statements: list[str] = []

    def transaction(connection: Connection) -> int:
        raw = connection.connection.dbapi_connection
        if connection.dialect.name == "sqlite":
            raw.set_trace_callback(statements.append)  # type: ignore[union-attr]
        done = chain.link(connection, "one", AT + 3 * SECOND)
        if connection.dialect.name == "sqlite":
            raw.set_trace_callback(None)  # type: ignore[union-attr]
        return done

    before = await full.read(lambda connection: connection.execute(select(register_chain)).one())
    assert await full.write(transaction) == 0
    assert await full.read(lambda connection: connection.execute(select(register_chain)).one()) == before
    assert not [statement for statement in statements if statement.startswith(("UPDATE", "INSERT", "DELETE"))]
