"""What a session knows of its folder, and when its numbers change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.imap.numbers import SAVED, number_set
from gateway.mailbox.imap.tokens import Cursor
from gateway.mailbox.imap.view import View
from gateway.points.boxes import Changes, Details, Opened, Row, Stored


def view(*uids: int, recent_from: int = 1000) -> View:
    opened = Opened(
        folder_id=1,
        name="x",
        uid_validity=1,
        uid_next=max(uids, default=0) + 1,
        modseq=10,
        uids=uids,
        first_unseen=None,
        recent_from=recent_from,
        flags=(),
        may_write=True,
    )
    return View(opened, read_only=False)


def row(uid: int, modseq: int) -> Row:
    return Row(uid, modseq, frozenset())


def changes(*rows: Row, vanished: tuple[int, ...] = (), modseq: int = 20) -> Changes:
    return Changes(modseq=modseq, rows=rows, vanished=vanished)


@pytest.mark.parametrize(
    ("numbers", "uid", "expected"),
    [
        ([(1, 1)], False, [10]),
        ([(2, 0)], False, [20, 30, 40]),
        ([(0, 2)], False, [20, 30, 40]),
        ([(3, 2), (2, 2)], False, [20, 30]),
        ([(5, 5)], False, None),
        ([(1, 5)], False, None),
        ([(0, 0)], False, [40]),
        ([(15, 35)], True, [20, 30]),
        ([(1, 9)], True, []),
        ([(99, 0)], True, [40]),  # the last message is always in it (RFC 3501 section 6.4.8)
        ([(0, 0), (10, 10), (1, 10)], True, [10, 40]),
    ],
)
def test_sets_name_messages(numbers: list[tuple[int, int]], uid: bool, expected: list[int] | None) -> None:
    seen = view(10, 20, 30, 40)
    assert seen.chosen(numbers, uid=uid) == expected
    ranges = seen.ranges(numbers, uid=uid)
    inside = (
        None if ranges is None else [each for each in seen.uids if any(low <= each <= high for low, high in ranges)]
    )
    assert inside == expected


def test_in_an_empty_folder_a_star_names_nothing() -> None:
    assert view().chosen([(1, 0)], uid=False) == []
    assert view().chosen([(1, 1)], uid=False) is None
    assert view().chosen([(1, 0)], uid=True) == []


def test_removed_messages_keep_their_numbers_until_they_may_go() -> None:
    seen = view(10, 20, 30, 40)
    assert seen.take(changes(vanished=(10, 30, 99))) == (False, [])
    assert [seen.number(uid) for uid in (10, 20, 30, 40)] == [1, 2, 3, 4]
    assert seen.has_gone
    assert seen.remove_gone() == ([10, 30], [3, 1])
    assert [seen.number(uid) for uid in (10, 20, 30, 40)] == [None, 1, None, 2]
    assert seen.remove_gone() == ([], [])


def test_new_messages_come_last_and_changes_are_told_once() -> None:
    seen = view(10, 20)
    seen.tell(row(10, 15))
    fresh, changed = seen.take(changes(row(10, 15), row(20, 16), row(30, 17)))
    assert (fresh, changed, list(seen.uids)) == (True, [row(20, 16)], [10, 20, 30])
    assert seen.take(changes(row(10, 21), modseq=21)) == (False, [row(10, 21)])


def test_a_change_after_the_one_that_was_told_is_told() -> None:
    seen = view(10)
    seen.tell(row(10, 15))
    assert seen.take(changes(row(10, 18))) == (False, [row(10, 18)])


def test_recent_messages_are_those_of_this_session() -> None:
    seen = view(10, 20, 30, recent_from=20)
    assert [seen.is_recent(uid) for uid in (10, 20, 30)] == [False, True, True]
    assert seen.are_recent([10, 20, 30]) == [False, True, True]
    assert seen.recent() == 2
    seen.take(changes(row(40, 15), row(50, 16)))
    assert not seen.is_recent(40)
    seen.claim_recent(50)
    assert [seen.is_recent(uid) for uid in (40, 50)] == [False, True]
    assert seen.recent() == 3


def test_what_was_saved_stays_while_it_is_there() -> None:
    seen = view(10, 20, 30)
    seen.saved = [10, 30]
    seen.take(changes(vanished=(10,)))
    seen.remove_gone()
    assert seen.chosen(SAVED, uid=True) == [30]
    assert seen.ranges(SAVED, uid=True) == [(10, 10), (30, 30)]


def test_when_removals_are_forgotten_what_is_there_counts() -> None:
    seen = view(10, 20, 30)
    seen.keep_only([20])
    assert seen.remove_gone() == ([10, 30], [3, 1])


@pytest.mark.parametrize(("modseq", "known"), [(11, 11), (12, 10)])
def test_after_storing_flags_a_session_is_up_to_date_unless_others_changed_the_box_too(modseq: int, known: int) -> None:
    seen = view(10, 20, 30)
    stored = Details(uids=[10, 20, 30], modseqs=[modseq, 9, modseq], flags=[frozenset()] * 3)
    seen.tell_stored(Stored(stored, [], modseq))
    assert seen.modseq == known
    _, changed = seen.take(changes(row(10, modseq), row(20, modseq - 1), row(30, modseq), modseq=modseq))
    if known < modseq:
        assert changed == [row(20, modseq - 1)]  # what others did, and only that


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12),
    st.sets(st.integers(1, 25)),
    st.booleans(),
)
def test_a_set_of_very_many_ranges_names_the_same_messages_in_few(
    ranges: list[tuple[int, int]], uids: set[int], uid: bool
) -> None:
    said = b",".join(b"%s:%s" % tuple(b"%d" % end if end else b"*" for end in each) for each in ranges)
    many, here = number_set(Cursor(b",".join([said] * 1_001))), view(*sorted(uids))
    assert len(many) <= len(ranges) + 1
    assert here.chosen(many, uid=uid) == here.chosen(number_set(Cursor(said)), uid=uid)
