"""Purging removes what nobody refers to, and never what somebody is about to refer to."""

import asyncio
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Connection, func, select

from gateway.storage import accounts, content, domains, letters, mailboxes
from gateway.storage.chunks import CHUNK, REMOVED_AT_ONCE
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable
from gateway.storage.mailboxes import NewMessage
from gateway.storage.purge import MOST_BYTES, START, Position, Purged, Stage, purge_unreferenced
from gateway.storage.sink import ContentSink
from gateway.storage.tables import bodies, body_contents, chunk_sets, content_chunks, contents
from receipts.octets import InMemory, Octets

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = (bodies, body_contents, contents, chunk_sets, content_chunks)


def purged(connection: Connection, before: datetime, limit: int = 500) -> int:
    """Purge to the end, in one transaction; how much was removed."""
    removed, position = 0, START
    while position is not None:
        slice_ = purge_unreferenced(connection, before, position, limit=limit)
        removed, position = removed + slice_.removed, slice_.next
    return removed


def left(connection: Connection) -> list[int]:
    return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]


def save(message: Octets, at: datetime = AT) -> Callable[[Connection], int]:
    return lambda connection: content.save(connection, message, at)


async def test_a_body_without_a_message_goes_with_its_contents(storage: Storage) -> None:
    await storage.write(save(Octets.of(b"head", Octets.whole(InMemory.of(os.urandom(700_000))))))
    assert await storage.write(lambda connection: purged(connection, AT)) == 0
    assert await storage.write(lambda connection: purged(connection, AT + DAY)) == 3, "body, content, set of chunks"
    assert await storage.read(left) == [0, 0, 0, 0, 0]


async def test_a_message_keeps_its_body_until_it_is_deleted(storage: Storage) -> None:
    message = Octets.whole(InMemory.of(os.urandom(1_000)))

    def file(connection: Connection) -> tuple[int, int]:
        domains.add_domain(connection, "alfa.example", AT)
        box = accounts.add_account(connection, accounts.NewAccount(address="anna@alfa.example", at=AT)).mailbox_id
        body = content.save(connection, message, AT)
        new = NewMessage(mailbox_id=box, token="t", body_id=body, size=message.size, kind="ordinary", at=AT)
        mailboxes.deliver(connection, [new])
        return box, body

    box, body = await storage.write(file)
    assert await storage.write(lambda connection: purged(connection, AT + DAY)) == 0
    assert (await storage.read(lambda connection: content.load(connection, body))).read() == message.read()
    (found,) = await storage.read(lambda connection: mailboxes.pop3_listing(connection, box))
    await storage.write(lambda connection: letters.remove(connection, box, [found.id], AT))
    assert await storage.write(lambda connection: purged(connection, AT + DAY)) == 2


async def test_a_content_stays_while_another_body_has_it(storage: Storage) -> None:
    shared = Octets.whole(InMemory.of(os.urandom(1_000)))
    await storage.write(save(shared))
    later = await storage.write(save(Octets.of(b"later", shared), AT + 2 * DAY))
    assert await storage.write(lambda connection: purged(connection, AT + DAY)) == 1
    assert (await storage.read(lambda connection: content.load(connection, later))).read() == b"later" + shared.read()


async def test_bytes_that_never_became_a_message_go(storage: Storage) -> None:
    lost, finished = ContentSink(storage, lambda: AT), ContentSink(storage, lambda: AT)
    await lost.write(os.urandom(3_000_000))
    await finished.write(os.urandom(3_000_000))
    await finished.finish()
    assert await storage.write(lambda connection: purged(connection, AT)) == 0
    assert await storage.write(lambda connection: purged(connection, AT + DAY)) == 3, "a content, two sets of chunks"
    assert await storage.read(left) == [0, 0, 0, 0, 0]


async def test_a_purge_goes_on_where_it_stopped(storage: Storage) -> None:
    for number in range(7):
        await storage.write(save(Octets.whole(InMemory.of(bytes([number]) * 50))))
    position: Position | None = START
    slices = []
    while position is not None:
        slice_ = await storage.write(
            lambda connection, at=position: purge_unreferenced(connection, AT + DAY, at, limit=3)
        )
        slices.append(slice_.removed)
        position = slice_.next
    assert slices == [3, 3, 1, 3, 3, 1, 0]


async def slices_of(storage: Storage) -> list[int]:
    """Purge to the end, each slice in a transaction of its own: how much each removed."""
    position: Position | None = START
    slices = []
    while position is not None:
        slice_ = await storage.write(lambda connection, at=position: purge_unreferenced(connection, AT + DAY, at))
        slices.append(slice_.removed)
        position = slice_.next
    return slices


async def test_large_contents_go_a_few_chunks_at_a_time(storage: Storage) -> None:
    """While SQLite deletes, all others wait."""
    sizes = [2 * REMOVED_AT_ONCE * CHUNK + 1, CHUNK + 1, CHUNK + 1]
    for size in sizes:
        sink = ContentSink(storage, lambda: AT)
        await sink.write(os.urandom(size))
        await sink.finish()
    assert await slices_of(storage) == [0, 3, 0, 0, 3]
    assert await storage.read(left) == [0, 0, 0, 0, 0]


async def test_a_slice_holds_only_so_many_bytes(storage: Storage) -> None:
    for _ in range(3):
        await storage.write(save(Octets.of(os.urandom(MOST_BYTES // 2 - 100))))
    assert await slices_of(storage) == [2, 1, 0, 0]
    await storage.write(save(Octets.of(os.urandom(MOST_BYTES + 100))))
    assert await slices_of(storage) == [1, 0, 0]


async def test_bytes_that_began_to_go_become_no_content(storage: Storage) -> None:
    """A message that takes days to come in meets the purge."""
    sink = ContentSink(storage, lambda: AT)
    await sink.write(os.urandom(REMOVED_AT_ONCE * CHUNK + 3_000_000))
    assert (await storage.write(lambda connection: purge_of_chunks(connection))).removed == 0
    with pytest.raises(StorageUnavailable):
        await sink.finish()
    await sink.abort()
    assert await storage.read(left) == [0, 0, 0, 0, 0]


def purge_of_chunks(connection: Connection) -> Purged:
    """One slice of the stage that removes chunks."""
    slice_ = purge_unreferenced(connection, AT + DAY)
    while slice_.next is not None and slice_.next.stage is not Stage.CHUNK_SETS:
        slice_ = purge_unreferenced(connection, AT + DAY, slice_.next)
    assert slice_.next is not None
    return purge_unreferenced(connection, AT + DAY, slice_.next)


async def test_who_adds_a_content_that_is_being_purged_adds_it_anew(storage_url: str) -> None:
    """Purge first, not yet committed; then the same bytes come again, in another process."""
    purging, adding = Storage.open(storage_url), Storage.open(storage_url)
    message = Octets.whole(InMemory.of(os.urandom(5_000)))
    await purging.write(save(message))
    loop = asyncio.get_running_loop()
    added: list[asyncio.Future[int]] = []

    def purge(connection: Connection) -> int:
        removed = purged(connection, AT + DAY)
        added.append(asyncio.run_coroutine_threadsafe(adding.write(save(message, AT + 2 * DAY)), loop))  # type: ignore[arg-type]
        wait_until_blocked(storage_url)
        return removed

    assert await purging.write(purge) == 2
    body = await asyncio.wrap_future(added[0])  # type: ignore[arg-type]
    assert (await purging.read(lambda connection: content.load(connection, body))).read() == message.read()
    purging.close()
    adding.close()


async def test_a_purge_passes_over_what_is_being_referred_to(storage_url: str) -> None:
    """The same bytes come again first, not yet committed; then the purge, in another process."""
    purging, adding = Storage.open(storage_url), Storage.open(storage_url)
    message = Octets.whole(InMemory.of(os.urandom(5_000)))
    await purging.write(save(message))
    loop = asyncio.get_running_loop()
    removed: list[asyncio.Future[int]] = []

    def add(connection: Connection) -> int:
        body = content.save(connection, message, AT + 2 * DAY)
        connection.info["batch"].flush(connection)
        purge = purging.write(lambda other: purged(other, AT + DAY))
        removed.append(asyncio.run_coroutine_threadsafe(purge, loop))  # type: ignore[arg-type]
        wait_until_blocked(storage_url, or_done=removed[-1])
        return body

    body = await adding.write(add)
    assert await asyncio.wrap_future(removed[0]) == 1, "the old body alone"  # type: ignore[arg-type]
    assert (await purging.read(lambda connection: content.load(connection, body))).read() == message.read()
    purging.close()
    adding.close()


async def test_purges_and_flows_at_the_same_time_lose_nothing(storage_url: str) -> None:
    """Ten contents come and go on two nodes while a third purges everything that may be purged at any moment."""
    nodes = [Storage.open(storage_url) for _ in range(3)]
    shared = [Octets.whole(InMemory.of(bytes([number]) * 3_000)) for number in range(10)]
    ids: list[tuple[int, Octets]] = []

    async def flow(node: Storage, step: int) -> None:
        for number in range(40):
            message = shared[(number * step) % 10]
            ids.append((await node.write(save(message, AT + number * DAY)), message))

    async def purge() -> None:
        for number in range(40):
            await nodes[2].write(lambda connection, day=number: contents_purged(connection, AT + day * DAY))

    await asyncio.gather(flow(nodes[0], 1), flow(nodes[1], 3), purge())
    for body, message in ids:
        found = await nodes[0].read(lambda connection, body=body: content.load(connection, body))
        assert found.read() == message.read()
    for node in nodes:
        node.close()


def contents_purged(connection: Connection, before: datetime) -> None:
    """Purge contents and not bodies, which nothing refers to in this test."""
    position = purge_unreferenced(connection, AT - DAY).next
    while position is not None:
        position = purge_unreferenced(connection, before, position).next


def wait_until_blocked(url: str, or_done: object = None) -> None:
    """Until somebody waits for a lock. SQLite shows nothing: its writers wait before they begin."""
    if url.startswith("sqlite"):
        return
    moment = threading.Event()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        while not getattr(or_done, "done", lambda: False)():
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            row = connection.execute(query).fetchone()
            if row is not None and row[0]:
                return
            moment.wait(0.005)
