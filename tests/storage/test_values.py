"""Instants and text on their way into the database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.values import clean, instant, micros


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-840, 840))  # noqa: DTZ001
def test_an_instant_comes_back_whatever_its_zone(naive: datetime, minutes: int) -> None:
    at = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instant(micros(at)) == at
    assert instant(micros(at)).utcoffset() == timedelta(0)


def test_instants_keep_their_order_to_the_microsecond() -> None:
    at = datetime(2026, 10, 25, 0, 59, 59, 999999, tzinfo=UTC)
    assert micros(at + timedelta(microseconds=1)) - micros(at) == 1


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        micros(datetime(2026, 1, 1))  # noqa: DTZ001


@given(st.text(st.characters(codec=None)))
def test_clean_text_can_be_written_and_stays_as_long(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    assert "\0" not in cleaned
    cleaned.encode("utf-8")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_text_without_fault_stays_as_it_is(text: str) -> None:
    assert clean(text) == text
