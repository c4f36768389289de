"""The truth table of RFC 6109 section 3.1.6, and the hours it counts."""

from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from gateway.points.timeouts import DECISIONS, Age, Deadlines, Heard, Standing, overdue, reason
from receipts.facts import Deadline

ROME = ZoneInfo("Europe/Rome")
AT = datetime(2026, 3, 2, 8, 30, 15, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def due(hours: float, heard: Heard = Heard.NOTHING, *, told: bool = False, at: datetime = AT) -> Deadline | None:
    standing = Standing(accepted_at=at, heard=heard, told=told)
    return overdue(standing, Deadlines(), (at.astimezone(UTC) + timedelta(hours=hours)).astimezone(at.tzinfo))


def test_every_standing_has_a_decision() -> None:
    assert set(DECISIONS) == set(product(Age, Heard))


@pytest.mark.req("TIM-11", "TIM-12", "TIM-13", "TIM-14")
@pytest.mark.parametrize(
    ("heard", "first", "second"),
    [
        (Heard.NOTHING, Deadline.FIRST, Deadline.SECOND),
        (Heard.TAKEN, None, Deadline.SECOND),
        (Heard.END, None, None),
    ],
)
def test_the_truth_table(heard: Heard, first: Deadline | None, second: Deadline | None) -> None:
    assert [due(hours, heard) for hours in (0, 11.999)] == [None, None]
    assert [due(hours, heard) for hours in (12, 22.999)] == [first, first]
    assert [due(hours, heard) for hours in (23, 24, 1_000)] == [second] * 3


@pytest.mark.req("TIM-17")
def test_the_first_notice_goes_out_once() -> None:
    assert due(12, told=True) is None
    assert due(23, told=True) is Deadline.SECOND


@pytest.mark.req("TIM-12")
@pytest.mark.parametrize(
    ("first", "second", "lawful"),
    [
        (12, 22, True),
        (13, 23.9, True),
        (12, 24, False),
        (12, 21.99, False),
        (11.99, 23, False),
        (22, 23, False),
    ],
)
def test_deadlines_outside_the_law_are_refused(first: float, second: float, lawful: bool) -> None:
    hours = {"first": timedelta(hours=first), "second": timedelta(hours=second)}
    if lawful:
        assert Deadlines(**hours).second == hours["second"]
    else:
        with pytest.raises(ValueError, match="the first notice is due"):
            Deadlines(**hours)


@pytest.mark.req("TIM-10", "TIM-11")
@pytest.mark.parametrize(
    "evening",
    [
        datetime(2026, 3, 28, 20, 0, tzinfo=ROME),  # the night in which summer time begins: one hour less on the wall
        datetime(2026, 10, 24, 20, 0, tzinfo=ROME),  # the night in which it ends
        datetime(2026, 10, 25, 2, 30, tzinfo=ROME),  # inside the doubled hour, first and second time
        datetime(2026, 10, 25, 2, 30, tzinfo=ROME, fold=1),
        datetime(2026, 7, 1, 20, 0, tzinfo=ROME),
    ],
)
def test_hours_are_hours_whatever_the_clocks_on_the_wall_do(evening: datetime) -> None:
    second = timedelta(seconds=1) / timedelta(hours=1)
    assert due(12 - second, at=evening) is None
    assert due(12, at=evening) is Deadline.FIRST
    assert due(23 - second, at=evening) is Deadline.FIRST
    assert due(23, at=evening) is Deadline.SECOND


def test_the_reasons_tell_the_two_apart() -> None:
    first, second = (reason(deadline, "Alfa PEC") for deadline in Deadline)
    assert first.italian == "4.4.1 - Alfa PEC - nessuna conferma dal gestore del destinatario nelle prime 12 ore"
    assert second.italian == "5.4.1 - Alfa PEC - nessuna conferma di consegna entro 24 ore"
