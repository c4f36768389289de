"""Folders of a box as programs make, rename and count them: transactions and questions about one mailbox."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from gateway.flows.boxtallies import Tallies
from gateway.points.box import FIRST_FOLDERS, MAX_FOLDERS, is_folder_name
from gateway.points.boxes import BoxRefused, Folder, SpecialUse, Status, Why
from gateway.storage import folders, letters
from gateway.storage.folders import StoredFolder

__all__ = ["create", "delete_some", "listed", "named", "rename", "statuses", "subscribe"]

KEPT: Final = frozenset(folder.key for folder in FIRST_FOLDERS)
INBOX: Final = "INBOX"
MAX_SUBSCRIPTIONS: Final = 2 * MAX_FOLDERS


def named(connection: Connection, mailbox_id: int, name: str) -> StoredFolder:
    """The folder of this name. Raises BoxRefused if there is none."""
    found = folders.folder_named(connection, mailbox_id, name)
    if found is None:
        raise BoxRefused(Why.NO_FOLDER)
    return found


def opened(connection: Connection, mailbox_id: int, name: str) -> tuple[StoredFolder, int]:
    """The folder of this name, and the modseq of its box. Raises BoxRefused if there is none."""
    found = folders.folder_and_modseq(connection, mailbox_id, name)
    if found is None:
        raise BoxRefused(Why.NO_FOLDER)
    return found


def listed(connection: Connection, mailbox_id: int) -> list[Folder]:
    """All folders by name, then the names that are subscribed to without being one."""
    wanted = folders.subscribed(connection, mailbox_id)
    found = sorted(folders.list_folders(connection, mailbox_id), key=lambda one: (one.key != INBOX, one.name))
    names = {one.name for one in found}
    shown = [
        Folder(
            name=one.name,
            special_use=SpecialUse(one.special_use) if one.special_use else None,
            subscribed=one.name in wanted,
        )
        for one in found
    ]
    return [*shown, *(Folder(name=name, subscribed=True, exists=False) for name in sorted(wanted - names))]


def create(connection: Connection, mailbox_id: int, names: Sequence[str], use: SpecialUse | None) -> None:
    """Make the last of these folders, and those above it that are missing."""
    folders.change_box(connection, mailbox_id)
    known = folders.list_folders(connection, mailbox_id)
    if names[-1] in {one.name for one in known}:
        raise BoxRefused(Why.EXISTS)
    if use is not None and any(one.special_use == use for one in known):
        raise BoxRefused(Why.CANNOT)
    _make(connection, mailbox_id, known, names[:-1])
    _make(connection, mailbox_id, known, names[-1:], use)


def delete_some(connection: Connection, mailbox_id: int, name: str, at: datetime) -> bool:
    """Remove messages of a folder for good, and with the last of them the folder; whether that is done."""
    folders.hold(connection, mailbox_id)
    folder = named(connection, mailbox_id, name)
    if folder.key in KEPT:
        raise BoxRefused(Why.CANNOT)
    some = letters.some_ids(connection, mailbox_id, folder.key, letters.MARKED)
    letters.remove(connection, mailbox_id, some, at)
    if len(some) == letters.MARKED:
        return False
    folders.change_box(connection, mailbox_id)
    folders.remove_folder(connection, folder.id)
    return True


def rename(connection: Connection, mailbox_id: int, old: str, new: str, above: Sequence[str], at: datetime) -> None:
    """Rename a folder and all below it; of the inbox the messages move, and it stays."""
    folders.change_box(connection, mailbox_id)
    folder = named(connection, mailbox_id, old)
    known = folders.list_folders(connection, mailbox_id)
    if new in {one.name for one in known}:
        raise BoxRefused(Why.EXISTS)
    if new.startswith(f"{old}/") and folder.key != INBOX:
        raise BoxRefused(Why.CANNOT)
    _make(connection, mailbox_id, known, above)
    if folder.key == INBOX:
        (made,) = _make(connection, mailbox_id, known, (new,))
        letters.move(connection, mailbox_id, INBOX, None, made.key, at)
        return
    moved = [one for one in known if one.name == old or one.name.startswith(f"{old}/")]
    names = [new + one.name[len(old) :] for one in moved]
    if not all(map(is_folder_name, names)):
        raise BoxRefused(Why.CANNOT)
    if not {one.name for one in known}.isdisjoint(names):  # below a name that is no folder itself
        raise BoxRefused(Why.EXISTS)
    for one, name in zip(moved, names, strict=True):
        folders.rename_folder(connection, one.id, name)


def subscribe(connection: Connection, mailbox_id: int, name: str, *, on: bool) -> None:
    if on and not is_folder_name(name):
        raise BoxRefused(Why.CANNOT)
    if on and len(folders.subscribed(connection, mailbox_id)) >= MAX_SUBSCRIPTIONS:
        raise BoxRefused(Why.LIMIT)
    folders.subscribe(connection, mailbox_id, name, on=on)


def statuses(connection: Connection, mailbox_id: int, names: Iterable[str], tallies: Tallies) -> Mapping[str, Status]:
    """Counts of those of these folders that are there."""
    wanted = set(names)
    modseq = folders.modseq_of(connection, mailbox_id)
    found = [one for one in folders.list_folders(connection, mailbox_id) if one.name in wanted]
    counted = {one.id: tallies.count(connection, mailbox_id, one, modseq) for one in found}
    return {
        one.name: Status(
            messages=(tally := counted[one.id]).messages,
            unseen=len(tally.unseen),
            deleted=len(tally.deleted),
            size=tally.size,
            recent=tally.recent,
            uid_validity=one.uid_validity,
            uid_next=max(tally.highest_uid, one.highest_uid) + 1,
            modseq=modseq,
        )
        for one in found
    }


def _make(
    connection: Connection,
    mailbox_id: int,
    known: list[StoredFolder],
    names: Sequence[str],
    use: SpecialUse | None = None,
) -> list[StoredFolder]:
    """Make those of these folders that are missing."""
    there = {one.name for one in known}
    made: list[StoredFolder] = []
    for name in names:
        if name in there:
            continue
        if not is_folder_name(name):
            raise BoxRefused(Why.CANNOT)
        if len(known) + len(made) >= MAX_FOLDERS:
            raise BoxRefused(Why.LIMIT)
        made.append(folders.add_folder(connection, mailbox_id, name, use))
        there.add(name)
    known += made
    return made
