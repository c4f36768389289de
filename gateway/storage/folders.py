"""The folders of a mailbox. What lies in them stands in ``letters``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.points.box import FIRST_FOLDERS, folder_name
from gateway.storage.batch import batch_of
from gateway.storage.statements import Statement, among, insert_ignoring, insert_into, numbers
from gateway.storage.tables import folders, mailboxes, subscriptions

__all__ = [
    "StoredFolder",
    "add_first_folders",
    "add_folder",
    "change_box",
    "ensure_folder",
    "folder_and_modseq",
    "folder_named",
    "folder_of",
    "hold",
    "list_folders",
    "modseq_of",
    "modseqs_of",
    "remove_folder",
    "rename_folder",
    "subscribe",
    "subscribed",
    "take_recent",
    "used_bytes",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFolder:
    """A folder."""

    id: int
    key: str  # for life; what stands with its messages
    name: str
    special_use: str | None
    uid_validity: int
    highest_uid: int
    recent_from: int
    log_from: int


_COLUMNS = (
    folders.c.id,
    folders.c.key,
    folders.c.name,
    folders.c.special_use,
    folders.c.uid_validity,
    folders.c.highest_uid,
    folders.c.recent_from,
    folders.c.log_from,
)
_ADD = insert_into(folders, returning="id")
_LIST = Statement(select(*_COLUMNS).where(folders.c.mailbox_id == bindparam("mailbox")).order_by(folders.c.id))
_NAMED = Statement(
    select(*_COLUMNS).where(folders.c.mailbox_id == bindparam("mailbox"), folders.c.name == bindparam("called"))
)
_WITH_MODSEQ = Statement(
    select(*_COLUMNS, mailboxes.c.modseq)
    .select_from(folders.join(mailboxes))
    .where(folders.c.mailbox_id == bindparam("mailbox"), folders.c.name == bindparam("called"))
)
_BY_ID = Statement(
    select(*_COLUMNS).where(folders.c.mailbox_id == bindparam("mailbox"), folders.c.id == bindparam("folder"))
)
_REMOVE = Statement(delete(folders).where(folders.c.id == bindparam("folder")))
_RENAME = Statement(update(folders).where(folders.c.id == bindparam("folder")).values(name=bindparam("to")))
_RECENT = Statement(
    update(folders)
    .where(folders.c.id == bindparam("folder"), folders.c.recent_from < bindparam("next"))
    .values(recent_from=bindparam("next"))
)
_SUBSCRIBE = insert_ignoring(subscriptions)
_UNSUBSCRIBE = Statement(
    delete(subscriptions).where(
        subscriptions.c.mailbox_id == bindparam("mailbox"), subscriptions.c.name == bindparam("called")
    )
)
_SUBSCRIBED = Statement(select(subscriptions.c.name).where(subscriptions.c.mailbox_id == bindparam("mailbox")))
_CHANGE = Statement(
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox"))
    .values(
        modseq=mailboxes.c.modseq + 1,
        last_uid=mailboxes.c.last_uid + bindparam("uids"),
    )
    .returning(mailboxes.c.modseq, mailboxes.c.last_uid, mailboxes.c.used_bytes)
)
_VALIDITY = Statement(
    update(mailboxes)
    .where(mailboxes.c.id == bindparam("mailbox"))
    .values(uid_validity=mailboxes.c.uid_validity + 1)
    .returning(mailboxes.c.uid_validity)
)
_MODSEQ = Statement(select(mailboxes.c.modseq).where(mailboxes.c.id == bindparam("mailbox")))
_MODSEQS = Statement(among(mailboxes.c.id, lambda these: select(mailboxes.c.id, mailboxes.c.modseq).where(these)))
_HOLD = Statement(select(mailboxes.c.id).where(mailboxes.c.id == bindparam("mailbox")).with_for_update())
_USED = Statement(select(mailboxes.c.used_bytes, mailboxes.c.quota_bytes).where(mailboxes.c.id == bindparam("mailbox")))


def add_first_folders(connection: Connection, mailbox_id: int, language: str) -> None:
    """The folders of a new mailbox, subscribed to, in the holder's language."""
    for folder in FIRST_FOLDERS:
        name = folder_name(folder, language)
        _add(connection, mailbox_id, folder.key, name, folder.use)
        subscribe(connection, mailbox_id, name)


def add_folder(connection: Connection, mailbox_id: int, name: str, special_use: str | None = None) -> StoredFolder:
    """Make a folder of a name that none has; the caller holds the mailbox (``change_box``)."""
    key = f"f{batch_of(connection).new_id():x}"
    return _add(connection, mailbox_id, key, name, special_use)


def ensure_folder(connection: Connection, mailbox_id: int, name: str) -> StoredFolder:
    """The folder of this name or key, made and subscribed to if there is none."""
    change_box(connection, mailbox_id)
    known = list_folders(connection, mailbox_id)
    found = next((folder for folder in known if name in (folder.name, folder.key)), None)
    if found is None:
        found = add_folder(connection, mailbox_id, name)
        subscribe(connection, mailbox_id, name)
    return found


def list_folders(connection: Connection, mailbox_id: int) -> list[StoredFolder]:
    """All of them, the oldest first."""
    return [_folder(row) for row in _LIST.all(connection, {"mailbox": mailbox_id})]


def folder_named(connection: Connection, mailbox_id: int, name: str) -> StoredFolder | None:
    row = _NAMED.one(connection, {"mailbox": mailbox_id, "called": name})
    return _folder(row) if row else None


def folder_and_modseq(connection: Connection, mailbox_id: int, name: str) -> tuple[StoredFolder, int] | None:
    """The folder of this name, and the modseq of its mailbox."""
    row = _WITH_MODSEQ.one(connection, {"mailbox": mailbox_id, "called": name})
    return None if row is None else (_folder(row), row[-1])


def folder_of(connection: Connection, mailbox_id: int, folder_id: int) -> StoredFolder | None:
    """The folder with this id, if it is one of the mailbox."""
    row = _BY_ID.one(connection, {"mailbox": mailbox_id, "folder": folder_id})
    return _folder(row) if row else None


def remove_folder(connection: Connection, folder_id: int) -> None:
    """Remove an empty folder; the caller holds the mailbox."""
    _REMOVE.run(connection, {"folder": folder_id})


def rename_folder(connection: Connection, folder_id: int, name: str) -> None:
    _RENAME.run(connection, {"folder": folder_id, "to": name})


def subscribe(connection: Connection, mailbox_id: int, name: str, *, on: bool = True) -> None:
    if on:
        _SUBSCRIBE.run(connection, {"mailbox_id": mailbox_id, "name": name})
    else:
        _UNSUBSCRIBE.run(connection, {"mailbox": mailbox_id, "called": name})


def subscribed(connection: Connection, mailbox_id: int) -> frozenset[str]:
    return frozenset(name for (name,) in _SUBSCRIBED.all(connection, {"mailbox": mailbox_id}))


def take_recent(connection: Connection, mailbox_id: int, folder_id: int, uid_next: int) -> int:
    """From which UID on messages are recent to whoever asks now: nobody else will be told of those below ``uid_next``.

    A folder that is gone has none.
    """
    folder = folder_of(connection, mailbox_id, folder_id)
    if folder is None:
        return uid_next
    taken = _RECENT.run(connection, {"folder": folder_id, "next": uid_next})
    return folder.recent_from if taken else uid_next


def change_box(connection: Connection, mailbox_id: int, *, uids: int = 0) -> tuple[int, int, int]:
    """Hold a mailbox until the transaction ends, for a change: its new modseq, the UID below ``uids`` new ones, and
    the bytes it holds.

    Raises:
        LookupError: there is no such mailbox.
    """
    row = _CHANGE.one(connection, {"mailbox": mailbox_id, "uids": uids})
    if row is None:
        raise LookupError(f"no mailbox {mailbox_id}")
    batch_of(connection).changed[mailbox_id] = row[0]
    return row[0], row[1] - uids, row[2]


def modseq_of(connection: Connection, mailbox_id: int) -> int:
    """Raises LookupError if there is no such mailbox."""
    row = _MODSEQ.one(connection, {"mailbox": mailbox_id})
    if row is None:
        raise LookupError(f"no mailbox {mailbox_id}")
    return int(row[0])


def modseqs_of(connection: Connection, mailbox_ids: Iterable[int]) -> list[tuple[int, int]]:
    """Ids and modseqs of those of the mailboxes that are there."""
    return [(row[0], row[1]) for row in _MODSEQS.all(connection, numbers(connection, mailbox_ids))]


def hold(connection: Connection, mailbox_id: int) -> None:
    """Let nobody else change a mailbox until the transaction ends."""
    _HOLD.one(connection, {"mailbox": mailbox_id})


def used_bytes(connection: Connection, mailbox_id: int) -> tuple[int, int | None]:
    """How much a mailbox holds of what counts, and its own quota if it has one."""
    row = _USED.one(connection, {"mailbox": mailbox_id})
    return (0, None) if row is None else (row[0], row[1])


def _add(connection: Connection, mailbox_id: int, key: str, name: str, special_use: str | None) -> StoredFolder:
    """With a UIDVALIDITY of its own, so that a name never stands for two folders with the same (RFC 3501 2.3.1.1)."""
    given = _VALIDITY.one(connection, {"mailbox": mailbox_id})
    assert given is not None
    values = {
        "key": key,
        "name": name,
        "special_use": special_use,
        "uid_validity": given[0],
        "highest_uid": 0,
        "recent_from": 0,
        "log_from": 0,
    }
    row = _ADD.one(connection, values | {"mailbox_id": mailbox_id})
    assert row is not None
    return StoredFolder(id=row[0], **values)


def _folder(row: Sequence[Any]) -> StoredFolder:
    return StoredFolder(
        id=row[0],
        key=row[1],
        name=row[2],
        special_use=row[3],
        uid_validity=row[4],
        highest_uid=row[5],
        recent_from=row[6],
        log_from=row[7],
    )
