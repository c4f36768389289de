"""Group commit: one commit for many transactions, and none of them harmed by another."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, make_url

from gateway.points.tracking import RecipientState
from gateway.storage import accounts, certified, content, domains, register
from gateway.storage.drivers import engines
from gateway.storage.engine import Storage
from gateway.storage.errors import Conflict, StorageUnavailable
from gateway.storage.register import Event, RegisterEntry
from gateway.storage.writer import GroupLimits, Writer
from receipts.octets import Octets
from receipts.wire import ReceiptForm, RecipientKind

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)


class Bench:
    """A writer whose commits are counted, and which can be kept busy."""

    def __init__(self, engine: Engine, limits: GroupLimits) -> None:
        self.engine = engine
        self.writer = Writer(engine, limits)
        self.commits = 0
        event.listen(engine, "commit", self._count)

    def _count(self, _connection: Connection) -> None:
        self.commits += 1

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Inside, what is handed in waits, and is one group at the end."""
        begun, go_on = threading.Event(), threading.Event()

        def wait(_connection: Connection) -> None:
            begun.set()
            go_on.wait()

        thread = threading.Thread(target=self.writer.write_now, args=(wait,))
        thread.start()
        begun.wait()
        self.commits = -1  # its own is still to come
        try:
            yield
        finally:
            go_on.set()
            thread.join()


@pytest.fixture
def bench(storage_url: str) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**limits: Any) -> Bench:
        _, engine = engines(make_url(storage_url), None, 1)
        made.append(Bench(engine, GroupLimits(**limits)))
        return made[-1]

    yield make
    for one in made:
        one.writer.close()
        one.engine.dispose()


def add_domain(name: str) -> Callable[[Connection], bool]:
    return lambda connection: domains.add_domain(connection, name, AT)


def names(writer: Writer) -> frozenset[str]:
    return writer.write_now(domains.local_domains)


async def hand_in(writer: Writer, *transactions: Callable[[Connection], Any]) -> list[asyncio.Task[Any]]:
    """Hand in transactions in this order, without waiting for them."""
    tasks = [asyncio.create_task(writer.write(transaction)) for transaction in transactions]
    await asyncio.sleep(0)
    return tasks


async def test_what_waits_goes_into_one_commit(bench: Callable[..., Bench]) -> None:
    one = bench()
    with one.busy():
        tasks = await hand_in(one.writer, *(add_domain(f"d{number}.example") for number in range(20)))
    assert await asyncio.gather(*tasks) == [True] * 20
    assert one.commits == 1
    assert len(names(one.writer)) == 20


async def test_a_group_is_bounded_in_members(bench: Callable[..., Bench]) -> None:
    one = bench(members=8)
    with one.busy():
        tasks = await hand_in(one.writer, *(add_domain(f"d{number}.example") for number in range(20)))
    await asyncio.gather(*tasks)
    assert one.commits == 3


async def test_a_group_is_bounded_in_bytes(bench: Callable[..., Bench]) -> None:
    one = bench(size=1_000)
    with one.busy():
        tasks = [asyncio.create_task(one.writer.write(add_domain(f"d{n}.example"), size=400)) for n in range(6)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert one.commits == 2


async def test_a_member_that_fails_harms_no_other(bench: Callable[..., Bench]) -> None:
    """The group is rolled back, then each member is done by itself: the good ones twice, and only once to be seen."""
    one = bench()
    runs = {"first.example": 0, "bad.example": 0, "last.example": 0}

    def counted(name: str) -> Callable[[Connection], bool]:
        def transaction(connection: Connection) -> bool:
            runs[name] += 1
            added = domains.add_domain(connection, name, AT)
            if name == "bad.example":
                raise Conflict("changed")
            return added

        return transaction

    with one.busy():
        first, bad, last = await hand_in(one.writer, *map(counted, runs))
    assert await first is True
    assert await last is True
    with pytest.raises(Conflict, match="changed"):
        await bad
    assert runs == {"first.example": 2, "bad.example": 2, "last.example": 1}, "the group ended at the bad one"
    assert one.commits == 2
    assert names(one.writer) == {"first.example", "last.example"}


async def test_rows_added_at_the_end_fail_only_the_member_that_added_them(bench: Callable[..., Bench]) -> None:
    one = bench()

    def good(connection: Connection) -> None:
        register.append(connection, [RegisterEntry(event=Event.ALARM, at=AT, detail="good")])

    def orphan(connection: Connection) -> None:
        """A message for a mailbox that is not there: the database refuses it only when the rows are added."""
        register.append(connection, [RegisterEntry(event=Event.ALARM, at=AT, detail="bad")])
        certified.record_submission(connection, 999, b"digest", "id", AT, AT)

    with one.busy():
        tasks = await hand_in(one.writer, good, orphan, good)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] is None
    assert results[2] is None
    assert isinstance(results[1], Exception)
    details = one.writer.write_now(lambda connection: _details(connection))
    assert details == ["good", "good"]


def _details(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql("SELECT detail FROM register ORDER BY id").all()
    return [row[0] for row in rows]


async def test_a_commit_that_fails_is_not_tried_again(bench: Callable[..., Bench]) -> None:
    """Nobody can tell whether it took place: doing it again might do it twice."""
    one = bench()
    runs = []

    def fail(_connection: Connection) -> None:
        raise OSError("no space left")

    with one.busy():
        tasks = await hand_in(one.writer, *(lambda connection: runs.append(connection) for _ in range(2)))
        await asyncio.sleep(0)

        def arm(_connection: Connection) -> None:
            event.listen(one.engine, "commit", fail)

        armed = await hand_in(one.writer, arm)
    for task in (*tasks, *armed):
        with pytest.raises(StorageUnavailable):
            await task
    assert len(runs) == 2
    event.remove(one.engine, "commit", fail)
    assert await one.writer.write(add_domain("later.example")), "the writer goes on with a new connection"


async def test_whoever_stood_in_the_way_is_given_a_moment(bench: Callable[..., Bench]) -> None:
    one = bench()
    tries = []

    def transaction(connection: Connection) -> bool:
        tries.append(connection)
        if len(tries) < 3:
            raise psycopg.errors.DeadlockDetected
        return domains.add_domain(connection, "alfa.example", AT)

    assert await one.writer.write(transaction)
    assert len(tries) == 3


async def test_a_deadlock_of_two_nodes_ends_with_both_done(postgresql_url: str) -> None:
    first, second = Storage.open(postgresql_url), Storage.open(postgresql_url)
    first.write_now(_message_to_two)
    barrier = threading.Barrier(2)
    met: set[str] = set()

    def take(node: str, *order: str) -> Callable[[Connection], list[bool]]:
        def transaction(connection: Connection) -> list[bool]:
            changed = []
            for address in order:
                changed.append(_delivered(connection, address, node))
                if node not in met:
                    met.add(node)
                    barrier.wait()
            return changed

        return transaction

    outcomes = await asyncio.gather(
        first.write(take("first", "a@beta.example", "b@beta.example")),
        second.write(take("second", "b@beta.example", "a@beta.example")),
    )
    assert sorted(outcomes) == [[False, False], [True, True]], "one of them was first with both"
    first.close()
    second.close()


def _message_to_two(connection: Connection) -> None:
    domains.add_domain(connection, "alfa.example", AT)
    account = accounts.add_account(connection, accounts.NewAccount(address="anna@alfa.example", at=AT))
    body = content.save(connection, Octets.of(b"x"), AT)
    recipients = tuple(
        certified.NewRecipient(
            address=address,
            kind=RecipientKind.CERTIFIED,
            role="to",
            provider="Beta",
            state=RecipientState.ACCEPTED,
        )
        for address in ("a@beta.example", "b@beta.example")
    )
    certified.add_message(
        connection,
        certified.NewCertifiedMessage(
            pec_msgid="one@alfa.example",
            msgid=None,
            account_id=account.id,
            sender=account.address,
            reply_to=account.address,
            subject=None,
            receipt_form=ReceiptForm.COMPLETE,
            at=AT,
            original_body_id=body,
            envelope_body_id=body,
            recipients=recipients,
        ),
    )


def _delivered(connection: Connection, address: str, detail: str) -> bool:
    return certified.advance(
        connection,
        "one@alfa.example",
        address,
        RecipientState.DELIVERED,
        AT,
        from_states={RecipientState.ACCEPTED},
        detail=detail,
    )


async def test_whoever_gives_up_waiting_harms_nobody(bench: Callable[..., Bench]) -> None:
    one = bench()
    with one.busy():
        given_up, other = await hand_in(one.writer, add_domain("a.example"), add_domain("b.example"))
        given_up.cancel()
    assert await other
    assert "b.example" in names(one.writer)


async def test_a_transaction_sees_its_own_rows_that_wait_to_be_added(storage: Storage) -> None:
    def transaction(connection: Connection) -> bool:
        _message_to_two(connection)
        return _delivered(connection, "A@beta.example", "at once")

    assert await storage.write(transaction)
    found = await storage.read(lambda connection: certified.find_message(connection, "one@alfa.example"))
    assert found is not None
    assert [recipient.state for recipient in found.recipients] == [RecipientState.DELIVERED, RecipientState.ACCEPTED]


def test_two_event_loops_are_served(storage: Storage) -> None:
    results: list[bool] = []

    def run(name: str) -> None:
        results.append(asyncio.run(storage.write(add_domain(name))))

    threads = [threading.Thread(target=run, args=(f"d{number}.example",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


async def test_two_nodes_write_at_the_same_time_without_loss(storage_url: str) -> None:
    """On SQLite the second process waits for its turn; on PostgreSQL both work side by side."""
    nodes = [Storage.open(storage_url) for _ in range(2)]

    def count_up(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE mailboxes SET last_uid = last_uid + 1")

    nodes[0].write_now(_message_to_two)
    await asyncio.gather(*(node.write(count_up) for _ in range(50) for node in nodes))
    counted = nodes[0].read_now(lambda connection: connection.exec_driver_sql("SELECT last_uid FROM mailboxes").all())
    assert {row[0] for row in counted} == {100}
    for node in nodes:
        node.close()
