"""What is thought of a clock, by what is known of its offset."""

from datetime import timedelta

import pytest

from gateway.points.timekeeping import Offset, Timekeeping, judged, middle

SECOND = timedelta(seconds=1)
GOOD, UNKNOWN, OFF = Timekeeping.GOOD, Timekeeping.UNKNOWN, Timekeeping.OFF


@pytest.mark.req("TIM-02")
@pytest.mark.parametrize(
    ("seconds", "before", "state"),
    [
        (0.0, UNKNOWN, GOOD),
        (1.0, UNKNOWN, GOOD),
        (1.001, UNKNOWN, OFF),
        (-1.001, GOOD, OFF),
        (-0.9, OFF, GOOD),
        (None, UNKNOWN, UNKNOWN),
        (None, GOOD, UNKNOWN),
        (None, OFF, OFF),
    ],
)
def test_a_clock_is_good_if_it_is_known_to_be(seconds: float | None, before: Timekeeping, state: Timekeeping) -> None:
    """And one that was off is off until it was seen to be good."""
    offset = None if seconds is None else Offset(seconds, "ntp")
    assert judged(offset, SECOND, before) is state


@pytest.mark.parametrize(
    ("offsets", "found"),
    [((), None), ((3.0,), 3.0), ((0.1, 900.0, 0.2), 0.2), ((900.0, 0.1), 0.1), ((0.1, 0.2, 0.3, 0.4), 0.2)],
)
def test_the_answer_in_the_middle_counts(offsets: tuple[float, ...], found: float | None) -> None:
    middle_one = middle([Offset(each, "ntp") for each in offsets])
    assert (None if middle_one is None else middle_one.seconds) == found
