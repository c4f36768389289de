"""Counting connections, bytes, time and errors."""

import pytest

from gateway.smtp import replies
from gateway.smtp.hardening import Budget, Doing, Door, Ticket, Watch
from gateway.smtp.limits import Limits


def entered(door: Door, address: str) -> Ticket:
    ticket = door.enter(address)
    assert isinstance(ticket, Ticket)
    return ticket


def test_connections_in_all() -> None:
    door = Door(Limits(max_connections=2), signs_in=False)
    first = entered(door, "192.0.2.1")
    entered(door, "192.0.2.2")
    assert door.enter("192.0.2.3") is replies.TOO_MANY_CONNECTIONS
    first.give_back()
    first.give_back()
    assert door.open == 1
    entered(door, "192.0.2.3")


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
    ],
)
def test_connections_of_one_address(one: str, same: str, other: str) -> None:
    door = Door(Limits(max_connections_per_address=1), signs_in=False)
    ticket = entered(door, one)
    assert door.enter(same) is replies.TOO_MANY_CONNECTIONS
    entered(door, other)
    ticket.give_back()
    entered(door, same)


def test_connections_without_anybody_signed_in() -> None:
    door = Door(Limits(max_unauthenticated_connections=1), signs_in=True)
    ticket = entered(door, "192.0.2.1")
    assert door.enter("192.0.2.2") is replies.TOO_MANY_CONNECTIONS
    ticket.signed_in()
    ticket.signed_in()
    other = entered(door, "192.0.2.2")
    assert door.enter("192.0.2.3") is replies.TOO_MANY_CONNECTIONS
    ticket.give_back()
    assert door.enter("192.0.2.3") is replies.TOO_MANY_CONNECTIONS
    other.give_back()
    entered(door, "192.0.2.3")


def test_the_budget_is_never_overdrawn() -> None:
    budget = Budget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert budget.take(40)
    assert budget.exhausted
    budget.give_back(1)
    assert not budget.exhausted


def test_a_command_has_its_time() -> None:
    watch = Watch(Limits(command_seconds=300), opened=0)
    assert watch.overdue(300) is None
    assert watch.overdue(301) is replies.TOO_SLOW
    watch.turn(Doing.LISTENING, 200)
    assert watch.overdue(500) is None
    assert watch.overdue(501) is replies.TOO_SLOW


def test_signing_in_has_its_time() -> None:
    watch = Watch(Limits(sign_in_seconds=60), opened=0, signs_in=True)
    watch.turn(Doing.LISTENING, 50)
    assert watch.overdue(60) is None
    assert watch.overdue(61) is replies.TOO_SLOW
    watch.signs_in = False
    assert watch.overdue(61) is None


def test_a_session_has_its_time() -> None:
    watch = Watch(Limits(session_seconds=3_600), opened=0)
    watch.turn(Doing.LISTENING, 3_590)
    assert watch.overdue(3_600) is None
    assert watch.overdue(3_601) is replies.SESSION_TOO_LONG


def test_a_message_has_its_pace() -> None:
    watch = Watch(Limits(data_grace_seconds=60, min_data_bytes_per_second=1_000), opened=0)
    watch.turn(Doing.TAKING, 100)
    assert watch.overdue(160) is None
    assert watch.overdue(161) is replies.TOO_SLOW
    watch.taken = 10_000
    assert watch.overdue(170) is None
    assert watch.overdue(171) is replies.TOO_SLOW


def test_a_message_under_way_outlives_the_session() -> None:
    watch = Watch(Limits(session_seconds=10), opened=0)
    watch.turn(Doing.TAKING, 9)
    assert watch.overdue(20) is None


def test_nobody_is_late_while_it_is_our_turn() -> None:
    watch = Watch(Limits(), opened=0)
    watch.turn(Doing.WORKING, 1)
    assert watch.overdue(1_000_000) is None


def test_replies_must_be_read() -> None:
    watch = Watch(Limits(command_seconds=300), opened=0)
    watch.turn(Doing.TAKING, 10)
    watch.taken = 5
    now = 20.0
    with watch.replying(lambda: now):
        assert watch.overdue(320) is None
        assert watch.overdue(321) is replies.TOO_SLOW
        now = 300.0
    assert (watch.doing, watch.since, watch.taken) == (Doing.TAKING, 290, 5)


def test_errors_are_counted() -> None:
    watch = Watch(Limits(max_bad_commands=3), opened=0)
    assert [watch.error() for _ in range(3)] == [False, False, True]
