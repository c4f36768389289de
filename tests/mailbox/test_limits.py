"""Who is let in (D17)."""

from gateway.mailbox.limits import Admissions, MailboxLimits, Ticket


def admit(doors: Admissions, network: str, ended: list[str] | None = None, name: str = "") -> Ticket | None:
    return doors.admit(network, lambda: None if ended is None else ended.append(name))


def test_connections_are_bounded_in_all_and_by_address() -> None:
    doors = Admissions(MailboxLimits(max_connections=3, max_connections_per_address=2))
    first, second = admit(doors, "a"), admit(doors, "a")
    assert first is not None
    assert second is not None
    assert admit(doors, "a") is None
    assert admit(doors, "b") is not None
    assert admit(doors, "c") is None
    first.give_back()
    assert admit(doors, "a") is not None


def test_connections_without_sign_in_are_bounded_and_the_address_with_most_of_them_makes_room() -> None:
    doors, ended = Admissions(MailboxLimits(max_unauthenticated=3)), list[str]()
    known = admit(doors, "b", ended, "known")
    assert known is not None
    known.signed_in()
    tickets = [admit(doors, *each) for each in (("c", ended, "c"), ("a", ended, "a1"), ("a", ended, "a2"))]
    assert None not in tickets
    assert not ended
    assert admit(doors, "d", ended, "d") is not None
    assert ended == ["a1"]
    assert len(doors.strangers) == 3
    assert admit(doors, "e", ended, "e") is not None
    assert ended == ["a1", "c"]
    for ticket in (*tickets, known):
        assert ticket is not None
        ticket.give_back()
    assert len(doors.strangers) == 2
    assert doors._inside == 2


def test_nothing_is_remembered_of_who_left() -> None:
    doors = Admissions(MailboxLimits(max_connections=1))
    ticket = admit(doors, "a")
    assert admit(doors, "b") is None
    assert ticket is not None
    ticket.give_back()
    assert not doors.strangers
    assert not doors._networks
