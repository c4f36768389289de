"""Boxes that several people share, as mail programs see them: each act needs a right and comes into the journal (D35).

The right is looked up where the act is done: in the snapshot of a question, in the transaction of a change. What the
journal says of a change is part of that change.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from gateway.flows.boxes import Boxes, BoxTools, HeldBox
from gateway.flows.journal import Journal, entry_of
from gateway.flows.news import Follower
from gateway.flows.outcomes import Holder, Visit
from gateway.flows.witness import Doing, Eye, gone, nothing
from gateway.points.boxes import Addition, BoxRefused, Copied, FlagChange, Known, Opened, SpecialUse, Stored, Why
from gateway.points.marks import Mark
from gateway.points.sharing import Act
from gateway.storage import folders, journal, letters, states
from gateway.storage.journal import Entry, Mentioned
from gateway.storage.witnessed import Witnessed
from receipts.octets import Octets

__all__ = ["SharedBox", "WatchedBoxes"]

_NAMED = 50
"""Messages of one act that leaves them there, which are named and not only counted."""
_CHANGES = {FlagChange.ADD: "add", FlagChange.REMOVE: "remove", FlagChange.REPLACE: "replace"}


class WatchedBoxes:
    """Opens the boxes of those who signed in, each as its holder's alone or as one that is shared."""

    def __init__(self, boxes: Boxes, journal_: Journal) -> None:
        self._boxes = boxes
        self._journal = journal_

    async def __call__(self, holder: Holder) -> HeldBox:
        """The box. Raises TemporaryError when storage is away."""
        visit = holder.visit
        if visit is None:
            return await self._boxes(holder)

        def shared(tools: BoxTools, holder: Holder, follower: Follower) -> SharedBox:
            return SharedBox(tools, holder, follower, visit, self._journal)

        return await self._boxes.opened(holder, shared)


class SharedBox(HeldBox):
    """A box in the hands of one of those who share it; BoxRefused where the right is missing."""

    def __init__(self, tools: BoxTools, holder: Holder, follower: Follower, visit: Visit, journal_: Journal) -> None:
        self._eye = Eye(visit)
        super().__init__(replace(tools, storage=Witnessed(tools.storage, self._eye)), holder, follower)
        self._visit = visit
        self._journal = journal_
        self._clock = tools.clock
        self._names: dict[int, str] = {}  # of folders that were opened
        self._just_read: Collection[int] = ()

    # What everybody may.

    async def open(self, name: str, /, *, read_only: bool) -> Opened:
        may_write = self._holder.may(Act.FLAG)
        opened = await super().open(name, read_only=read_only or not may_write)
        self._names[opened.folder_id] = opened.name
        return opened if may_write else replace(opened, may_write=False)

    async def bodies(self, folder_id: int, uids: Sequence[int], /) -> Mapping[int, Octets]:
        found = await super().bodies(folder_id, uids)
        self._just_read = found.keys()
        if found:
            self._journal.read(self._visit, self._mailbox_id, self._names.get(folder_id), found)
        return found

    async def subscribe(self, name: str, on: bool, /) -> None:
        """Subscriptions belong to the box; who may change nothing may ask for what there is."""
        if self._holder.may(Act.FLAG):
            await super().subscribe(name, on)
        elif on != any(folder.subscribed and folder.name == name for folder in await self.folders()):
            raise BoxRefused(Why.NO_PERMISSION)

    # What needs a right.

    async def create(self, names: Sequence[str], use: SpecialUse | None, /) -> None:
        with self._about_folders(what="create", name=names[-1]):
            await super().create(names, use)

    async def rename(self, old: str, new: str, above: Sequence[str], /) -> None:
        with self._about_folders(what="rename", name=old, to=new):
            await super().rename(old, new, above)

    async def delete(self, name: str, /) -> None:
        def before(connection: Connection) -> list[Mentioned]:
            folder = folders.folder_named(connection, self._mailbox_id, name)
            if folder is None:
                return []
            some = states.uids(connection, self._mailbox_id, folder.key)[: letters.MARKED]
            return journal.mentioned(connection, self._mailbox_id, some)

        def after(connection: Connection, there: list[Mentioned], _: object) -> Iterable[Entry]:
            yield from self._removed(connection, there, name)
            if folders.folder_named(connection, self._mailbox_id, name) is None:
                yield self._entry(Act.FOLDERS, facts={"what": "delete", "name": name})

        with self._eye.on(Doing(Act.FOLDERS, before, after)):
            await super().delete(name)

    async def store(
        self,
        folder_id: int,
        uids: Sequence[int],
        change: FlagChange,
        flags: Collection[str],
        /,
        *,
        unchanged_since: int | None = None,
        known: Known | None = None,
    ) -> Stored:
        reading = change is FlagChange.ADD and set(flags) == {"\\Seen"} and set(uids).issubset(self._just_read)

        def after(connection: Connection, _: object, __: object) -> Iterable[Entry]:
            if not reading and uids:  # else the journal says that they were read
                facts = {"change": _CHANGES[change], "flags": sorted(flags)}
                yield self._about(connection, Act.FLAG, folder_id, uids, facts=facts)

        with self._eye.on(Doing(Act.FLAG, nothing, after)):
            return await super().store(folder_id, uids, change, flags, unchanged_since=unchanged_since, known=known)

    async def copy(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        def after(connection: Connection, _: object, __: object) -> Iterable[Entry]:
            yield self._about(connection, Act.COPY, folder_id, uids, target=target)

        with self._eye.on(Doing(Act.COPY, nothing, after)):
            return await super().copy(folder_id, uids, target)

    async def move(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        def before(connection: Connection) -> list[Mentioned]:
            folders.hold(connection, self._mailbox_id)
            return journal.mentioned(connection, self._mailbox_id, uids)

        def after(connection: Connection, there: list[Mentioned], _: object) -> Iterable[Entry]:
            left = gone(connection, self._mailbox_id, there)
            if left:
                told = {"uids": [one.uid for one in left], "mentioned": left, "target": target}
                yield self._entry(Act.MOVE, folder=self._called(connection, folder_id), **told)

        with self._eye.on(Doing(Act.MOVE, before, after)):
            return await super().move(folder_id, uids, target)

    async def expunge(self, folder_id: int, uids: Sequence[int] | None, /) -> Sequence[int]:
        def before(connection: Connection) -> list[Mentioned]:
            folders.hold(connection, self._mailbox_id)
            rows = states.states(connection, self._mailbox_id, self._key(connection, folder_id), uids)
            marked = [row[0] for row in rows if row[2] & Mark.DELETED]
            return journal.mentioned(connection, self._mailbox_id, marked[: letters.MARKED])

        def after(connection: Connection, there: list[Mentioned], _: object) -> Iterable[Entry]:
            return self._removed(connection, there, self._called(connection, folder_id))

        with self._eye.on(Doing(Act.REMOVE, before, after)):
            return await super().expunge(folder_id, uids)

    async def append(self, name: str, added: Sequence[Addition], /) -> tuple[int, Sequence[int]]:
        def after(connection: Connection, _: object, result: tuple[int, Sequence[int]]) -> Iterable[Entry]:
            uids = sorted(result[1])
            told = journal.mentioned(connection, self._mailbox_id, uids)
            yield self._entry(Act.ADD, folder=name, uids=uids, mentioned=told)

        with self._eye.on(Doing(Act.ADD, nothing, after)):
            return await super().append(name, added)

    # What the journal says.

    def _about_folders(self, **facts: str) -> AbstractContextManager[None]:
        def after(_: Connection, __: object, ___: object) -> Iterable[Entry]:
            yield self._entry(Act.FOLDERS, facts=facts)

        return self._eye.on(Doing(Act.FOLDERS, nothing, after))

    def _about(self, connection: Connection, act: Act, folder_id: int, uids: Sequence[int], **told: Any) -> Entry:
        named = journal.mentioned(connection, self._mailbox_id, uids) if len(uids) <= _NAMED else ()
        folder = self._called(connection, folder_id)
        return self._entry(act, folder=folder, uids=sorted(uids), mentioned=named, **told)

    def _removed(self, connection: Connection, there: list[Mentioned], folder: str | None) -> Iterable[Entry]:
        left = gone(connection, self._mailbox_id, there)
        if left:
            yield self._entry(Act.REMOVE, folder=folder, uids=[one.uid for one in left], mentioned=left)

    def _called(self, connection: Connection, folder_id: int) -> str | None:
        folder = folders.folder_of(connection, self._mailbox_id, folder_id)
        return self._names.get(folder_id) if folder is None else folder.name

    def _entry(self, act: Act, **facts: Any) -> Entry:
        return entry_of(self._visit, self._mailbox_id, act, self._clock.now(), **facts)
