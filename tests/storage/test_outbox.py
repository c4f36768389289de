"""What waits to leave is tried by one process at a time, and stays until it has found its end."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.storage import outbox
from gateway.storage.engine import Storage
from gateway.storage.outbox import NewOutboxRow, OutboxRow, Waiting
from tests.storage.conftest import AT, Place

MINUTE = timedelta(minutes=1)
LEASE = 5 * MINUTE


def row(place: Place, address: str = "x@beta.example", at: datetime = AT, **changes: object) -> NewOutboxRow:
    fields: dict[str, Any] = {
        "body_id": place.body,
        "kind": "envelope",
        "reverse_path": "anna@alfa.example",
        "forward_path": address,
        "domain": address.partition("@")[2],
        "certified": True,
        "pec_msgid": "id@alfa.example",
        "at": at,
    }
    return NewOutboxRow(**fields | changes)


async def enqueued(place: Place, *rows: NewOutboxRow, owner: str | None = None) -> list[int]:
    return await place.storage.write(lambda connection: outbox.enqueue(connection, rows, owner=owner, lease=LEASE))


async def claimed(storage: Storage, owner: str, at: datetime = AT, limit: int = 100) -> list[OutboxRow]:
    return await storage.write(lambda connection: outbox.claim(connection, owner, at, limit=limit, lease=LEASE))


async def given_up(place: Place, at: datetime, *, otherwise: datetime) -> bool:
    """Whether nothing is left of what waits for x@beta.example."""
    about = ("id@alfa.example", "x@beta.example")
    return await place.storage.write(lambda connection: outbox.give_up(connection, *about, at, otherwise=otherwise))


async def test_a_claimed_row_holds_what_was_enqueued(place: Place) -> None:
    expiry = AT + timedelta(days=5)
    (row_id,) = await enqueued(place, row(place, certified=False, pec_msgid=None, expires_at=expiry))
    (found,) = await claimed(place.storage, "one")
    assert found == OutboxRow(
        id=row_id,
        body_id=place.body,
        kind="envelope",
        reverse_path="anna@alfa.example",
        forward_path="x@beta.example",
        domain="beta.example",
        certified=False,
        pec_msgid=None,
        created_at=AT,
        expires_at=expiry,
        next_attempt_at=AT,
        attempts=0,
        last_reply=None,
        lease_owner="one",
        leased_until=AT + LEASE,
        held=False,
        unreached=False,
    )


async def test_a_row_is_leased_to_one_until_the_lease_ends(place: Place) -> None:
    await enqueued(place, row(place))
    assert len(await claimed(place.storage, "one")) == 1
    assert await claimed(place.storage, "one") == []
    assert await claimed(place.storage, "two", AT + LEASE - MINUTE) == []
    assert len(await claimed(place.storage, "two", AT + LEASE)) == 1


async def test_a_row_enqueued_with_a_lease_is_not_claimed(place: Place) -> None:
    (row_id,) = await enqueued(place, row(place), owner="one")
    assert await claimed(place.storage, "two") == []
    assert await place.storage.write(lambda connection: outbox.settle(connection, row_id, "one"))


async def test_rows_are_claimed_oldest_first_and_not_before_their_time(place: Place) -> None:
    minutes = (3, 1, 2, 9)
    await enqueued(place, *(row(place, f"{number}@beta.example", AT + number * MINUTE) for number in minutes))
    first = await claimed(place.storage, "one", AT + 4 * MINUTE, limit=2)
    assert [found.forward_path for found in first] == ["1@beta.example", "2@beta.example"]
    second = await claimed(place.storage, "one", AT + 4 * MINUTE)
    assert [found.forward_path for found in second] == ["3@beta.example"]


ACTS: dict[str, Callable[[Connection, int, str], bool]] = {
    "settle": outbox.settle,
    "postpone": lambda connection, row_id, owner: outbox.postpone(connection, row_id, owner, AT + MINUTE, "451"),
    "release": outbox.release,
}


@pytest.mark.parametrize("act", ACTS)
async def test_only_the_lessee_changes_a_row(place: Place, act: str) -> None:
    """A process that was slow finds its row leased to another, and must leave it alone."""
    (row_id,) = await enqueued(place, row(place))
    await claimed(place.storage, "slow")
    await claimed(place.storage, "other", AT + LEASE)
    assert not await place.storage.write(lambda connection: ACTS[act](connection, row_id, "slow"))
    assert not await place.storage.write(lambda connection: ACTS[act](connection, 999, "other"))
    (kept,) = await place.storage.read(outbox.list_rows)
    assert (kept.lease_owner, kept.attempts) == ("other", 0)
    assert await place.storage.write(lambda connection: ACTS[act](connection, row_id, "other"))
    assert not await place.storage.write(lambda connection: ACTS[act](connection, row_id, "other"))


async def test_a_postponed_row_waits_with_its_reply(place: Place) -> None:
    (row_id,) = await enqueued(place, row(place))
    await claimed(place.storage, "one")
    reply = "451 4.7.1 \0 greylisted " + "x" * 5_000
    await place.storage.write(lambda c: outbox.postpone(c, row_id, "one", AT + 10 * MINUTE, reply))
    (kept,) = await place.storage.read(outbox.list_rows)
    assert (kept.attempts, kept.next_attempt_at, kept.lease_owner) == (1, AT + 10 * MINUTE, None)
    assert kept.last_reply is not None
    assert len(kept.last_reply) == 1_000
    assert await claimed(place.storage, "two", AT + 9 * MINUTE) == []
    assert len(await claimed(place.storage, "two", AT + 10 * MINUTE)) == 1


async def test_a_lease_dies_with_its_process(place: Place) -> None:
    await enqueued(place, row(place), row(place), owner="one")
    await enqueued(place, row(place), owner="two")
    assert await place.storage.write(lambda connection: outbox.release_owner(connection, "one")) == 2
    assert len(await claimed(place.storage, "one")) == 2


async def test_held_rows_stay_until_they_are_tried_again(place: Place) -> None:
    first, second = await enqueued(place, row(place), row(place))
    assert await place.storage.write(lambda connection: outbox.hold(connection, [first, 999])) == 1
    assert await place.storage.write(lambda connection: outbox.hold(connection, [first])) == 0
    assert await place.storage.read(outbox.count) == Waiting(2, 1, AT)
    assert [found.id for found in await claimed(place.storage, "one")] == [second]
    later = AT + 60 * MINUTE
    assert await place.storage.write(lambda connection: outbox.retry(connection, [first], later)) == 1
    assert [found.id for found in await claimed(place.storage, "one", later)] == [second, first]


async def test_rows_are_listed_by_domain_and_by_being_held(place: Place) -> None:
    ids = await enqueued(place, row(place, "a@beta.example"), row(place, "b@gamma.example"))
    await place.storage.write(lambda connection: outbox.hold(connection, ids[1:]))
    read = place.storage.read
    assert [one.id for one in await read(lambda c: outbox.list_rows(c, domain="beta.example"))] == ids[:1]
    assert [one.id for one in await read(lambda c: outbox.list_rows(c, held=True))] == ids[1:]
    assert [one.id for one in await read(lambda c: outbox.list_rows(c, held=False))] == ids[:1]
    assert len(await read(lambda c: outbox.list_rows(c, limit=1))) == 1


async def test_a_row_being_tried_is_not_removed(place: Place) -> None:
    """T11b waits for the lease, which is at most five minutes (D9)."""
    await enqueued(place, row(place), owner="one")
    later = AT + 10 * MINUTE
    assert not await given_up(place, AT + LEASE - MINUTE, otherwise=later)
    assert await claimed(place.storage, "two", later - MINUTE) == []
    assert await given_up(place, AT + LEASE, otherwise=later)
    assert await place.storage.read(outbox.count) == Waiting(0, 0, None)


async def test_what_fails_while_its_time_runs_out_is_not_taken_up_again_soon(place: Place) -> None:
    (row_id,) = await enqueued(place, row(place), owner="one")
    later = AT + 10 * MINUTE
    assert not await given_up(place, AT, otherwise=later)
    assert await place.storage.write(lambda c: outbox.postpone(c, row_id, "one", AT + MINUTE, "busy"))
    assert await claimed(place.storage, "two", later - MINUTE) == []
    assert [one.id for one in await claimed(place.storage, "two", later)] == [row_id]


async def test_only_the_envelope_of_that_recipient_is_given_up(place: Place) -> None:
    """Held by an operator or not. A receipt about the same message may wait for the same address."""
    ids = await enqueued(
        place,
        row(place),
        row(place, "y@beta.example"),
        row(place, pec_msgid="other@alfa.example"),
        row(place, kind="delivery"),
    )
    await place.storage.write(lambda connection: outbox.hold(connection, ids[:1]))
    assert await given_up(place, AT, otherwise=AT)
    assert [one.id for one in await place.storage.read(outbox.list_rows)] == ids[1:]
    assert await given_up(place, AT, otherwise=AT)


async def test_two_nodes_never_claim_the_same_row(storage_url: str, place: Place) -> None:
    nodes = [place.storage, Storage.open(storage_url)]
    await enqueued(place, *(row(place, f"{number}@beta.example") for number in range(200)))

    async def node(number: int) -> list[int]:
        found = []
        while rows := await claimed(nodes[number], f"node{number}", limit=7):
            found += [one.id for one in rows]
        return found

    first, second = await asyncio.gather(node(0), node(1))
    assert len(first) + len(second) == 200
    assert not set(first) & set(second)
    nodes[1].close()


def test_the_claim_reads_only_rows_that_are_due(sqlite_url: str) -> None:
    """PostgreSQL chooses its plans by the size of a table, SQLite by what an index promises."""
    storage = Storage.open(sqlite_url)

    def plan(connection: Connection) -> str:
        due = str(outbox._DUE.compile(dialect=connection.dialect))
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {due}", (1,) * due.count("?")).all())

    assert "ix_outbox_due" in storage.read_now(plan)
    storage.close()


async def postponed(place: Place, *rows: NewOutboxRow, unreached: bool, minutes: int = 10) -> list[int]:
    """Rows that have failed once and wait."""
    ids = await enqueued(place, *rows, owner="one")
    due = AT + minutes * MINUTE

    def put_off(connection: Connection) -> None:
        for row_id in ids:
            assert outbox.postpone(connection, row_id, "one", due, "no answer", unreached=unreached)

    await place.storage.write(put_off)
    return ids


async def moved(storage: Storage, *domains: str, limit: int = 100) -> int:
    return await storage.write(lambda connection: outbox.bring_forward(connection, domains, AT, limit=limit))


async def test_rows_that_wait_for_a_peer_to_answer_can_be_brought_forward(place: Place) -> None:
    waiting = await postponed(place, row(place), row(place, "y@gamma.example"), unreached=True)
    assert await claimed(place.storage, "one") == []
    assert await moved(place.storage, "beta.example", "gamma.example") == 2
    assert [(found.id, found.unreached) for found in await claimed(place.storage, "one")] == [
        (row_id, True) for row_id in waiting
    ]


async def test_no_others_are_brought_forward(place: Place) -> None:
    await postponed(place, row(place), unreached=False)  # the peer put it off itself
    await postponed(place, row(place, "y@gamma.example"), unreached=True)  # another domain
    (held,) = await postponed(place, row(place), unreached=True)
    await place.storage.write(lambda connection: outbox.hold(connection, [held]))
    await postponed(place, row(place), unreached=True, minutes=0)  # due already
    assert len(await claimed(place.storage, "two")) == 1  # and now somebody is at it
    assert await moved(place.storage, "beta.example") == 0
    assert await moved(place.storage) == 0


async def test_a_later_answer_of_the_peer_counts(place: Place) -> None:
    (row_id,) = await postponed(place, row(place), unreached=True, minutes=0)
    await claimed(place.storage, "one")
    later = AT + 10 * MINUTE
    await place.storage.write(lambda connection: outbox.postpone(connection, row_id, "one", later, "451 later"))
    assert await moved(place.storage, "beta.example") == 0


async def test_at_most_so_many_are_brought_forward_the_first_due_first(place: Place) -> None:
    late = await postponed(place, row(place), unreached=True, minutes=10)
    early = await postponed(place, row(place), row(place), unreached=True, minutes=5)
    assert await moved(place.storage, "beta.example", limit=2) == 2
    assert [found.id for found in await claimed(place.storage, "one")] == early
    assert await moved(place.storage, "beta.example", limit=2) == 1
    assert [found.id for found in await claimed(place.storage, "one")] == late
