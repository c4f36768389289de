import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.drivers.transmission import Permanent, Stage, Temporary
from gateway.storage import outbox
from gateway.storage.engine import Storage
from gateway.workers.relay import RelayLimits
from receipts.octets import Octets
from receipts.wire import MessageKind
from tests.drivers.scripted import until
from tests.workers.house import ENVELOPE, LEASE, SENDER, START, House

POLL = timedelta(milliseconds=20)
BRUNO, CARLA = "bruno@beta.example", "carla@beta.example"


@pytest.fixture
async def house(storage: Storage) -> AsyncIterator[House]:
    house = House(storage, RelayLimits(poll=POLL, active=8, active_per_lane=4, waiting=40, waiting_bytes=500))
    yield house
    await house.worker.stop(timedelta(seconds=1))


async def test_fresh_rows_are_relayed_at_once_and_gone(house: House) -> None:
    house.handover(await house.waiting(BRUNO))
    await until(lambda: house.peers.sent)
    await until(lambda: not house.worker.in_hand)
    assert await house.rows() == []


@pytest.mark.req("AP-22")
async def test_recipients_of_one_domain_share_a_transaction_and_all_the_bytes(house: House) -> None:
    leased = await house.waiting(BRUNO, "dario@gamma.example", CARLA, "bruno@alfa.example", "carla@alfa.example")
    house.handover(leased)
    await until(lambda: not house.worker.in_hand)
    assert sorted(sent.forward_paths for sent in house.peers.sent) == [(BRUNO, CARLA), ("dario@gamma.example",)]
    (arrival,) = house.incoming.arrivals
    assert arrival.forward_paths == ("bruno@alfa.example", "carla@alfa.example")
    assert {arrival.reverse_path, *(sent.reverse_path for sent in house.peers.sent)} == {SENDER}
    assert {message.read() for message in (arrival.message, *(sent.message for sent in house.peers.sent))} == {
        ENVELOPE.read()
    }


async def test_messages_with_other_bytes_or_other_senders_stay_apart(house: House) -> None:
    house.handover(await house.waiting(BRUNO))
    house.handover(await house.waiting(CARLA, reverse_path="other@alfa.example"))
    house.handover(await house.waiting("dario@beta.example", message=Octets.of(b"other\r\n")))
    await until(lambda: not house.worker.in_hand)
    assert len(house.peers.sent) == 3


async def test_a_transaction_has_at_most_a_hundred_recipients(storage: Storage) -> None:
    house = House(storage)
    house.handover(await house.waiting(*(f"r{number}@beta.example" for number in range(250))))
    await until(lambda: not house.worker.in_hand)
    assert sorted(len(sent.forward_paths) for sent in house.peers.sent) == [50, 100, 100]


async def test_rows_are_polled_when_they_are_due(house: House) -> None:
    house.peers.answers = {BRUNO: Temporary("4.4.1", "no answer", Stage.CONNECT)}
    house.handover(await house.waiting(BRUNO))
    await until(lambda: house.peers.sent and not house.worker.in_hand)
    house.peers.answers.clear()
    await house.worker.start()
    await asyncio.sleep(5 * POLL.total_seconds())
    assert len(house.peers.sent) == 1
    house.clock.at += timedelta(seconds=5)
    await until(lambda: len(house.peers.sent) == 2 and not house.worker.in_hand)
    assert await house.rows() == []


@pytest.mark.req("QOS-06")
async def test_what_an_earlier_life_held_is_taken_up_at_once(house: House) -> None:
    await house.waiting(BRUNO)  # committed, then the process died
    await house.worker.start()
    await until(lambda: house.peers.sent and not house.worker.in_hand)
    assert await house.rows() == []


@pytest.mark.req("QOS-06")
async def test_what_another_node_holds_is_left_to_it_until_its_lease_ends(house: House) -> None:
    await house.waiting(BRUNO)
    await house.storage.write(lambda connection: outbox.release_owner(connection, LEASE.owner))
    await house.storage.write(lambda connection: outbox.claim(connection, "node-2", START, limit=5, lease=LEASE.length))
    await house.worker.start()
    await asyncio.sleep(5 * POLL.total_seconds())
    assert house.peers.sent == []
    house.clock.at += LEASE.length
    await until(lambda: house.peers.sent)


async def test_a_row_in_hand_is_never_sent_twice_at_once(house: House) -> None:
    """The lease of a slow message runs out and is claimed anew by ourselves."""
    house.peers.gate = asyncio.Event()
    await house.worker.start()
    house.handover(await house.waiting(BRUNO))
    await until(lambda: house.peers.active)
    house.clock.at += 2 * LEASE.length
    await asyncio.sleep(5 * POLL.total_seconds())
    assert house.peers.most_active == 1
    house.peers.gate.set()
    await until(lambda: not house.worker.in_hand)
    await asyncio.sleep(5 * POLL.total_seconds())
    assert len(house.peers.sent) == 1
    assert await house.rows() == []


async def test_a_row_whose_lease_ran_out_while_it_waited_is_not_sent_without_a_new_one(house: House) -> None:
    house.peers.gate = asyncio.Event()
    for number in range(6):  # four may be active, two wait
        house.handover(await house.waiting(BRUNO, message=Octets.of(b"%d\r\n" % number)))
    await until(lambda: house.peers.active == 4)
    house.clock.at += 2 * LEASE.length
    house.peers.gate.set()
    await until(lambda: not house.worker.in_hand)
    assert len(house.peers.sent) == 4
    assert len(await house.rows()) == 2
    await house.worker.start()
    await until(lambda: len(house.peers.sent) == 6 and not house.worker.in_hand)
    assert await house.rows() == []


async def test_a_domain_that_never_answers_does_not_hold_up_the_others(house: House) -> None:
    house.peers.shut = {"gamma.example"}
    for _ in range(10):
        house.handover(await house.waiting("x@gamma.example"))
    house.handover(await house.waiting(BRUNO))
    await until(lambda: house.peers.sent)
    assert house.peers.sent[0].forward_paths == (BRUNO,)
    assert house.peers.most_active <= 5


async def test_the_number_of_consignments_under_way_is_bounded(house: House) -> None:
    house.peers.gate = asyncio.Event()
    for number in range(30):
        house.handover(await house.waiting(f"x@domain{number}.example"))
    await until(lambda: house.peers.active == 8)
    await asyncio.sleep(2 * POLL.total_seconds())
    assert house.peers.active == 8
    house.peers.gate.set()
    await until(lambda: not house.worker.in_hand)
    assert (len(house.peers.sent), house.peers.most_active) == (30, 8)


async def test_beyond_the_budget_bytes_and_then_rows_are_given_back(house: House) -> None:
    house.peers.gate = asyncio.Event()
    await house.worker.start()
    bodies = [Octets.of(b"number %d\r\n" % number + b"x" * 90) for number in range(60)]
    for body in bodies:
        house.handover(await house.waiting(BRUNO, message=body))
    assert house.worker.in_hand == 40
    house.peers.gate.set()
    await until(lambda: len(house.peers.sent) == 60 and not house.worker.in_hand)
    assert sorted(sent.message.read() for sent in house.peers.sent) == sorted(body.read() for body in bodies)
    assert await house.rows() == []


async def test_stop_finishes_what_is_under_way_and_gives_back_the_rest(house: House) -> None:
    house.peers.gate = asyncio.Event()
    for number in range(6):
        house.handover(await house.waiting(BRUNO, message=Octets.of(b"%d\r\n" % number)))
    await until(lambda: house.peers.active == 4)
    stopping = asyncio.create_task(house.worker.stop())
    await asyncio.sleep(POLL.total_seconds())
    assert not stopping.done()
    house.peers.gate.set()
    await stopping
    assert len(house.peers.sent) == 4
    rows = await house.rows()
    assert len(rows) == 2
    assert all(row.lease_owner is None for row in rows)


async def test_stop_does_not_wait_for_ever(house: House) -> None:
    house.peers.shut = {"beta.example"}
    house.handover(await house.waiting(BRUNO))
    await until(lambda: house.peers.active)
    async with asyncio.timeout(60):
        await house.worker.stop(timedelta(milliseconds=20))
    assert len(await house.rows()) == 1


async def test_a_notice_about_a_failure_travels_by_the_same_worker(house: House) -> None:
    path = "nobody@mail.example"
    house.peers.answers = {path: Permanent("5.1.1", "no such user", Stage.RECIPIENT, 550)}
    house.handover(await house.waiting(path, certified=False))
    await until(lambda: house.incoming.arrivals and not house.worker.in_hand)
    (arrival,) = house.incoming.arrivals
    assert (arrival.reverse_path, arrival.forward_paths) == ("", ("anna@alfa.example",))
    assert b"multipart/report" in arrival.message.read()
    assert await house.rows() == []


async def test_a_bug_in_one_message_does_not_stop_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = house.peers.send

    async def stumble(destination: object, outgoing: object) -> object:
        if CARLA in outgoing.forward_paths:  # type: ignore[attr-defined]
            raise RuntimeError("a bug")
        return await send(destination, outgoing)  # type: ignore[arg-type]

    monkeypatch.setattr(house.flow, "_send", stumble)
    house.handover(await house.waiting(CARLA))
    house.handover(await house.waiting(BRUNO, kind=MessageKind.DELIVERY))
    await until(lambda: not house.worker.in_hand)
    assert [sent.forward_paths for sent in house.peers.sent] == [(BRUNO,)]
    assert [row.forward_path for row in await house.rows()] == [CARLA]
