"""What is known of the folders of a box at another server, and of the messages in them that were brought from there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.storage.statements import Statement, among, insert_into, numbers
from gateway.storage.tables import import_folders, imported
from gateway.storage.values import clean

__all__ = [
    "AT_ONCE",
    "GONE_LONG_AGO",
    "Compared",
    "Noted",
    "Origin",
    "SeenFolder",
    "compared",
    "mark",
    "note_filed",
    "note_flags",
    "note_folder",
    "note_place",
    "noted",
    "retire",
    "seen_folder",
    "seen_folders",
    "to_delete",
]

AT_ONCE: Final = 1_000
"""Rows that one transaction changes at most, so that others need not wait long."""
GONE_LONG_AGO: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A folder of the other server, in one of its lives."""

    source_id: int
    folder: str  # as that server writes it
    uid_validity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFolder:
    """What was seen of a folder at the last look."""

    uid_validity: int
    filed: str  # the key of the folder here
    modseq: int | None = None  # up to which all flags are known; None: the server counts none
    walked: int = 0  # the UID up to which flags were asked for one by one, if not of all


class Compared(NamedTuple):
    """UIDs of a folder, ascending, beside those of what was brought from it."""

    missing: list[int]  # never brought
    ours: list[int]
    gone: list[int]  # there when we last looked
    back: list[int]  # gone then
    known: int  # how many were there then


class Noted(NamedTuple):
    """A message that was brought."""

    uid: int
    token: str
    flags: str  # ``flag_text`` of the last look
    filed: str  # the key of the folder here into which we put it last


_SEEN = (
    import_folders.c.uid_validity,
    import_folders.c.filed,
    import_folders.c.modseq,
    import_folders.c.walked,
)
_FOLDER = (import_folders.c.source_id == bindparam("source"), import_folders.c.folder == bindparam("called"))
_SEEN_FOLDER = Statement(select(*_SEEN).where(*_FOLDER))
_SEEN_FOLDERS = Statement(
    select(import_folders.c.folder, import_folders.c.uid_validity).where(
        import_folders.c.source_id == bindparam("source")
    )
)
_FORGET = Statement(delete(import_folders).where(*_FOLDER))
_PLACE = Statement(update(import_folders).where(*_FOLDER).values(filed=bindparam("key")))
_NOTE_FOLDER = insert_into(import_folders)
_ORIGIN = (
    imported.c.source_id == bindparam("source"),
    imported.c.folder == bindparam("called"),
    imported.c.uid_validity == bindparam("validity"),
)
_KNOWN = Statement(select(imported.c.uid, imported.c.gone_run.is_(None)).where(*_ORIGIN))
_THERE = Statement(
    select(imported.c.uid)
    .where(*_ORIGIN, imported.c.gone_run.is_(None))
    .order_by(imported.c.uid)
    .limit(bindparam("most"))
)
_NOTED = Statement(
    among(
        imported.c.uid,
        lambda these: select(imported.c.uid, imported.c.token, imported.c.flags, imported.c.filed).where(
            *_ORIGIN, these, imported.c.token.is_not(None)
        ),
    )
)
_MARK = Statement(
    among(
        imported.c.uid,
        lambda these: update(imported).where(*_ORIGIN, these).values(gone_run=bindparam("gone")),
    )
)
_FLAGS = Statement(update(imported).where(*_ORIGIN, imported.c.uid == bindparam("one")).values(flags=bindparam("seen")))
_FILED = Statement(
    update(imported)
    .where(*_ORIGIN, imported.c.uid == bindparam("one"))
    .values(filed=bindparam("key"), gone_run=bindparam("gone"))
)
_TO_DELETE = Statement(
    select(
        imported.c.folder, imported.c.uid_validity, imported.c.uid, imported.c.token, imported.c.flags, imported.c.filed
    )
    .where(imported.c.source_id == bindparam("source"), imported.c.gone_run > 0, imported.c.gone_run < bindparam("run"))
    .limit(bindparam("most"))
)


def seen_folder(connection: Connection, source: int, folder: str) -> SeenFolder | None:
    row = _SEEN_FOLDER.one(connection, {"source": source, "called": clean(folder)})
    return None if row is None else SeenFolder(uid_validity=row[0], filed=row[1], modseq=row[2], walked=row[3])


def seen_folders(connection: Connection, source: int) -> list[Origin]:
    """Those that were there at one look or another."""
    rows = _SEEN_FOLDERS.all(connection, {"source": source})
    return [Origin(source_id=source, folder=folder, uid_validity=validity) for folder, validity in rows]


def note_folder(connection: Connection, origin: Origin, seen: SeenFolder) -> None:
    """Note what was seen of a folder."""
    _FORGET.run(connection, _values(origin))
    values = {"uid_validity": seen.uid_validity, "filed": seen.filed, "modseq": seen.modseq, "walked": seen.walked}
    _NOTE_FOLDER.run(connection, values | {"source_id": origin.source_id, "folder": clean(origin.folder)})


def note_place(connection: Connection, origin: Origin, key: str) -> None:
    """Note the folder here into which goes what comes from there."""
    _PLACE.run(connection, _values(origin) | {"key": key})


def compared(connection: Connection, origin: Origin, uids: Sequence[int]) -> Compared:
    """What is new in a folder, and what has left it. ``uids``: of all that is there now, ascending."""
    there, gone = set[int](), set[int]()
    for uid, is_there in _KNOWN.all(connection, _values(origin)):
        (there if is_there else gone).add(uid)
    return Compared(
        missing=[uid for uid in uids if uid not in there and uid not in gone],
        ours=[uid for uid in uids if uid in there or uid in gone],
        gone=sorted(there.difference(uids)),
        back=sorted(gone.intersection(uids)),
        known=len(there),
    )


def noted(connection: Connection, origin: Origin, uids: Collection[int]) -> list[Noted]:
    """Those of these messages that can be followed."""
    return [Noted(*row) for row in _NOTED.all(connection, _values(origin) | numbers(connection, uids))]


def mark(connection: Connection, origin: Origin, uids: Collection[int], gone_run: int | None) -> None:
    """Note that messages are gone there, or (None) that they are back; at most ``AT_ONCE``."""
    _MARK.run(connection, _values(origin) | numbers(connection, uids) | {"gone": gone_run})


def retire(connection: Connection, origin: Origin) -> bool:
    """Note that a folder with all its messages is gone, or begins a new life; False until that is done."""
    some = [uid for (uid,) in _THERE.all(connection, _values(origin) | {"most": AT_ONCE})]
    if some:
        mark(connection, origin, some, GONE_LONG_AGO)
    if len(some) == AT_ONCE:
        return False
    _FORGET.run(connection, _values(origin))
    return True


def note_flags(connection: Connection, origin: Origin, flags: Mapping[int, str]) -> None:
    """Note the flags that messages have there."""
    _FLAGS.many(connection, [_values(origin) | {"one": uid, "seen": text} for uid, text in flags.items()])


def note_filed(connection: Connection, origin: Origin, uid: int, filed: str, gone_run: int | None) -> None:
    """Note into which folder here we have put a message, and whether it is there."""
    _FILED.run(connection, _values(origin) | {"one": uid, "key": filed, "gone": gone_run})


def to_delete(connection: Connection, source: int, run: int, limit: int = AT_ONCE) -> Sequence[tuple[Origin, Noted]]:
    """Messages that were missed there in an earlier run, and with which nothing was done."""
    rows = _TO_DELETE.all(connection, {"source": source, "run": run, "most": limit})
    return [
        (Origin(source_id=source, folder=folder, uid_validity=validity), Noted(*rest))
        for folder, validity, *rest in rows
    ]


def _values(origin: Origin) -> dict[str, int | str]:
    return {"source": origin.source_id, "called": clean(origin.folder), "validity": origin.uid_validity}
