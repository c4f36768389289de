"""Folders and what lies in them: flags, copies, moves, what has left, what counts."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.points.marks import Mark
from gateway.points.tracking import OPEN, RecipientState
from gateway.storage import certified, content, folders, letters, mailboxes, states
from gateway.storage.engine import Storage
from gateway.storage.errors import Conflict
from gateway.storage.folders import StoredFolder
from gateway.storage.mailboxes import NewMessage
from receipts.octets import Octets
from tests.storage.conftest import AT, Place

TOKENS = count()
KEEP_ALL = -1


def tokens() -> Iterator[str]:
    while True:
        yield f"l{next(TOKENS)}"


def new(place: Place, **changes: object) -> NewMessage:
    fields: dict[str, Any] = {
        "mailbox_id": place.anna.mailbox_id,
        "token": next(tokens()),
        "body_id": place.body,
        "size": 100,
        "kind": "ordinary",
        "at": AT,
        "folder": "INBOX",
    }
    return NewMessage(**fields | changes)


def put(place: Place, *messages: NewMessage) -> None:
    place.storage.write_now(lambda connection: mailboxes.deliver(connection, messages))


def body(place: Place, size: int) -> int:
    return place.storage.write_now(lambda connection: content.save(connection, Octets.of(b"y" * size), AT))


def used(place: Place) -> int:
    def question(connection: Connection) -> int:
        statement = f"SELECT used_bytes FROM mailboxes WHERE id = {place.anna.mailbox_id}"
        return int(connection.exec_driver_sql(statement).scalar_one())

    return place.storage.read_now(question)


def rows(place: Place, folder: str = "INBOX") -> list[tuple[int, int, int]]:
    """UID, modseq and flags."""
    found = place.storage.read_now(lambda connection: states.states(connection, place.anna.mailbox_id, folder))
    return [row[:3] for row in found]


def flag(place: Place, uids: list[int], **changes: Any) -> tuple[int, int]:
    """The modseq of a change of flags, and how many messages it changed."""
    values = {"keep": KEEP_ALL, "add": 0, "keep_keywords": KEEP_ALL, "add_keywords": 0} | changes

    def transaction(connection: Connection) -> tuple[int, int]:
        box = place.anna.mailbox_id
        modseq = folders.change_box(connection, box)[0]
        return modseq, states.set_flags(connection, box, "INBOX", uids, modseq=modseq, **values)

    return place.storage.write_now(transaction)


def folder_list(place: Place, mailbox_id: int) -> list[StoredFolder]:
    return place.storage.read_now(lambda connection: folders.list_folders(connection, mailbox_id))


def test_a_box_has_its_folders_from_the_start_in_the_holders_language(place: Place) -> None:
    found = folder_list(place, place.anna.mailbox_id)
    assert [(folder.name, folder.special_use) for folder in found] == [
        ("INBOX", None),
        ("Ricevute", None),
        ("Sent", "\\Sent"),
        ("Drafts", "\\Drafts"),
        ("Trash", "\\Trash"),
        ("Junk", "\\Junk"),
        ("Archive", "\\Archive"),
    ]
    named = place.storage.read_now(lambda connection: folders.subscribed(connection, place.anna.mailbox_id))
    assert named == {folder.name for folder in found}


def test_receipts_go_to_their_folder_and_notices_stay_to_be_seen(place: Place) -> None:
    kinds = ("acceptance", "delivery", "non-delivery", "timeout", "envelope", "ordinary")
    put(place, *(new(place, kind=kind, folder=None) for kind in kinds))
    assert [uid for uid, _, _ in rows(place, "Receipts")] == [1, 2]
    assert [uid for uid, _, _ in rows(place)] == [3, 4, 5, 6]


def test_who_wants_receipts_in_the_inbox_gets_them_there(place: Place) -> None:
    place.storage.write_now(lambda c: c.exec_driver_sql("UPDATE mailboxes SET receipts_in_inbox = true") and None)
    put(place, new(place, kind="delivery", folder=None))
    assert [uid for uid, _, _ in rows(place)] == [1]


def test_a_message_for_a_folder_that_was_deleted_meanwhile_is_in_the_inbox(place: Place) -> None:
    put(place, new(place, folder="f123"))
    assert [uid for uid, _, _ in rows(place)] == [1]


def test_flags_change_together_and_only_what_changes_gets_the_new_modseq(place: Place) -> None:
    put(place, new(place), new(place, flags=int(Mark.SEEN)), new(place))
    modseq, changed = flag(place, [1, 2, 3, 99], add=int(Mark.SEEN))
    assert changed == 2
    assert rows(place) == [(1, modseq, 1), (2, 3, 1), (3, modseq, 1)]
    again, changed = flag(place, [1], keep=~int(Mark.SEEN), add=int(Mark.FLAGGED))
    assert (changed, rows(place)[0]) == (1, (1, again, int(Mark.FLAGGED)))


def test_a_message_that_changed_since_is_left_alone(place: Place) -> None:
    put(place, new(place), new(place))
    before, _ = flag(place, [1], add=int(Mark.SEEN))
    _, changed = flag(place, [1, 2], add=int(Mark.DELETED), unchanged_since=before - 1)
    assert changed == 1
    assert [flags for _, _, flags in rows(place)] == [int(Mark.SEEN), int(Mark.DELETED)]


def test_what_left_is_remembered_as_runs_and_never_comes_again(place: Place) -> None:
    box = place.anna.mailbox_id
    put(place, *(new(place) for _ in range(6)))
    flag(place, [2, 3, 6], add=int(Mark.DELETED))
    since = rows(place)[1][1]
    mark = int(Mark.DELETED)
    gone = place.storage.write_now(lambda c: letters.expunge(c, box, "INBOX", [1, 2, 3], mark, AT))
    assert gone == [2, 3]
    gone = place.storage.write_now(lambda c: letters.expunge(c, box, "INBOX", None, mark, AT))
    assert gone == [6]
    assert place.storage.read_now(lambda c: letters.vanished_since(c, box, "INBOX", since)) == [2, 3, 6]
    assert place.storage.read_now(lambda c: letters.vanished_since(c, box, "INBOX", since + 1)) == [6]
    runs = place.storage.read_now(lambda c: c.exec_driver_sql("SELECT first_uid, last_uid FROM expunged").all())
    assert sorted(map(tuple, runs)) == [(2, 3), (6, 6)]
    inbox = folder_list(place, box)[0]
    assert inbox.highest_uid == 6
    put(place, new(place))
    assert [uid for uid, _, _ in rows(place)] == [1, 4, 5, 7]


def test_what_left_long_ago_is_forgotten_and_known_to_be(place: Place) -> None:
    box = place.anna.mailbox_id
    put(place, new(place, flags=8), new(place, flags=8))
    place.storage.write_now(lambda c: letters.expunge(c, box, "INBOX", [1], 8, AT))
    place.storage.write_now(lambda c: letters.expunge(c, box, "INBOX", [2], 8, AT + timedelta(days=2)))
    place.storage.write_now(lambda c: letters.forget_expunged(c, AT + timedelta(days=1)))
    inbox = folder_list(place, box)[0]
    assert inbox.log_from == 4
    assert place.storage.read_now(lambda c: letters.vanished_since(c, box, "INBOX", inbox.log_from)) == [2]


def test_moved_messages_keep_their_id_and_leave_at_once(place: Place) -> None:
    box = place.anna.mailbox_id
    put(place, new(place, token="stays"), new(place))
    moved = place.storage.write_now(lambda c: letters.move(c, box, "INBOX", [1, 77], "Archive", AT))
    assert [(one.old_uid, one.new_uid) for one in moved] == [(1, 3)]
    assert [uid for uid, _, _ in rows(place, "Archive")] == [3]
    assert place.storage.read_now(lambda c: letters.vanished_since(c, box, "INBOX", 2)) == [1]
    found = place.storage.read_now(lambda c: mailboxes.find(c, box, "stays"))
    assert found is not None
    assert found.folder == "Archive"


def test_copies_are_new_messages_of_which_the_body_counts_once(place: Place) -> None:
    box = place.anna.mailbox_id
    put(place, new(place, body_id=body(place, 500), size=500, flags=1))
    assert used(place) == 500
    copied = place.storage.write_now(lambda c: letters.copy(c, box, "INBOX", [1], "Archive", tokens()))
    assert [(one.old_uid, one.new_uid) for one in copied] == [(1, 2)]
    assert used(place) == 500
    ids = place.storage.read_now(lambda c: [row[0] for row in c.exec_driver_sql("SELECT id FROM messages").all()])
    place.storage.write_now(lambda c: letters.remove(c, box, ids[:1], AT))
    assert used(place) == 500
    place.storage.write_now(lambda c: letters.remove(c, box, ids, AT))
    assert used(place) == 0


def test_receipts_and_the_services_own_copies_do_not_count(place: Place) -> None:
    put(place, *(new(place, kind=kind) for kind in ("acceptance", "delivery", "timeout", "sent", "service")))
    assert used(place) == 0
    put(place, *(new(place, kind=kind, body_id=body(place, 10), size=10) for kind in ("envelope", "anomaly")))
    assert used(place) == 20


def test_a_box_never_holds_more_than_it_may(place: Place) -> None:
    put(place, new(place, most=150, body_id=body(place, 100)))
    with pytest.raises(Conflict):
        put(place, new(place, most=150, body_id=body(place, 100)))
    assert used(place) == 100


async def test_usage_is_right_whoever_writes_at_the_same_time(storage_url: str, place: Place) -> None:
    nodes = [place.storage, Storage.open(storage_url)]
    bodies = [body(place, 10) for _ in range(40)]

    async def come_and_go(node: Storage, body_id: int) -> None:
        message = new(place, body_id=body_id, size=10)
        await node.write(lambda connection: mailboxes.deliver(connection, [message]))
        box = place.anna.mailbox_id
        found = await node.read(lambda connection: mailboxes.find(connection, box, message.token))
        assert found is not None
        if found.uid % 2:
            await node.write(lambda connection: letters.remove(connection, box, [found.id], AT))

    await asyncio.gather(*(come_and_go(node, body_id) for node, body_id in zip(nodes * 20, bodies, strict=True)))
    assert used(place) == 10 * len(rows(place))
    nodes[1].close()


def test_the_copy_of_a_sender_shows_what_has_become_of_the_message(place: Place) -> None:

    box = place.anna.mailbox_id
    message = place.message("abc@alfa.example", "bruno@beta.example", "carla@beta.example")
    place.storage.write_now(lambda c: certified.add_message(c, message))
    put(place, new(place, token="abc", folder="Sent", kind="sent", pec_msgid="abc@alfa.example"))

    def end(address: str, to: RecipientState) -> list[tuple[int, int, int]]:
        place.storage.write_now(lambda c: certified.advance(c, "abc@alfa.example", address, to, AT, from_states=OPEN))
        return rows(place, "Sent")

    assert end("bruno@beta.example", RecipientState.DELIVERED) == [(1, 2, 0)]
    assert end("carla@beta.example", RecipientState.DELIVERED) == [(1, 3, int(Mark.DELIVERED))]
    assert place.storage.read_now(lambda c: folders.modseq_of(c, box)) == 3


def test_counting_looks_at_each_folder(place: Place) -> None:
    put(place, new(place, flags=1), new(place), new(place, flags=8, size=7), new(place, folder="Sent"))
    box = place.anna.mailbox_id
    read = place.storage.read_now
    assert read(lambda c: states.weight(c, box, "INBOX")) == (3, 207, 3)
    assert read(lambda c: states.weight(c, box, "INBOX", 2)) == (1, 7, 3)
    assert read(lambda c: states.count_from(c, box, "INBOX", 2)) == 2
    assert read(lambda c: states.weight(c, box, "Sent")) == (1, 100, 4)
    assert read(lambda c: states.weight(c, box, "Junk")) == (0, 0, 0)
    assert read(lambda c: states.without_or_with(c, box, "INBOX", Mark.SEEN, Mark.DELETED)) == [(2, 0), (3, 8)]


def test_a_message_is_recent_to_the_first_who_asks(place: Place) -> None:
    box = place.anna.mailbox_id
    inbox = folder_list(place, box)[0].id
    put(place, new(place), new(place))
    take = lambda: place.storage.write_now(lambda c: folders.take_recent(c, box, inbox, 3))  # noqa: E731
    assert (take(), take()) == (0, 3)


async def test_every_commit_tells_which_boxes_it_changed(place: Place) -> None:
    told: list[Mapping[int, int]] = []
    place.storage.on_change(told.append)
    put(place, new(place))
    put(place, new(place, mailbox_id=place.bruno.mailbox_id), new(place))
    with pytest.raises(Conflict):
        put(place, new(place, most=1))
    await place.storage.write(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
    anna, bruno = place.anna.mailbox_id, place.bruno.mailbox_id
    assert told == [{anna: 2}, {anna: 3, bruno: 2}]
