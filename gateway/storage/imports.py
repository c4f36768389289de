"""What was brought along from other mail servers: a message and the note that it is here are one commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update

from gateway.storage import content, folders, mailboxes
from gateway.storage.keywords import TooManyKeywords, bits_for
from gateway.storage.mailboxes import ORDINARY, NewMessage
from gateway.storage.statements import Statement, insert_ignoring, insert_into
from gateway.storage.tables import import_sources, imported
from gateway.storage.values import clean, micros
from receipts.octets import Octets

__all__ = ["Brought", "Origin", "bring", "known_uids", "lease", "release", "source_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A folder of the other server, in one of its lives."""

    source_id: int
    folder: str  # as that server writes it
    uid_validity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A message on its way here."""

    uid: int  # on the other server
    token: str  # its opaque id here
    message: Octets
    at: datetime  # internal date
    marks: int
    words: tuple[str, ...]  # keywords that are no marks


_SOURCE = Statement(
    select(import_sources.c.id).where(
        import_sources.c.mailbox_id == bindparam("mailbox"), import_sources.c.source == bindparam("name")
    )
)
_ADD_SOURCE = insert_ignoring(import_sources, without=("id",))
_KNOWN = Statement(
    select(imported.c.uid).where(
        imported.c.source_id == bindparam("source"),
        imported.c.folder == bindparam("called"),
        imported.c.uid_validity == bindparam("validity"),
    )
)
_NOTE = insert_into(imported)
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


def source_id(connection: Connection, mailbox_id: int, source: str, at: datetime) -> int:
    """The number of a source of one mailbox; it gets one the first time."""
    name = clean(source)
    row = {"mailbox_id": mailbox_id, "source": name, "begun_at": micros(at), "lease_owner": None, "leased_until": 0}
    _ADD_SOURCE.run(connection, row)
    found = _SOURCE.one(connection, {"mailbox": mailbox_id, "name": name})
    assert found is not None
    return int(found[0])


def lease(connection: Connection, source: int, owner: str, now: datetime, length: timedelta) -> bool:
    """Take or keep a source for one process; False if another has it."""
    values = {"source": source, "owner": owner, "now": micros(now), "until": micros(now + length)}
    return _LEASE.run(connection, values) > 0


def release(connection: Connection, source: int, owner: str) -> None:
    _RELEASE.run(connection, {"source": source, "owner": owner})


def known_uids(connection: Connection, origin: Origin) -> frozenset[int]:
    """What is here already of a folder."""
    values = {"source": origin.source_id, "called": clean(origin.folder), "validity": origin.uid_validity}
    return frozenset(uid for (uid,) in _KNOWN.all(connection, values))


def bring(
    connection: Connection, mailbox_id: int, folder: str, origin: Origin, brought: Sequence[Brought], now: datetime
) -> None:
    """Put messages into a folder, made if there is none, and note that they are here. They are of the ordinary kind.

    The quota does not stop it: who brings a box along wants all of it.

    Args:
        folder: its name or key.
    """
    key = folders.ensure_folder(connection, mailbox_id, folder).key
    body_ids = content.save_many(connection, [one.message for one in brought], now)
    mailboxes.deliver(
        connection,
        [
            NewMessage(
                mailbox_id=mailbox_id,
                token=one.token,
                body_id=body_id,
                size=one.message.size,
                kind=ORDINARY,
                at=one.at,
                folder=key,
                flags=one.marks,
                keywords=_keywords(connection, mailbox_id, one.words),
            )
            for one, body_id in zip(brought, body_ids, strict=True)
        ],
    )
    known = {"source_id": origin.source_id, "folder": clean(origin.folder), "uid_validity": origin.uid_validity}
    for one in brought:
        _NOTE.run(connection, known | {"uid": one.uid})


def _keywords(connection: Connection, mailbox_id: int, words: Sequence[str]) -> int:
    """As many as the mailbox can have: a box is not left behind for the labels of its messages."""
    try:
        return bits_for(connection, mailbox_id, words)
    except TooManyKeywords:
        return bits_for(connection, mailbox_id, words, add=False)
