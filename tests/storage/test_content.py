"""Messages come back byte for byte, and share the bytes they have in common."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from gateway.storage import content
from gateway.storage.chunks import CHUNK
from gateway.storage.engine import Storage
from gateway.storage.errors import Conflict
from gateway.storage.sink import ContentSink
from gateway.storage.tables import bodies, body_contents, content_chunks, contents
from receipts.octets import InMemory, Octets, Span

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, content.LOADED_WHOLE, content.LOADED_WHOLE + 1)


def rows(connection: Connection, table: object) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


async def kept(storage: Storage, message: Octets, at: datetime = AT) -> int:
    return await storage.write(lambda connection: content.save(connection, message, at))


async def loaded(storage: Storage, body: int) -> Octets:
    return await storage.read(lambda connection: content.load(connection, body))


async def streamed(storage: Storage, data: bytes, portion: int = 100_000, at: datetime = AT) -> content.StoredContent:
    sink = ContentSink(storage, lambda: at)
    for low in range(0, len(data), portion):
        await sink.write(data[low : low + portion])
    return await sink.finish()


@pytest.mark.parametrize("size", SIZES)
async def test_a_content_of_any_size_comes_back(storage: Storage, size: int) -> None:
    data = os.urandom(size)
    message = Octets.of(b"before", Span(InMemory.of(data), 0, size), b"after")
    assert (await loaded(storage, await kept(storage, message))).read() == b"before" + data + b"after"


@pytest.mark.parametrize("size", SIZES)
async def test_a_streamed_content_of_any_size_comes_back(storage: Storage, size: int) -> None:
    data = os.urandom(size)
    stored = await streamed(storage, data)
    assert (stored.size, stored.sha256) == (size, hashlib.sha256(data).digest())
    message = Octets.of(b"before", Octets.whole(stored), b"after")
    assert message.read() == b"before" + data + b"after", "it can be read before anything refers to it"
    assert (await loaded(storage, await kept(storage, message))).read() == b"before" + data + b"after"


@given(data=st.data())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_rope_comes_back(storage: Storage, data: st.DataObject) -> None:
    """Literals and ranges of any contents, in any order; contents small, in chunks, and read as needed."""
    sizes = data.draw(st.lists(st.sampled_from((1, 40, CHUNK + 7, content.LOADED_WHOLE + 9)), min_size=1, max_size=3))
    sources = [InMemory.of(bytes([number + 1]) * size) for number, size in enumerate(sizes)]

    def span(number: int, low: float, high: float) -> Span:
        size = sources[number].size
        low, high = sorted((low, high))
        return Span(sources[number], int(low * size), int(high * size))

    portion = st.floats(0, 1)
    part = st.binary(max_size=30) | st.builds(span, st.integers(0, len(sources) - 1), portion, portion)
    message = Octets.of(*data.draw(st.lists(part, max_size=8)))
    body = storage.write_now(lambda connection: content.save(connection, message, AT))
    found = storage.read_now(lambda connection: content.load(connection, body))
    assert found.size == message.size
    assert found.sha256() == message.sha256()
    middle = found.size // 2
    assert found.slice(middle, middle + 20).read() == message.slice(middle, middle + 20).read()


async def test_the_same_bytes_are_kept_once(storage: Storage) -> None:
    data = os.urandom(300_000)
    first = await kept(storage, Octets.of(b"one", Span(InMemory.of(data), 0, 300_000)))
    second = await kept(storage, Octets.of(b"two", Span(InMemory.of(data), 10, 299_000)))
    third = await kept(storage, Octets.whole(await streamed(storage, data)))
    assert await storage.read(lambda connection: rows(connection, contents)) == 1
    assert await storage.read(lambda connection: rows(connection, content_chunks)) == 2
    assert (await loaded(storage, first)).read() == b"one" + data
    assert (await loaded(storage, second)).read() == b"two" + data[10:299_000]
    assert (await loaded(storage, third)).read() == data


async def test_bytes_that_two_streams_bring_at_once_are_kept_once(storage: Storage) -> None:
    data = os.urandom(1_500_000)
    sinks = [ContentSink(storage, lambda: AT) for _ in range(2)]
    for sink in sinks:
        await sink.write(data)
    first, second = [await sink.finish() for sink in sinks]
    assert first == second
    assert await storage.read(lambda connection: rows(connection, content_chunks)) == 6


async def test_what_is_aborted_leaves_nothing(storage: Storage) -> None:
    sink = ContentSink(storage, lambda: AT)
    await sink.write(os.urandom(3_000_000))
    assert await storage.read(lambda connection: rows(connection, content_chunks)) > 0
    await sink.abort()
    assert await storage.read(lambda connection: rows(connection, content_chunks)) == 0


async def test_messages_of_one_flow_share_a_content_that_is_new(storage: Storage) -> None:
    original = InMemory.of(os.urandom(20_000))
    messages = [Octets.of(bytes([n]), Octets.whole(original)) for n in range(3)]
    ids = await storage.write(lambda connection: content.save_many(connection, messages, AT))
    assert await storage.read(lambda connection: rows(connection, contents)) == 1
    found = await storage.read(lambda connection: content.load_many(connection, ids))
    assert [message.read() for message in found] == [message.read() for message in messages]


async def test_a_stored_content_that_is_gone_is_a_conflict(storage: Storage) -> None:
    stored = await streamed(storage, os.urandom(1_200_000))
    await storage.write(lambda connection: connection.execute(contents.delete()))
    with pytest.raises(Conflict):
        await kept(storage, Octets.whole(stored))
    assert await storage.read(lambda connection: rows(connection, bodies)) == 0


async def test_a_body_that_is_not_there_is_no_body(storage: Storage) -> None:
    with pytest.raises(LookupError):
        await loaded(storage, 1)


async def test_a_thousand_complete_receipts_add_hardly_anything(storage: Storage) -> None:
    """design.md 4: of 1,000 receipts with a 10 MB original inside, less than 2 % reaches the disk."""
    receipts, own = 1_000, 7_000
    original = await streamed(storage, os.urandom(10_000_000))
    before = await storage.write(_bytes_on_disk)
    numbers = count()
    for _ in range(10):
        batch = [
            Octets.of(os.urandom(own // 2), Octets.whole(original), next(numbers).to_bytes(4, "big") * (own // 8))
            for _ in range(receipts // 10)
        ]
        ids = await storage.write(lambda connection, batch=batch: content.save_many(connection, batch, AT))
    added = await storage.write(_bytes_on_disk) - before
    whole = receipts * (original.size + own)
    assert added < whole * 2 // 100
    assert added < receipts * own * 2, "a receipt costs about its own bytes"
    assert await storage.read(lambda connection: rows(connection, contents)) == 1
    last = await loaded(storage, ids[-1])
    assert last.sha256() == batch[-1].sha256()


def _bytes_on_disk(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        pages, size, free = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "page_size", "freelist_count")
        )
        return (int(pages) - int(free)) * int(size)
    return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


async def test_a_content_in_use_is_marked_anew_only_when_its_mark_is_old(storage: Storage) -> None:
    data = Octets.whole(InMemory.of(os.urandom(300_000)))

    def mark(connection: Connection) -> int:
        return int(connection.execute(select(contents.c.touched_at)).scalar_one())

    await kept(storage, data)
    first = await storage.read(mark)
    await kept(storage, data, AT + timedelta(minutes=59))
    assert await storage.read(mark) == first
    await kept(storage, data, AT + timedelta(minutes=61))
    assert await storage.read(mark) == first + 61 * 60 * 1_000_000
    assert await storage.read(lambda connection: rows(connection, body_contents)) == 3
