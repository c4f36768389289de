"""When a day is closed, and when it may go: days of legal time, also when summer time begins and ends."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.points.closing import day_ends, day_to_close, kept_since, two_months

ROME = ZoneInfo("Europe/Rome")
SUNDAY, MONDAY = date(2026, 3, 1), date(2026, 3, 2)


def rome(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=ROME)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("first", "closed", "now", "due"),
    [
        (rome(2026, 3, 2, 9), None, rome(2026, 3, 2, 23, 59), SUNDAY),
        (rome(2026, 3, 2, 9), None, rome(2026, 3, 3, 0, 59), SUNDAY),
        (rome(2026, 3, 2, 9), None, rome(2026, 3, 3, 1), MONDAY),
        (rome(2026, 3, 2, 9), None, rome(2026, 3, 9, 12), MONDAY),
        (rome(2026, 3, 2, 23, 59), MONDAY, rome(2026, 3, 3, 9), None),  # too late for its day
        (rome(2026, 3, 2, 23, 59), MONDAY, rome(2026, 3, 4, 9), date(2026, 3, 3)),
        (rome(2026, 3, 3, 0), MONDAY, rome(2026, 3, 4, 9), date(2026, 3, 3)),
        (rome(2031, 1, 1), None, rome(2026, 3, 3, 9), MONDAY),  # from the future: look at what is around it
        (rome(2026, 3, 2, 9), date(2031, 1, 1), rome(2026, 3, 3, 9), None),  # what a wrong clock once closed
        (rome(2026, 3, 29, 0), None, rome(2026, 3, 30, 1), date(2026, 3, 29)),  # 23 hours
        (rome(2026, 10, 25, 0), None, rome(2026, 10, 26, 0, 59), date(2026, 10, 24)),
        (rome(2026, 10, 25, 0), None, rome(2026, 10, 26, 1), date(2026, 10, 25)),  # 25 hours
    ],
)
def test_a_day_is_closed_when_it_is_over(first: datetime, closed: date | None, now: datetime, due: date | None) -> None:
    assert day_to_close(first, closed, now, 1) == due


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (MONDAY, 24)]
)
def test_a_day_has_its_hours(day: date, hours: int) -> None:
    length = day_ends(day, ROME).timestamp() - day_ends(day - timedelta(days=1), ROME).timestamp()
    assert length == hours * 3600


@pytest.mark.parametrize(
    ("now", "months", "since"),
    [
        (rome(2026, 9, 10), 30, rome(2024, 3, 3)),
        (rome(2026, 8, 31), 30, rome(2024, 2, 22)),  # February ends on the 29th
        (rome(2026, 1, 15), 30, rome(2023, 7, 8)),
        (rome(2026, 12, 15), 36, rome(2023, 12, 8)),
    ],
)
def test_what_is_kept_is_kept_for_the_months_and_a_week(now: datetime, months: int, since: datetime) -> None:
    assert kept_since(now, months) == since


@pytest.mark.parametrize(
    ("day", "start", "after"),
    [
        (date(2026, 1, 1), date(2026, 1, 1), date(2026, 3, 1)),
        (date(2026, 2, 28), date(2026, 1, 1), date(2026, 3, 1)),
        (date(2026, 10, 31), date(2026, 9, 1), date(2026, 11, 1)),
        (date(2026, 12, 31), date(2026, 11, 1), date(2027, 1, 1)),
    ],
)
def test_two_months_begin_with_the_odd_ones(day: date, start: date, after: date) -> None:
    assert two_months(day) == (start, after)
