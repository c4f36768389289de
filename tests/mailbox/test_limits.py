"""Who is let in (D17)."""

from gateway.mailbox.limits import Admissions, MailboxLimits


def test_connections_are_bounded_in_all_and_by_address() -> None:
    doors = Admissions(MailboxLimits(max_connections=3, max_connections_per_address=2))
    first, second = doors.admit("a"), doors.admit("a")
    assert first is not None
    assert second is not None
    assert doors.admit("a") is None
    assert doors.admit("b") is not None
    assert doors.admit("c") is None
    first.give_back()
    assert doors.admit("a") is not None


def test_connections_without_sign_in_are_bounded() -> None:
    doors = Admissions(MailboxLimits(max_unauthenticated=2))
    first, second = doors.admit("a"), doors.admit("b")
    assert first is not None
    assert second is not None
    assert doors.admit("c") is None
    first.signed_in()
    first.signed_in()
    assert doors.admit("c") is not None
    assert doors.admit("d") is None
    first.give_back()
    assert doors.admit("d") is None
    second.give_back()
    assert doors.admit("d") is not None


def test_nothing_is_remembered_of_who_left() -> None:
    doors = Admissions(MailboxLimits(max_connections=1))
    ticket = doors.admit("a")
    assert doors.admit("b") is None
    assert ticket is not None
    ticket.give_back()
    assert doors.unknown == 0
    assert not doors._networks
