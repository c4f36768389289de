"""A box taken away in files: every folder, every message, byte for byte as it is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from gateway.drivers.mail_files import MailFile, MailFiles
from gateway.points.marks import NAMES, RESERVED
from gateway.storage import content, folders
from gateway.storage.engine import Storage
from gateway.storage.folders import StoredFolder
from gateway.storage.keywords import keyword_names
from gateway.storage.statements import Statement
from gateway.storage.tables import message_states, messages
from gateway.storage.values import instant

__all__ = ["Taken", "take_away"]

_AT_ONCE: Final = 200  # messages read in one question
_ROWS: Final = Statement(
    select(
        messages.c.uid,
        messages.c.token,
        messages.c.at,
        message_states.c.flags,
        message_states.c.keywords,
        messages.c.body_id,
    )
    .select_from(messages.join(message_states))
    .where(
        messages.c.mailbox_id == bindparam("mailbox"),
        messages.c.folder == bindparam("key"),
        messages.c.uid > bindparam("after"),
    )
    .order_by(messages.c.uid)
    .limit(_AT_ONCE)
)


@dataclass(slots=True)
class Taken:
    """What a run wrote."""

    folders: int = 0
    messages: int = 0
    there_before: int = 0
    bytes: int = 0


def take_away(
    storage: Storage, mailbox_id: int, target: MailFiles, tell: Callable[[str, int], None] = lambda _, __: None
) -> Taken:
    """Write every message of a mailbox. What arrives meanwhile may or may not come along.

    Args:
        tell: is told the folder, and how many of its messages are written.

    Raises:
        OSError: a file cannot be written; the next run into Maildir goes on from there.
        StorageUnavailable: the storage went away.
    """
    taken = Taken()
    mine = storage.read_now(lambda connection: folders.list_folders(connection, mailbox_id))
    words = storage.read_now(lambda connection: keyword_names(connection, mailbox_id))
    try:
        for folder in mine:
            _folder(storage, mailbox_id, folder, words, target, taken, tell)
    finally:
        target.close()
    return taken


def _folder(
    storage: Storage,
    mailbox_id: int,
    folder: StoredFolder,
    words: Mapping[int, str],
    target: MailFiles,
    taken: Taken,
    tell: Callable[[str, int], None],
) -> None:
    target.folder(folder.name, _keywords(words))
    taken.folders += 1
    after, done = 0, 0
    while rows := storage.read_now(lambda connection, after=after: _rows(connection, mailbox_id, folder.key, after)):  # type: ignore[misc]
        for file in (_file(storage, row, words) for row in rows):
            if target.add(file):
                taken.messages += 1
                taken.bytes += file.message.size
            else:
                taken.there_before += 1
            done += 1
        after = rows[-1][0]
        tell(folder.name, done)


def _keywords(words: Mapping[int, str]) -> list[str]:
    """What says most first, as not every form has room for all: the service's words, the box's own, usual ones."""
    known = {mark: name for mark, name in NAMES.items() if not name.startswith("\\")}
    ours = [name for mark, name in known.items() if mark & RESERVED]
    return [*ours, *words.values(), *(name for name in known.values() if name not in ours)]


def _rows(connection: Connection, mailbox_id: int, key: str, after: int) -> list[Any]:
    return _ROWS.all(connection, {"mailbox": mailbox_id, "key": key, "after": after})


def _file(storage: Storage, row: Any, words: Mapping[int, str]) -> MailFile:
    _, token, at, marks, own, body_id = row
    flags = [name for mark, name in NAMES.items() if marks & mark]
    flags += [name for bit, name in words.items() if own >> bit & 1]
    message = storage.read_now(lambda connection: content.load(connection, body_id))
    return MailFile(token=token, message=message, at=instant(at), flags=flags)
