"""Messages in mailboxes: UIDs without gaps, and nobody else's mail."""

import asyncio
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import Connection

from gateway.storage import letters, mailboxes, states
from gateway.storage.engine import Storage
from gateway.storage.errors import Conflict
from gateway.storage.mailboxes import Folder, NewMessage, StoredMessage
from tests.storage.conftest import AT, Place

TOKENS = count()


def new(place: Place, mailbox_id: int, **changes: object) -> NewMessage:
    fields = {"token": f"t{next(TOKENS)}", "body_id": place.body, "size": 100, "kind": "ordinary", "at": AT}
    return NewMessage(mailbox_id=mailbox_id, **fields | changes)  # type: ignore[arg-type]


async def delivered(place: Place, *messages: NewMessage) -> None:
    await place.storage.write(lambda connection: mailboxes.deliver(connection, messages))


async def listing(place: Place, mailbox_id: int) -> list[StoredMessage]:
    """What POP3 shows, with all that is known of it."""

    def question(connection: Connection) -> list[StoredMessage]:
        listed = mailboxes.pop3_listing(connection, mailbox_id)
        found = [mailboxes.find(connection, mailbox_id, message.token) for message in listed]
        assert [message and message.id for message in found] == [message.id for message in listed]
        assert [message and message.size for message in found] == [message.size for message in listed]
        assert [message and message.body_id for message in found] == [message.body_id for message in listed]
        return [message for message in found if message is not None]

    return await place.storage.read(question)


async def test_a_message_comes_back_as_it_was_delivered(place: Place) -> None:
    box = place.anna.mailbox_id
    await delivered(place, new(place, box, token="opaque", kind="delivery", pec_msgid="id@alfa.example", flags=1))
    (found,) = await listing(place, box)
    assert (found.token, found.kind, found.pec_msgid) == ("opaque", "delivery", "id@alfa.example")
    assert (found.uid, found.at, found.size, found.body_id, found.folder) == (1, AT, 100, place.body, "Receipts")
    assert await place.storage.read(lambda c: states.states(c, box, "Receipts")) == [(1, 2, 1, 0)]


async def test_each_mailbox_counts_for_itself_in_order_of_arrival(place: Place) -> None:
    anna, bruno = place.anna.mailbox_id, place.bruno.mailbox_id
    await delivered(place, new(place, anna), new(place, bruno), new(place, anna), new(place, anna))
    await delivered(place, new(place, bruno))
    assert [message.uid for message in await listing(place, anna)] == [1, 2, 3]
    assert [message.uid for message in await listing(place, bruno)] == [1, 2]


async def test_a_uid_is_never_used_twice(place: Place) -> None:
    box = place.anna.mailbox_id
    await delivered(place, new(place, box), new(place, box))
    ids = [message.id for message in await listing(place, box)]
    assert await place.storage.write(lambda connection: letters.remove(connection, box, ids, AT)) == [
        ("INBOX", 1),
        ("INBOX", 2),
    ]
    await delivered(place, new(place, box))
    assert [message.uid for message in await listing(place, box)] == [3]


async def test_deliveries_at_the_same_time_have_different_uids(storage_url: str, place: Place) -> None:
    """Many flows of two nodes into two mailboxes, named in either order."""
    nodes = [place.storage, Storage.open(storage_url)]
    boxes = [place.anna.mailbox_id, place.bruno.mailbox_id]

    async def flow(node: Storage, number: int) -> None:
        order = boxes if number % 2 else boxes[::-1]
        messages = [new(place, box) for box in order]
        await node.write(lambda connection: mailboxes.deliver(connection, messages))

    await asyncio.gather(*(flow(node, number) for number in range(50) for node in nodes))
    for box in boxes:
        found = await listing(place, box)
        assert [message.uid for message in found] == list(range(1, 50 * len(nodes) + 1))
        assert len({message.token for message in found}) == len(found)
    for node in nodes[1:]:
        node.close()


async def test_pop3_shows_inbox_and_receipts_in_order_of_arrival(place: Place) -> None:
    box = place.anna.mailbox_id
    order = (Folder.INBOX, Folder.SENT, Folder.RECEIPTS, Folder.INBOX)
    times = [AT + timedelta(hours=hours) for hours in (3, 2, 1, 0)]
    await delivered(place, *(new(place, box, folder=folder, at=at) for folder, at in zip(order, times, strict=True)))
    assert [message.folder for message in await listing(place, box)] == ["INBOX", "Receipts", "INBOX"]


async def test_nobody_removes_from_the_mailbox_of_another(place: Place) -> None:
    anna, bruno = place.anna.mailbox_id, place.bruno.mailbox_id
    await delivered(place, new(place, anna), new(place, bruno))
    (mine,), (other,) = await listing(place, anna), await listing(place, bruno)
    assert await place.storage.write(lambda c: letters.remove(c, anna, [mine.id, other.id, 999], AT)) == [("INBOX", 1)]
    assert await listing(place, anna) == []
    assert await listing(place, bruno) == [other]


async def test_nobody_finds_a_message_in_the_mailbox_of_another(place: Place) -> None:
    await delivered(place, new(place, place.anna.mailbox_id, token="hers"))
    find = lambda box: place.storage.read(lambda connection: mailboxes.find(connection, box, "hers"))  # noqa: E731
    assert await find(place.anna.mailbox_id) is not None
    assert await find(place.bruno.mailbox_id) is None


async def test_a_mailbox_that_is_gone_is_a_conflict(place: Place) -> None:
    with pytest.raises(Conflict):
        await delivered(place, new(place, 999))


async def test_every_change_has_a_modseq_of_its_own(place: Place) -> None:
    box = place.anna.mailbox_id
    await delivered(place, new(place, box), new(place, box))
    (first, _) = await listing(place, box)
    await place.storage.write(lambda connection: letters.remove(connection, box, [first.id], AT))
    await delivered(place, new(place, box))

    def modseqs(connection: Connection) -> list[int]:
        rows = connection.exec_driver_sql("SELECT modseq FROM message_states ORDER BY uid").all()
        return [row[0] for row in rows]

    assert await place.storage.read(modseqs) == [3, 5]
