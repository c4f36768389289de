"""Who is overdue is found by the index on recipients without an end, oldest first, a page at a time."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.points.tracking import OPEN, RecipientState
from gateway.storage import certified, overdue
from gateway.storage.engine import Storage
from gateway.storage.overdue import Overdue, unanswered, unended
from tests.storage.conftest import AT, Place

HOUR = timedelta(hours=1)
X, Y = "x@beta.example", "y@gamma.example"


async def added(place: Place, *pec_msgids: str) -> None:
    """One message an hour, the first of them at AT, each to X and Y."""
    for number, pec_msgid in enumerate(pec_msgids):
        new = place.message(pec_msgid, X, Y, at=AT + number * HOUR)
        await place.storage.write(lambda connection, new=new: certified.add_message(connection, new))


async def advanced(place: Place, pec_msgid: str, address: str, to: RecipientState) -> None:
    await place.storage.write(lambda c: certified.advance(c, pec_msgid, address, to, AT, from_states=OPEN))


async def found(place: Place, find: Callable[..., list[Overdue]], *arguments: datetime, **more: int) -> list[str]:
    page = await place.storage.read(lambda connection: find(connection, *arguments, **{"limit": 9} | more))
    assert page == sorted(page, key=lambda each: each.accepted_at)
    return [f"{each.pec_msgid} {each.address}" for each in page]


async def test_those_without_an_end_are_found_taken_or_not(place: Place) -> None:
    await added(place, "1@alfa", "2@alfa", "3@alfa")
    await advanced(place, "1@alfa", X, RecipientState.DELIVERED)
    await advanced(place, "2@alfa", Y, RecipientState.TAKEN)
    everybody = [f"1@alfa {Y}", f"2@alfa {X}", f"2@alfa {Y}"]
    assert await found(place, unended, AT + HOUR) == everybody
    assert await found(place, unended, AT + HOUR, limit=1) == everybody[:1]
    assert await found(place, unended, AT + HOUR, skip=1) == everybody[1:]
    assert await found(place, unended, AT - HOUR) == []


async def test_those_are_unanswered_of_whom_nothing_was_heard_and_nobody_was_told(place: Place) -> None:
    await added(place, "1@alfa", "2@alfa", "3@alfa")
    await advanced(place, "1@alfa", X, RecipientState.TAKEN)
    await place.storage.write(lambda connection: certified.note_delay(connection, "2@alfa", X, AT))
    await advanced(place, "2@alfa", Y, RecipientState.FAILED)
    before, after = AT - HOUR, AT + 9 * HOUR
    assert await found(place, unanswered, before, after) == [f"1@alfa {Y}", f"3@alfa {X}", f"3@alfa {Y}"]
    assert await found(place, unanswered, AT, after) == [f"3@alfa {X}", f"3@alfa {Y}"]
    assert await found(place, unanswered, before, AT) == [f"1@alfa {Y}"]
    assert await found(place, unanswered, before, after, limit=1, skip=1) == [f"3@alfa {X}"]


def test_only_recipients_without_an_end_are_looked_at(sqlite_url: str) -> None:
    """PostgreSQL chooses its plans by the size of a table, SQLite by what an index promises."""
    storage = Storage.open(sqlite_url)

    def plans(connection: Connection) -> list[str]:
        texts = [str(query.compile(dialect=connection.dialect)) for query in (overdue._OPEN, overdue._SILENT)]
        return [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (1,) * text.count("?")).all())
            for text in texts
        ]

    for plan in storage.read_now(plans):
        assert "certified_recipients USING INDEX ix_certified_recipients_open (accepted_at" in plan
    storage.close()
