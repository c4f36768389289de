"""Sets of message numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.imap.numbers import covered, is_within, merged, number_set, written, written_without
from gateway.mailbox.imap.tokens import Cursor, Malformed

SETS = st.sets(st.integers(1, 60))


def expanded(text: bytes) -> set[int]:
    if not text:
        return set()
    return {number for low, high in number_set(Cursor(text)) for number in range(low, high + 1)}


@given(SETS)
def test_what_is_written_is_read_again(numbers: set[int]) -> None:
    assert expanded(written(sorted(numbers))) == numbers


@given(SETS, SETS)
def test_ranges_without_some(numbers: set[int], others: set[int]) -> None:
    ranges = merged((number, number) for number in numbers)
    assert expanded(written_without(ranges, sorted(others))) == numbers - others
    assert {number for number in range(70) if is_within(ranges, number)} == numbers


def test_runs_become_ranges() -> None:
    assert written([1, 2, 3, 5, 7, 8]) == b"1:3,5,7:8"
    assert written([]) == b""
    assert merged([(5, 9), (1, 4), (8, 12), (20, 20)]) == [(1, 12), (20, 20)]


def test_a_set_ends_at_the_last_number_given_out() -> None:
    assert covered(number_set(Cursor(b"5:*,3,99")), 10) == [(3, 3), (5, 10)]
    assert covered(number_set(Cursor(b"*")), 0) == []


@pytest.mark.parametrize("text", [b"", b"0", b"x", b"4294967296", b"-1", b",1"])
def test_what_is_no_set(text: bytes) -> None:
    with pytest.raises(Malformed):
        number_set(Cursor(text))
