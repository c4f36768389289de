"""The Sieve scripts of a box, as its holder keeps them: understood before they are taken, so many and no more."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from enum import Enum, auto
from typing import TypeVar

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.flows.journal import allowed, entry_of
from gateway.flows.outcomes import Holder
from gateway.flows.scripted import WEIGHT
from gateway.flows.work import deliberate
from gateway.points.box import MAX_FOLDERS
from gateway.points.sharing import Act
from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptRefused
from gateway.points.sieve.limits import MAX_SCRIPT
from gateway.points.sieve.names import MAX_SCRIPTS, is_script_name
from gateway.points.sieve.script import Script
from gateway.storage import folders, journal, scripts
from gateway.storage.engine import Storage
from gateway.storage.scripts import StoredScript

__all__ = ["Refusal", "Scripts", "ScriptsRefused", "activate", "put", "remove"]

T = TypeVar("T")


class Refusal(Enum):
    """Why something is not done with a script."""

    MISSING = auto()
    EXISTS = auto()
    ACTIVE = auto()  # it would have to be set aside first
    TOO_MANY = auto()
    TOO_LARGE = auto()
    NAME = auto()
    FORBIDDEN = auto()  # a person in a shared box without the right to manage it (D35)


class ScriptsRefused(Exception):
    """Nothing was changed."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.name)
        self.why = why


class Scripts:
    """For those who signed in: every act names the holder's own box. Methods raise TemporaryError, ScriptsRefused.

    In a shared box its journal tells who changed what.
    """

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    async def listed(self, holder: Holder) -> Sequence[StoredScript]:
        return await self._storage.read(lambda connection: scripts.list_scripts(connection, holder.mailbox_id))

    async def get(self, holder: Holder, name: str) -> bytes:
        found = await self._storage.read(lambda connection: scripts.script_named(connection, holder.mailbox_id, name))
        if found is None:
            raise ScriptsRefused(Refusal.MISSING)
        return found.script

    async def check(self, holder: Holder, script: bytes) -> Sequence[str]:
        """What a script would not find. Raises ScriptRefused if it is none."""
        meant = await self._understood(script)
        return await self._storage.read(lambda connection: _lacking(connection, holder.mailbox_id, meant))

    async def put(self, holder: Holder, name: str, script: bytes) -> Sequence[str]:
        """Keep a script; what it will not find. Raises ScriptRefused if it is none."""
        meant, at = await self._understood(script), self._clock.now()
        return await self._write(
            holder,
            lambda connection: put(connection, holder.mailbox_id, name, script, meant, at),
            what="put",
            script=name,
        )

    async def has_space(self, holder: Holder, name: str, size: int) -> None:
        """Return if a script of so many bytes would be kept."""
        if size > MAX_SCRIPT:
            raise ScriptsRefused(Refusal.TOO_LARGE)
        await self._storage.read(lambda connection: _check_room(connection, holder.mailbox_id, name))

    async def activate(self, holder: Holder, name: str) -> None:
        """Let a script be asked about what comes in; no name: none."""
        await self._write(
            holder,
            lambda connection: activate(connection, holder.mailbox_id, name or None),
            what="activate",
            script=name,
        )

    async def remove(self, holder: Holder, name: str) -> None:
        await self._write(
            holder, lambda connection: remove(connection, holder.mailbox_id, name), what="remove", script=name
        )

    async def rename(self, holder: Holder, name: str, to: str) -> None:
        await self._write(
            holder,
            lambda connection: _rename(connection, holder.mailbox_id, name, to),
            what="rename",
            script=name,
            to=to,
        )

    async def _understood(self, script: bytes) -> Script:
        return await deliberate(len(script) * WEIGHT, lambda: understood(script))

    async def _write(self, holder: Holder, transaction: Callable[[Connection], T], **facts: str) -> T:
        """Do it if whoever signed in may, and write it down where several people share the box."""
        visit, at = holder.visit, self._clock.now()
        if visit is None:
            return await self._storage.write(transaction)

        def witnessed(connection: Connection) -> T:
            if not allowed(connection, visit, Act.RULES):
                raise ScriptsRefused(Refusal.FORBIDDEN)
            done = transaction(connection)
            journal.add(connection, entry_of(visit, holder.mailbox_id, Act.RULES, at, facts=facts))
            return done

        return await self._storage.write(witnessed)


def put(
    connection: Connection, mailbox_id: int, name: str, script: bytes, meant: Script, at: datetime
) -> Sequence[str]:
    """Keep a script that is understood; what it will not find. Raises ScriptsRefused."""
    folders.hold(connection, mailbox_id)
    _check_room(connection, mailbox_id, name)
    before = scripts.script_named(connection, mailbox_id, name)
    if before is not None and before.active:
        _make_folders(connection, mailbox_id, meant)
    scripts.put_script(connection, mailbox_id, name, script, at)
    return _lacking(connection, mailbox_id, meant)


def activate(connection: Connection, mailbox_id: int, name: str | None) -> None:
    """Let a script be asked from now on, or none. Raises ScriptsRefused."""
    folders.hold(connection, mailbox_id)
    if name is not None:
        found = scripts.script_named(connection, mailbox_id, name)
        if found is None:
            raise ScriptsRefused(Refusal.MISSING)
        with suppress(ScriptRefused):  # by an earlier version it was understood; its holder will hear
            _make_folders(connection, mailbox_id, understood(found.script))
    scripts.activate(connection, mailbox_id, name)


def remove(connection: Connection, mailbox_id: int, name: str) -> None:
    """Remove a script. Raises ScriptsRefused: there is none, or it is the active one."""
    folders.hold(connection, mailbox_id)
    if scripts.remove_script(connection, mailbox_id, name):
        return
    missing = scripts.script_named(connection, mailbox_id, name) is None
    raise ScriptsRefused(Refusal.MISSING if missing else Refusal.ACTIVE)


def _rename(connection: Connection, mailbox_id: int, name: str, to: str) -> None:
    folders.hold(connection, mailbox_id)
    if not is_script_name(to):
        raise ScriptsRefused(Refusal.NAME)
    if scripts.script_named(connection, mailbox_id, name) is None:
        raise ScriptsRefused(Refusal.MISSING)
    if scripts.script_named(connection, mailbox_id, to) is not None:
        raise ScriptsRefused(Refusal.EXISTS)
    scripts.rename_script(connection, mailbox_id, name, to)


def _check_room(connection: Connection, mailbox_id: int, name: str) -> None:
    if not is_script_name(name):
        raise ScriptsRefused(Refusal.NAME)
    names = {one.name for one in scripts.list_scripts(connection, mailbox_id)}
    if name not in names and len(names) >= MAX_SCRIPTS:
        raise ScriptsRefused(Refusal.TOO_MANY)


def _make_folders(connection: Connection, mailbox_id: int, meant: Script) -> None:
    """Make what it wants made, up to as many folders as a box has."""
    known = {folder.name for folder in folders.list_folders(connection, mailbox_id)}
    for name, create in meant.folders():
        if create and name not in known and len(known) < MAX_FOLDERS:
            known.add(folders.ensure_folder(connection, mailbox_id, name).name)


def _lacking(connection: Connection, mailbox_id: int, meant: Script) -> Sequence[str]:
    known = {word for one in folders.list_folders(connection, mailbox_id) for word in (one.name, one.key)}
    return [
        f"there is no folder {name!r}: what goes there stays in the inbox"
        for name, create in meant.folders()
        if not create and name not in known
    ]
