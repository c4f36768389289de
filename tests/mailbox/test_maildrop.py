"""A maildrop: numbers that stay, marks that count at the end."""

from dataclasses import dataclass

from gateway.mailbox.maildrop import Maildrop


@dataclass(frozen=True)
class Fake:
    id: int
    token: str
    size: int


def drop(*sizes: int) -> Maildrop:
    return Maildrop([Fake(100 + number, f"token-{number}", size) for number, size in enumerate(sizes, 1)])


def test_totals_leave_out_what_is_marked() -> None:
    box = drop(10, 20, 30)
    assert box.totals() == (3, 60)
    assert box.mark(2)
    assert box.totals() == (2, 40)
    box.unmark_all()
    assert box.totals() == (3, 60)


def test_numbers_stay_when_others_are_marked() -> None:
    box = drop(10, 20, 30)
    box.mark(1)
    assert box.entry(1) is None
    assert box.entry(3) == Fake(103, "token-3", 30)
    assert b"".join(box.sizes()) == b"2 20\r\n3 30\r\n"
    assert b"".join(box.tokens()) == b"2 token-2\r\n3 token-3\r\n"


def test_what_is_not_there_cannot_be_marked() -> None:
    box = drop(10)
    assert [box.mark(number) for number in (0, 2, -1, 10**9)] == [False] * 4
    assert box.mark(1)
    assert not box.mark(1)
    assert box.marked() == (101,)


def test_marks_come_in_order() -> None:
    box = drop(1, 1, 1)
    for number in (3, 1):
        box.mark(number)
    assert box.marked() == (101, 103)


def test_reading_ahead_stops_where_there_is_no_room() -> None:
    box = drop(10, 20, 30, 40)
    box.mark(2)
    assert box.after(1, room=70, most=10) == (3, 4)
    assert box.after(1, room=69, most=10) == (3,)
    assert box.after(1, room=70, most=1) == ()
    assert box.after(4, room=70, most=10) == ()
    assert box.after(1, room=-5, most=10) == ()


def test_listings_of_many_come_in_parts() -> None:
    box = drop(*[7] * 2_500)
    parts = list(box.tokens())
    assert len(parts) == 3
    assert b"".join(parts).count(b"\r\n") == 2_500
    assert b"".join(parts).endswith(b"2500 token-2500\r\n")
