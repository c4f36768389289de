"""The Sieve scripts of a mailbox: several, one of which may be active."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, false, select, true, update

from gateway.storage.ruled import note_ruled
from gateway.storage.statements import Row, Statement, among, insert_into, numbers
from gateway.storage.tables import sieve_scripts
from gateway.storage.values import micros

__all__ = [
    "StoredScript",
    "activate",
    "active_scripts",
    "list_scripts",
    "put_script",
    "remove_script",
    "rename_script",
    "script_named",
    "tell",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScript:
    """A script as it was handed in; it was understood then."""

    id: int
    mailbox_id: int
    name: str
    script: bytes = field(repr=False)
    active: bool
    told: bool  # its holder knows that it failed


_COLUMNS = (
    sieve_scripts.c.id,
    sieve_scripts.c.mailbox_id,
    sieve_scripts.c.name,
    sieve_scripts.c.script,
    sieve_scripts.c.active,
    sieve_scripts.c.told,
)
_OF_BOX = sieve_scripts.c.mailbox_id == bindparam("mailbox")
_CALLED = sieve_scripts.c.name == bindparam("called")
_ADD = insert_into(sieve_scripts, returning="id")
_LIST = Statement(select(*_COLUMNS).where(_OF_BOX).order_by(sieve_scripts.c.name))
_NAMED = Statement(select(*_COLUMNS).where(_OF_BOX, _CALLED))
_ACTIVE = Statement(
    among(
        sieve_scripts.c.mailbox_id,
        lambda these: select(*_COLUMNS).where(these, sieve_scripts.c.active == true()),
    )
)
_REPLACE = Statement(
    update(sieve_scripts)
    .where(_OF_BOX, _CALLED)
    .values(script=bindparam("text"), told=false(), changed_at=bindparam("at"))
)
_REMOVE = Statement(delete(sieve_scripts).where(_OF_BOX, _CALLED, sieve_scripts.c.active == false()))
_RENAME = Statement(update(sieve_scripts).where(_OF_BOX, _CALLED).values(name=bindparam("to")))
_ACTIVATE = Statement(update(sieve_scripts).where(_OF_BOX, _CALLED).values(active=true()))
_REST = Statement(update(sieve_scripts).where(_OF_BOX, sieve_scripts.c.active == true()).values(active=false()))
_TELL = Statement(
    update(sieve_scripts)
    .where(sieve_scripts.c.id == bindparam("script_id"), sieve_scripts.c.told == false())
    .values(told=true())
)


def list_scripts(connection: Connection, mailbox_id: int) -> list[StoredScript]:
    """All of a mailbox, by name."""
    return [_stored(row) for row in _LIST.all(connection, {"mailbox": mailbox_id})]


def script_named(connection: Connection, mailbox_id: int, name: str) -> StoredScript | None:
    row = _NAMED.one(connection, {"mailbox": mailbox_id, "called": name})
    return None if row is None else _stored(row)


def active_scripts(connection: Connection, mailbox_ids: Iterable[int]) -> dict[int, StoredScript]:
    """The active scripts of these mailboxes, by mailbox id, where there is one."""
    return {row[1]: _stored(row) for row in _ACTIVE.all(connection, numbers(connection, mailbox_ids))}


def put_script(connection: Connection, mailbox_id: int, name: str, script: bytes, at: datetime) -> None:
    """Keep a script under this name, in place of the one that has it; an active one stays active."""
    values = {"mailbox": mailbox_id, "called": name, "text": script.decode("utf-8"), "at": micros(at)}
    if not _REPLACE.run(connection, values):
        _ADD.one(
            connection,
            {
                "mailbox_id": mailbox_id,
                "name": name,
                "script": values["text"],
                "active": False,
                "told": False,
                "changed_at": values["at"],
            },
        )


def activate(connection: Connection, mailbox_id: int, name: str | None) -> bool:
    """Let one script be asked about what comes in, or none; False, and nothing is changed, if it is not there."""
    if name is not None and script_named(connection, mailbox_id, name) is None:
        return False
    _REST.run(connection, {"mailbox": mailbox_id})
    if name is not None:
        _ACTIVATE.run(connection, {"mailbox": mailbox_id, "called": name})
    note_ruled(connection, mailbox_id)
    return True


def remove_script(connection: Connection, mailbox_id: int, name: str) -> bool:
    """Remove a script that is not active; False if there is none."""
    return _REMOVE.run(connection, {"mailbox": mailbox_id, "called": name}) == 1


def rename_script(connection: Connection, mailbox_id: int, name: str, to: str) -> bool:
    """Call a script otherwise, by a name that none has; False if there is none."""
    return _RENAME.run(connection, {"mailbox": mailbox_id, "called": name, "to": to}) == 1


def tell(connection: Connection, script_id: int) -> bool:
    """Note that its holder is told that a script failed; False if that was told before."""
    return _TELL.run(connection, {"script_id": script_id}) == 1


def _stored(row: Row) -> StoredScript:
    return StoredScript(
        id=row[0],
        mailbox_id=row[1],
        name=row[2],
        script=row[3].encode("utf-8"),
        active=bool(row[4]),
        told=bool(row[5]),
    )
