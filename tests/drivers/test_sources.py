"""Time and identifiers: the two things a flow takes from outside."""

import re
import threading
from zoneinfo import ZoneInfo

import pytest

from gateway.drivers.sources import RandomIds, SystemClock


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


def test_the_clock_has_the_zone_it_was_given() -> None:
    now = SystemClock(ZoneInfo("Europe/Rome")).now()
    assert now.utcoffset() is not None
    assert str(now.tzinfo) == "Europe/Rome"
