"""What one account may submit in an hour and in a day."""

from gateway.smtp.allowance import DAY, HOUR, Allowance
from gateway.smtp.limits import Limits


def test_messages_in_an_hour() -> None:
    allowance = Allowance(Limits(messages_per_hour=3))
    for _ in range(3):
        assert allowance.admits(1, 1, 10 * HOUR)
        allowance.count(1, 1, 10 * HOUR)
    assert not allowance.admits(1, 1, 10 * HOUR)
    assert allowance.admits(2, 1, 10 * HOUR)


def test_an_hour_slides() -> None:
    allowance = Allowance(Limits(messages_per_hour=4))
    for _ in range(4):
        allowance.count(1, 1, 10.9 * HOUR)
    assert not allowance.admits(1, 1, 11.1 * HOUR)
    assert allowance.admits(1, 1, 11.3 * HOUR)
    assert allowance.admits(1, 1, 12.1 * HOUR)


def test_recipients_in_an_hour() -> None:
    allowance = Allowance(Limits(recipients_per_hour=100))
    allowance.count(1, 60, 0)
    assert allowance.admits(1, 40, 0)
    assert not allowance.admits(1, 41, 0)


def test_a_day_counts_too() -> None:
    allowance = Allowance(Limits(messages_per_hour=10, messages_per_day=15, recipients_per_day=1_000))
    for hour in range(5):
        for _ in range(3):
            allowance.count(1, 1, hour * HOUR)
    assert not allowance.admits(1, 1, 6 * HOUR)
    assert allowance.admits(1, 1, 2 * DAY)


def test_recipients_in_a_day() -> None:
    allowance = Allowance(Limits(recipients_per_hour=100, recipients_per_day=150))
    allowance.count(1, 90, 0)
    assert not allowance.admits(1, 61, 3 * HOUR)
    assert allowance.admits(1, 60, 3 * HOUR)


def test_after_a_long_silence_nothing_counts() -> None:
    allowance = Allowance(Limits(messages_per_hour=1))
    allowance.count(1, 1, 0)
    assert allowance.admits(1, 1, 5 * HOUR)
