"""Time and identifiers: the two things a flow takes from outside."""

import re
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.drivers.sources import RandomIds, SystemClock, legal_time

ROME = ZoneInfo("Europe/Rome")


@pytest.mark.req("MID-01")
def test_tokens_are_32_hexadecimal_digits_and_never_the_same() -> None:
    ids = RandomIds()
    tokens = [ids.token() for _ in range(10_000)]
    assert len(set(tokens)) == len(tokens)
    assert all(re.fullmatch(r"[0-9a-f]{32}", token) for token in tokens)


def test_threads_never_share_a_token() -> None:
    ids = RandomIds()
    drawn: list[list[str]] = [[] for _ in range(8)]

    def draw(mine: list[str]) -> None:
        mine.extend(ids.token() for _ in range(5_000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tokens = [token for mine in drawn for token in mine]
    assert len(set(tokens)) == len(tokens) == 40_000


def test_the_clock_has_the_offset_of_the_zone_it_was_given() -> None:
    before = datetime.now(UTC)
    now = SystemClock(ROME).now()
    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == before.astimezone(ROME).utcoffset()


@pytest.mark.req("TIM-03")
@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        ("2026-03-29T00:59:59Z", "2026-03-29T01:59:59+01:00"),
        ("2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"),
        ("2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T01:30:00Z", "2026-10-25T02:30:00+01:00"),
    ],
)
def test_legal_time_is_what_is_in_force_at_the_moment(instant: str, shown: str) -> None:
    assert legal_time(datetime.fromisoformat(instant), ROME).isoformat() == shown


@pytest.mark.parametrize("evening", ["2026-03-28T19:00:00Z", "2026-10-24T18:00:00Z"])
def test_what_is_added_to_it_is_time_that_passes(evening: str) -> None:
    """The hours on the wall would be eleven and thirteen."""
    at = datetime.fromisoformat(evening)
    local = legal_time(at, ROME)
    assert local + timedelta(hours=12) == at + timedelta(hours=12)
    assert at.astimezone(ROME) + timedelta(hours=12) != at + timedelta(hours=12)
