"""When holders hear of what came, also on the days on which the clocks change, and of what kinds of mail."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from gateway.points.box import FREE, RECEIPTS
from gateway.points.digests import About, Beat, about_of, due
from receipts.wire import MessageKind

ROME = ZoneInfo("Europe/Rome")


def rome(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ROME, fold=fold)


@pytest.mark.parametrize(
    ("beat", "hour", "first", "utc"),
    [
        (Beat.IMMEDIATELY, 8, rome("2026-03-02 09:30:15"), "2026-03-02 08:30:15"),
        (Beat.HOURLY, 8, rome("2026-03-02 09:30:15"), "2026-03-02 09:00"),
        (Beat.HOURLY, 8, rome("2026-03-02 10:00:00"), "2026-03-02 10:00"),
        (Beat.DAILY, 8, rome("2026-03-02 09:30:15"), "2026-03-03 07:00"),
        (Beat.DAILY, 8, rome("2026-03-02 07:59:59"), "2026-03-02 07:00"),
        (Beat.DAILY, 8, rome("2026-03-02 08:00:00"), "2026-03-03 07:00"),
        (Beat.DAILY, 0, rome("2026-03-02 23:59:59"), "2026-03-02 23:00"),
        # 29 March 2026: at 02:00 it is 03:00
        (Beat.DAILY, 8, rome("2026-03-28 12:00"), "2026-03-29 06:00"),
        (Beat.DAILY, 2, rome("2026-03-28 12:00"), "2026-03-29 01:00"),
        (Beat.DAILY, 2, rome("2026-03-29 03:00"), "2026-03-30 00:00"),
        (Beat.HOURLY, 8, rome("2026-03-29 01:30"), "2026-03-29 01:00"),
        # 25 October 2026: at 03:00 it is 02:00 once more
        (Beat.DAILY, 8, rome("2026-10-24 12:00"), "2026-10-25 07:00"),
        (Beat.DAILY, 2, rome("2026-10-24 12:00"), "2026-10-25 00:00"),
        (Beat.DAILY, 2, rome("2026-10-25 02:30", fold=0), "2026-10-26 01:00"),
        (Beat.DAILY, 2, rome("2026-10-25 02:00", fold=1), "2026-10-26 01:00"),
        (Beat.HOURLY, 8, rome("2026-10-25 02:30", fold=0), "2026-10-25 01:00"),
        (Beat.HOURLY, 8, rome("2026-10-25 02:30", fold=1), "2026-10-25 02:00"),
    ],
)
def test_a_digest_is_due(beat: Beat, hour: int, first: datetime, utc: str) -> None:
    assert due(beat, first, time(hour)).astimezone(UTC) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_every_kind_is_news_or_the_services_own() -> None:
    assert {kind for kind in MessageKind if not about_of(kind)} == set()
    assert {kind for kind in FREE if not about_of(kind)} == {"sent", "service"}
    assert {kind for kind in MessageKind if about_of(kind) is About.RECEIPTS} == RECEIPTS
    assert about_of("ordinary") is About.ORDINARY
    assert about_of(MessageKind.ENVELOPE) is About.CERTIFIED
    assert about_of(MessageKind.TIMEOUT) is About.FAILURES
