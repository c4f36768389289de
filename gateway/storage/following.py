"""Messages of a mailbox that change because something happened to them at the server they came from.

They are known by their opaque ids: what their holder has moved is found, what they have removed is not.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from gateway.points.following import Change
from gateway.points.marks import marks_of
from gateway.storage import folders, letters, states
from gateway.storage.keywords import bits_for, bits_that_fit
from gateway.storage.statements import Statement
from gateway.storage.tables import messages

__all__ = ["change_flags", "refile"]

_PLACE = Statement(
    select(messages.c.folder, messages.c.uid).where(
        messages.c.token == bindparam("token"), messages.c.mailbox_id == bindparam("mailbox")
    )
)


def change_flags(connection: Connection, mailbox_id: int, changes: Sequence[tuple[str, Change]]) -> int:
    """Give flags to messages and take others from them, by opaque ids; how many are here and changed."""
    folders.hold(connection, mailbox_id)
    alike: dict[tuple[str, Change], list[int]] = {}
    for token, change in changes:
        place = _PLACE.one(connection, {"token": token, "mailbox": mailbox_id})
        if place is not None:
            alike.setdefault((place[0], change), []).append(place[1])
    return sum(
        _change(connection, mailbox_id, folder, sorted(uids), change) for (folder, change), uids in alike.items()
    )


def refile(
    connection: Connection, mailbox_id: int, filed: Sequence[tuple[str, str]], target: str, at: datetime
) -> frozenset[str]:
    """Move messages into a folder: the opaque ids of those that moved.

    Args:
        filed: opaque ids, each with the key of the folder it was put into. What its holder has moved since stays there.
        target: the key of a folder. If there is none, nothing moves.
    """
    folders.hold(connection, mailbox_id)
    if not filed or all(folder.key != target for folder in folders.list_folders(connection, mailbox_id)):
        return frozenset()
    found: dict[str, list[int]] = {}
    moved = set()
    for token, folder in filed:
        place = _PLACE.one(connection, {"token": token, "mailbox": mailbox_id})
        if place is not None and place[0] == folder != target:
            found.setdefault(folder, []).append(place[1])
            moved.add(token)
    for folder, uids in found.items():
        letters.move(connection, mailbox_id, folder, sorted(uids), target, at)
    return frozenset(moved)


def _change(connection: Connection, mailbox_id: int, folder: str, uids: Sequence[int], change: Change) -> int:
    given, given_words = marks_of(change.given)
    taken, taken_words = marks_of(change.taken)
    return states.set_flags(
        connection,
        mailbox_id,
        folder,
        uids,
        modseq=folders.change_box(connection, mailbox_id)[0],
        keep=~int(taken),
        add=int(given),
        keep_keywords=~bits_for(connection, mailbox_id, taken_words, add=False),
        add_keywords=bits_that_fit(connection, mailbox_id, given_words),
    )
