"""The journal of a shared box: rows as they were written, bounded, in order, forgotten in time."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from gateway.points.sharing import Act
from gateway.storage import journal
from gateway.storage.journal import Entry, Mentioned
from tests.storage.conftest import AT, Place


def entry(place: Place, minutes: int = 0, **facts: object) -> Entry:
    values = {"act": Act.READ, "protocol": "imap", "person": "Carla"} | facts
    return Entry(mailbox_id=place.anna.mailbox_id, at=AT + timedelta(minutes=minutes), **values)  # type: ignore[arg-type]


async def kept(place: Place, *entries: Entry) -> list[journal.Told]:
    def transaction(connection: Connection) -> None:
        for one in entries:
            journal.add(connection, one)

    await place.storage.write(transaction)
    return await place.storage.read(lambda c: journal.page(c, place.anna.mailbox_id))


async def test_a_row_comes_back_as_it_was_written(place: Place) -> None:
    (row,) = await kept(
        place,
        entry(
            place,
            act=Act.MOVE,
            device="0a1b2c3d",
            address="2001:db8::7",
            folder="INBOX",
            target="Città",
            uids=[1, 2, 3, 7],
            mentioned=[Mentioned(2, "t2", "p@alfa.example", "oggetto"), Mentioned(7, "t7", None, None)],
            facts={"why": "perché"},
        ),
    )
    assert (row.at, row.person, row.device, row.address, row.protocol) == (
        AT,
        "Carla",
        "0a1b2c3d",
        "2001:db8::7",
        "imap",
    )
    assert (row.act, row.folder, row.target, row.uids, row.messages) == ("moved", "INBOX", "Città", "1:3,7", 4)
    assert row.detail == {"why": "perché", "of": [[2, "t2", "p@alfa.example", "oggetto"], [7, "t7", None, None]]}


@pytest.mark.parametrize(
    ("uids", "text"),
    [([], ""), ([5], "5"), ([1, 2], "1:2"), ([1, 3, 5], "1,3,5"), ([1, 2, 3, 9, 10, 20], "1:3,9:10,20")],
)
def test_a_set_is_written_in_runs(uids: list[int], text: str) -> None:
    assert journal.written(uids) == text


async def test_what_is_long_becomes_several_rows(place: Place) -> None:
    scattered = list(range(1, 4_001, 2))  # 2,000 runs
    rows = await kept(place, entry(place, uids=scattered))
    assert [row.messages for row in rows] == [500, 500, 500, 500]
    assert ",".join(row.uids or "" for row in rows) == journal.written(scattered)
    named = [Mentioned(uid, "t", None, "s") for uid in range(1, 1_201)]
    rows = (await kept(place, entry(place, 1, uids=range(1, 1_201), mentioned=named)))[4:]
    assert [(row.uids, len(row.detail["of"])) for row in rows] == [
        ("1:500", 500),
        ("501:1000", 500),
        ("1001:1200", 200),
    ]


async def test_a_whole_folder_in_a_row_is_one_row(place: Place) -> None:
    (row,) = await kept(place, entry(place, uids=range(1, 100_001)))
    assert (row.uids, row.messages) == ("1:100000", 100_000)


async def test_what_databases_refuse_is_replaced(place: Place) -> None:
    (row,) = await kept(place, entry(place, folder="a\0b", person="\ud800", facts={"name": "c\0\ud800"}))
    assert (row.folder, row.person) == ("a\ufffdb", "\ufffd")
    assert "\ud800" not in row.detail["name"]


async def test_pages_follow_each_other_within_the_time_that_is_asked_for(place: Place) -> None:
    await kept(place, *(entry(place, number // 3, folder=str(number)) for number in range(2_500)))
    box, found = place.anna.mailbox_id, list[str | None]()
    since, until = AT + timedelta(minutes=1), AT + timedelta(minutes=800)
    page = await place.storage.read(lambda c: journal.page(c, box, since=since, until=until))
    while page:
        found += [row.folder for row in page]
        last = page[-1]
        page = await place.storage.read(lambda c, last=last: journal.page(c, box, since=since, until=until, after=last))  # type: ignore[misc]
    assert found == [str(number) for number in range(3, 2_400)]
    assert await place.storage.read(lambda c: journal.page(c, place.bruno.mailbox_id)) == []


async def test_what_is_old_is_forgotten_the_oldest_first(place: Place) -> None:
    await kept(place, *(entry(place, number) for number in range(10)))
    before = AT + timedelta(minutes=7)
    assert await place.storage.write(lambda c: journal.forget(c, before, 5)) == 5
    left = await place.storage.read(lambda c: journal.page(c, place.anna.mailbox_id))
    assert [row.at for row in left] == [AT + timedelta(minutes=number) for number in range(5, 10)]
    assert await place.storage.write(lambda c: journal.forget(c, before, 5)) == 2
