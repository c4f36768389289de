"""What has become of messages at the server they were brought from: asked folder by folder, and done to ours.

Flags that changed there change here, each by itself; a message that was moved there is moved here when it is brought
again (``storage.imports``). What the holder did here since is left alone. Lies of that server reach no further than
the messages that came from it, and lose none.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from gateway.drivers.imap_client import ImapRefused, RemoteFolder, RemoteMailbox, RemoteState
from gateway.drivers.sources import Clock
from gateway.points.following import Change, Deletions, change, emptied, flag_text, in_turn, may_follow
from gateway.storage import import_folders
from gateway.storage.engine import Storage
from gateway.storage.following import change_flags, refile
from gateway.storage.import_folders import AT_ONCE, GONE_LONG_AGO, Noted, Origin, SeenFolder
from gateway.storage.imports import ImportRun, place
from gateway.storage.mailboxes import Folder

__all__ = ["Following", "Look"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A folder there, as it was seen."""

    folder: RemoteFolder
    name: str  # of the folder here, if it has to be made
    filed: str  # the key of the folder here; it may be gone
    origin: Origin
    messages: int
    known: int  # of these, how many were brought
    changed: int  # messages here that got other flags
    gone: int  # messages that were there at the last look


class Following:
    """Follows one box there, for one run.

    Args:
        keep: keeps the source for this process; called now and then.
    """

    def __init__(self, storage: Storage, clock: Clock, run: ImportRun, keep: Callable[[], Awaitable[None]]) -> None:
        self._storage = storage
        self._clock = clock
        self._run = run
        self._keep = keep

    async def look(self, remote: RemoteMailbox, folder: RemoteFolder, name: str) -> Look:
        """Look at a folder, and do to ours what was done there. The folder is open then.

        Raises:
            ImapRefused: the server does not open it.
            BoxRefused: the box here has as many folders as it may have.
            TemporaryError: the other server or the storage went away.
        """
        state, uids = await remote.examine(folder), await remote.uids()
        origin = Origin(source_id=self._run.source_id, folder=folder.wire_name, uid_validity=state.uid_validity)
        seen = await self._seen(origin, name)
        found = await self._storage.read(partial(import_folders.compared, origin=origin, uids=uids))
        await self._note_gone(origin, found.gone, found.known)
        await self._note_back(origin, found.back, seen.filed)
        changed, walked = await self._follow_flags(remote, origin, seen, state, found.ours)
        now = SeenFolder(uid_validity=state.uid_validity, filed=seen.filed, modseq=state.modseq, walked=walked)
        if now != seen:
            await self._storage.write(lambda connection: import_folders.note_folder(connection, origin, now))
        return Look(
            folder=folder,
            name=name,
            filed=seen.filed,
            origin=origin,
            messages=len(uids),
            known=len(found.ours),
            changed=changed,
            gone=len(found.gone),
        )

    async def retire_absent(self, folders: Collection[RemoteFolder]) -> None:
        """Note what is gone with folders that the server does not list any more."""
        there = {folder.wire_name for folder in folders}
        seen = await self._storage.read(partial(import_folders.seen_folders, source=self._run.source_id))
        for origin in seen:
            if origin.folder not in there:
                await self._retire(origin)

    async def put_away(self) -> int:
        """Move to the trash here what was missed there in an earlier run, and came up nowhere else; how many moved."""
        moved, at = 0, self._clock.now()

        def transaction(connection: Connection) -> tuple[int, int]:
            rows = import_folders.to_delete(connection, self._run.source_id, self._run.number)
            filed = [(noted.token, noted.filed) for _, noted in rows]
            put = refile(connection, self._run.mailbox_id, filed, Folder.TRASH, at)
            for origin, noted in rows:
                key = Folder.TRASH.value if noted.token in put else noted.filed
                import_folders.note_filed(connection, origin, noted.uid, key, GONE_LONG_AGO)
            return len(put), len(rows)

        while True:
            put, done = await self._storage.write(transaction)
            moved += put
            if done < AT_ONCE:
                return moved
            await self._keep()

    async def _seen(self, origin: Origin, name: str) -> SeenFolder:
        """What was seen of a folder in this life; the first time it gets one here."""
        find = partial(import_folders.seen_folder, source=origin.source_id, folder=origin.folder)
        seen = await self._storage.read(find)
        if seen is not None and seen.uid_validity == origin.uid_validity:
            return seen
        if seen is not None:
            former = Origin(source_id=origin.source_id, folder=origin.folder, uid_validity=seen.uid_validity)
            await self._retire(former)
        filed = None if seen is None else seen.filed

        def transaction(connection: Connection) -> SeenFolder:
            key = place(connection, self._run.mailbox_id, filed, name)
            new = SeenFolder(uid_validity=origin.uid_validity, filed=key)
            import_folders.note_folder(connection, origin, new)
            return new

        return await self._storage.write(transaction)

    async def _retire(self, origin: Origin) -> None:
        while not await self._storage.write(partial(import_folders.retire, origin=origin)):
            await self._keep()

    async def _note_gone(self, origin: Origin, gone: Sequence[int], of: int) -> None:
        counts = self._run.deletions is Deletions.TRASH and not emptied(len(gone), of)
        run = self._run.number if counts else GONE_LONG_AGO
        for some in _slices(gone):
            await self._storage.write(partial(import_folders.mark, origin=origin, uids=some, gone_run=run))

    async def _note_back(self, origin: Origin, back: Sequence[int], filed: str) -> None:
        """What was missed is there: ours comes back from the trash too, if it was we who put it there."""
        at = self._clock.now()

        def transaction(connection: Connection, uids: Sequence[int]) -> None:
            import_folders.mark(connection, origin, uids, None)
            rows = import_folders.noted(connection, origin, uids) if may_follow(filed, self._run.deletions) else []
            ours = [(row.token, row.filed) for row in rows]
            moved = refile(connection, self._run.mailbox_id, ours, filed, at)
            for row in rows:
                if row.token in moved:
                    import_folders.note_filed(connection, origin, row.uid, filed, None)

        for some in _slices(back):
            await self._storage.write(partial(transaction, uids=some))

    async def _follow_flags(
        self, remote: RemoteMailbox, origin: Origin, seen: SeenFolder, state: RemoteState, ours: Sequence[int]
    ) -> tuple[int, int]:
        """How many messages here changed, and up to which UID the walk over all has come."""
        told = await _told(remote, seen, state)
        wanted, walked = set(told or ()).intersection(ours), 0
        if told is None or seen.walked:
            turn, walked = in_turn(ours, 0 if told is None and state.modseq is not None else seen.walked)
            wanted.update(turn)
        changed = 0
        async for flags in remote.flags(sorted(wanted)):
            rows = await self._storage.read(partial(import_folders.noted, origin=origin, uids=list(flags)))
            differing = {row: flags[row.uid] for row in rows if flag_text(flags[row.uid]) != row.flags}
            if differing:
                changed += await self._storage.write(partial(self._change, origin=origin, differing=differing))
            await self._keep()
        return changed, walked

    def _change(self, connection: Connection, origin: Origin, differing: dict[Noted, tuple[str, ...]]) -> int:
        changes = [(row.token, change(row.flags, flags)) for row, flags in differing.items()]
        import_folders.note_flags(connection, origin, {row.uid: flag_text(flags) for row, flags in differing.items()})
        return change_flags(connection, self._run.mailbox_id, [each for each in changes if each[1] != Change()])


async def _told(remote: RemoteMailbox, seen: SeenFolder, state: RemoteState) -> Sequence[int] | None:
    """UIDs of what changed, by the server's own count; None: it does not count, or counts backwards."""
    if seen.modseq is None or state.modseq is None or state.modseq < seen.modseq:
        return None
    if state.modseq == seen.modseq:
        return ()
    try:
        return await remote.changed_since(seen.modseq)
    except ImapRefused:
        return None


def _slices(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(uids), AT_ONCE):
        yield uids[first : first + AT_ONCE]
