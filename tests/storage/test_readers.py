"""Reading in groups: each question gets its own answer, and sees what was committed before it was asked."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from gateway.storage import content, domains
from gateway.storage.engine import Storage
from gateway.storage.sink import ContentSink
from receipts.octets import Octets

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)


def number(value: int) -> Callable[[Connection], int]:
    return lambda connection: int(connection.exec_driver_sql(f"SELECT {value}").scalar_one())


async def test_each_question_gets_its_own_answer(storage: Storage) -> None:
    answers = await asyncio.gather(*(storage.read(number(value)) for value in range(500)))
    assert answers == list(range(500))


async def test_a_question_that_fails_harms_no_other(storage: Storage) -> None:
    """On PostgreSQL an error ends the whole transaction, so the others are asked again."""

    def fail(connection: Connection) -> int:
        return int(connection.exec_driver_sql("SELECT nothing FROM nowhere").scalar_one())

    def lose(_connection: Connection) -> int:
        raise LookupError("no such body")

    questions = [(number(value), fail, lose)[value % 3] for value in range(90)]
    answers = await asyncio.gather(*map(storage.read, questions), return_exceptions=True)
    for value, answer in enumerate(answers):
        if value % 3 == 0:
            assert answer == value
        else:
            assert isinstance(answer, LookupError if value % 3 == 2 else Exception)


async def test_a_question_sees_what_was_committed_before_it_was_asked(storage: Storage) -> None:
    async def flow(name: str) -> bool:
        await storage.write(lambda connection: domains.add_domain(connection, name, AT))
        return name in await storage.read(domains.local_domains)

    assert all(await asyncio.gather(*(flow(f"d{value}.example") for value in range(100))))


async def test_nobody_waits_for_a_question_that_is_asked_alone(storage: Storage) -> None:
    busy, go_on = threading.Barrier(5, timeout=60), threading.Event()

    def keep(_connection: Connection) -> None:
        busy.wait()
        busy.wait()

    def long(_connection: Connection) -> str:
        assert go_on.wait(60)
        return "long"

    kept = [asyncio.ensure_future(storage.read(keep, alone=True)) for _ in range(4)]  # one for each reader
    await asyncio.to_thread(busy.wait)
    waiting = [
        asyncio.ensure_future(storage.read(question, alone=question is long))
        for question in (number(1), long, number(2), number(3), long, number(4))
    ]
    await asyncio.sleep(0)
    await asyncio.to_thread(busy.wait)
    short = [waiting[place] for place in (0, 2, 3, 5)]
    try:
        assert await asyncio.wait_for(asyncio.gather(*short), 60) == [1, 2, 3, 4]
    finally:
        go_on.set()
    assert await asyncio.gather(waiting[1], waiting[4]) == ["long", "long"]
    await asyncio.gather(*kept)


async def test_long_questions_do_not_keep_others_waiting(storage: Storage) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def long(_connection: Connection) -> str:
        begun.set()
        go_on.wait()
        return "long"

    waiting = asyncio.create_task(storage.read(long))
    await asyncio.to_thread(begun.wait)
    assert await asyncio.wait_for(storage.read(number(7)), 60) == 7
    go_on.set()
    assert await waiting == "long"


async def test_whoever_gives_up_waiting_harms_nobody(storage: Storage) -> None:
    tasks = [asyncio.create_task(storage.read(number(value))) for value in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    assert await asyncio.gather(*tasks[1::2]) == list(range(1, 20, 2))


async def test_a_large_content_is_read_inside_a_question(storage: Storage) -> None:
    """Its pieces come over other connections, more of them than there are readers."""
    sink = ContentSink(storage, lambda: AT)
    await sink.write(b"x" * 3_000_000)
    message = Octets.whole(await sink.finish())
    body = await storage.write(lambda connection: content.save(connection, message, AT))
    read = asyncio.gather(
        *(storage.read(lambda connection: content.load(connection, body).sha256()) for _ in range(30))
    )
    assert set(await asyncio.wait_for(read, 60)) == {message.sha256()}


def test_two_event_loops_are_answered(storage: Storage) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda value=value: answers.append(asyncio.run(storage.read(number(value)))))
        for value in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0, 1, 2, 3]


async def test_a_closed_storage_answers_what_was_asked_and_no_more(storage_url: str) -> None:
    storage = Storage.open(storage_url)
    waiting = [asyncio.create_task(storage.read(number(value))) for value in range(30)]
    await asyncio.sleep(0)
    await asyncio.to_thread(storage.close)
    assert await asyncio.gather(*waiting) == list(range(30))
    with pytest.raises(Exception, match="closed"):
        await storage.read(number(1))
