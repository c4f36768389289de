"""What was brought along from other mail servers: a message and the note that it is here are one commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update

from gateway.points.box import MAX_FOLDERS
from gateway.points.boxes import BoxRefused, Why
from gateway.points.following import Change, Deletions, change, flag_text, may_follow
from gateway.points.marks import marks_of
from gateway.storage import content, folders, mailboxes
from gateway.storage.following import change_flags, refile
from gateway.storage.import_folders import Origin, note_place
from gateway.storage.keywords import bits_that_fit
from gateway.storage.mailboxes import ORDINARY, NewMessage
from gateway.storage.statements import Row, Statement, insert_ignoring, insert_into
from gateway.storage.tables import import_sources, imported
from gateway.storage.values import clean, micros
from receipts.octets import Octets

__all__ = ["Brought", "Came", "ImportRun", "begin", "bring", "lease", "place", "release", "source_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRun:
    """One run over a source."""

    source_id: int
    number: int  # of its runs, from 1
    mailbox_id: int
    deletions: Deletions


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A message on its way here."""

    uid: int  # on the other server
    token: str  # its opaque id here
    message: Octets
    at: datetime  # internal date
    flags: tuple[str, ...]


@dataclass(slots=True)
class Came:
    """What became of messages on their way here, by UID."""

    new: list[int] = field(default_factory=list)
    known: list[int] = field(default_factory=list)  # which were here: they had been brought from another place there
    put_off: dict[int, str] = field(default_factory=dict)  # until that folder there was looked at again


_SOURCE = Statement(
    select(import_sources.c.id).where(
        import_sources.c.mailbox_id == bindparam("mailbox"), import_sources.c.source == bindparam("name")
    )
)
_ADD_SOURCE = insert_ignoring(import_sources, without=("id",))
_LEASE = Statement(
    update(import_sources)
    .where(
        import_sources.c.id == bindparam("source"),
        (import_sources.c.leased_until <= bindparam("now")) | (import_sources.c.lease_owner == bindparam("owner")),
    )
    .values(lease_owner=bindparam("owner"), leased_until=bindparam("until"))
)
_RELEASE = Statement(
    update(import_sources)
    .where(import_sources.c.id == bindparam("source"), import_sources.c.lease_owner == bindparam("owner"))
    .values(lease_owner=None, leased_until=0)
)
_BEGIN = Statement(
    update(import_sources)
    .where(import_sources.c.id == bindparam("source"))
    .values(runs=import_sources.c.runs + 1)
    .returning(import_sources.c.runs)
)
_NOTE = insert_into(imported)
_SAME_BYTES = (imported.c.source_id == bindparam("source"), imported.c.sha256 == bindparam("sha256"))
_OLD = (
    imported.c.folder,
    imported.c.uid_validity,
    imported.c.uid,
    imported.c.token,
    imported.c.flags,
    imported.c.filed,
)
_GONE = Statement(select(*_OLD).where(*_SAME_BYTES, imported.c.gone_run.is_not(None)).limit(1))
_THERE_BEFORE = Statement(
    select(imported.c.folder)
    .where(*_SAME_BYTES, imported.c.gone_run.is_(None), imported.c.run < bindparam("now"))
    .limit(1)
)
_MOVED = Statement(
    update(imported)
    .where(
        imported.c.source_id == bindparam("source"),
        imported.c.folder == bindparam("old_folder"),
        imported.c.uid_validity == bindparam("old_validity"),
        imported.c.uid == bindparam("old_uid"),
    )
    .values(
        folder=bindparam("called"),
        uid_validity=bindparam("validity"),
        uid=bindparam("one"),
        flags=bindparam("seen"),
        filed=bindparam("key"),
        run=bindparam("now"),
        gone_run=None,
    )
)


def source_id(connection: Connection, mailbox_id: int, source: str, at: datetime) -> int:
    """The number of a source of one mailbox; it gets one the first time."""
    name = clean(source)
    row = {"mailbox_id": mailbox_id, "source": name, "begun_at": micros(at), "lease_owner": None, "leased_until": 0}
    _ADD_SOURCE.run(connection, row | {"runs": 0})
    found = _SOURCE.one(connection, {"mailbox": mailbox_id, "name": name})
    assert found is not None
    return int(found[0])


def lease(connection: Connection, source: int, owner: str, now: datetime, length: timedelta) -> bool:
    """Take or keep a source for one process; False if another has it."""
    values = {"source": source, "owner": owner, "now": micros(now), "until": micros(now + length)}
    return _LEASE.run(connection, values) > 0


def release(connection: Connection, source: int, owner: str) -> None:
    _RELEASE.run(connection, {"source": source, "owner": owner})


def begin(connection: Connection, source: int, mailbox_id: int, deletions: Deletions) -> ImportRun:
    """Count one run more. The source is leased."""
    row = _BEGIN.one(connection, {"source": source})
    assert row is not None
    return ImportRun(source_id=source, number=row[0], mailbox_id=mailbox_id, deletions=deletions)


def place(connection: Connection, mailbox_id: int, key: str | None, name: str) -> str:
    """The key of a folder: this one if it is there, else that of the folder of this name, which is made if need be.

    Raises:
        BoxRefused: the mailbox has as many folders as it may have.
    """
    folders.hold(connection, mailbox_id)
    known = folders.list_folders(connection, mailbox_id)
    if any(one.key == key for one in known):
        assert key is not None
        return key
    if len(known) >= MAX_FOLDERS and not any(one.name == name for one in known):
        raise BoxRefused(Why.LIMIT)
    return folders.ensure_folder(connection, mailbox_id, name).key


def bring(
    connection: Connection,
    run: ImportRun,
    filed: str,
    name: str,
    origin: Origin,
    brought: Sequence[Brought],
    now: datetime,
    *,
    settled: bool,
) -> Came:
    """Put messages into a folder, made if there is none, and note that they are here. They are of the ordinary kind.

    One of which the same bytes were brought before, from a place there in which they are no more, is the same message:
    it does not come again, and what became of it there becomes of ours. The quota does not stop it: who brings a box
    along wants all of it.

    Args:
        filed: the key of the folder.
        name: the one it has if it must be made.
        settled: all folders there were looked at after these messages were seen. Else one that is known from another
            place there is put off: it may be on its way from there.
    """
    key = place(connection, run.mailbox_id, filed, name)
    if key != filed:
        note_place(connection, origin, key)
    came, new = Came(), list[Brought]()
    for one in brought:
        same = {"source": run.source_id, "sha256": one.message.sha256()}
        gone = _GONE.one(connection, same)
        if gone is not None:
            _follow(connection, run, gone, origin, one, key, now)
            came.known.append(one.uid)
            continue
        there = None if settled else _THERE_BEFORE.one(connection, same | {"now": run.number})
        if there is not None:
            came.put_off[one.uid] = there[0]
            continue
        new.append(one)
        came.new.append(one.uid)
    _deliver(connection, run.mailbox_id, key, new, now)
    _NOTE.many(connection, [_note(run, origin, key, one) for one in new])
    return came


def _follow(
    connection: Connection, run: ImportRun, gone: Row, origin: Origin, one: Brought, key: str, now: datetime
) -> None:
    """Let ours go where the other one went."""
    folder, validity, uid, token, flags, filed = gone
    if may_follow(key, run.deletions):
        refile(connection, run.mailbox_id, [(token, filed)], key, now)
        filed = key
    changed = change(flags, one.flags)
    if changed != Change():
        change_flags(connection, run.mailbox_id, [(token, changed)])
    values = {"source": run.source_id, "old_folder": folder, "old_validity": validity, "old_uid": uid}
    values |= {"called": clean(origin.folder), "validity": origin.uid_validity, "one": one.uid}
    _MOVED.run(connection, values | {"seen": flag_text(one.flags), "key": filed, "now": run.number})


def _deliver(connection: Connection, mailbox_id: int, key: str, new: Sequence[Brought], now: datetime) -> None:
    """One after the other: a keyword that no message carries yet may make room for another."""
    body_ids = content.save_many(connection, [one.message for one in new], now)
    for one, body_id in zip(new, body_ids, strict=True):
        marks, words = marks_of(one.flags)
        message = NewMessage(
            mailbox_id=mailbox_id,
            token=one.token,
            body_id=body_id,
            size=one.message.size,
            kind=ORDINARY,
            at=one.at,
            folder=key,
            flags=int(marks),
            keywords=bits_that_fit(connection, mailbox_id, words),
        )
        mailboxes.deliver(connection, [message])


def _note(run: ImportRun, origin: Origin, key: str, one: Brought) -> dict[str, object]:
    return {
        "source_id": origin.source_id,
        "folder": clean(origin.folder),
        "uid_validity": origin.uid_validity,
        "uid": one.uid,
        "token": one.token,
        "sha256": one.message.sha256(),
        "flags": flag_text(one.flags),
        "filed": key,
        "run": run.number,
        "gone_run": None,
    }
