"""A certified box brought along from another provider's IMAP server: folders, flags, dates and bytes.

What is here already is never brought again, whether the run was stopped, repeated or is one of a schedule: message and
note of it are one commit. Each certified message is verified as it passes; a bad one is brought all the same, and told.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from gateway.drivers.imap_client import ImapRefused, ImapUnavailable, RemoteFolder, RemoteMailbox, RemoteMessage
from gateway.drivers.sources import Clock, Ids
from gateway.flows.bring_report import Report, Step
from gateway.flows.following import Following, Look
from gateway.flows.work import LARGE
from gateway.points.boxes import BoxRefused, SpecialUse
from gateway.points.following import Deletions
from gateway.storage import folders, import_folders, imports
from gateway.storage.engine import Storage
from gateway.storage.imports import Brought, Came, ImportRun
from gateway.storage.sink import ContentSink
from receipts.errors import TemporaryError
from receipts.octets import InMemory, Octets
from receipts.scanner import scan_header
from receipts.wire import X_RICEVUTA, X_TRASPORTO

__all__ = ["Bringing", "Judge"]

_AT_ONCE: Final = 50  # messages a commit
_BYTES_AT_ONCE: Final = 4_000_000
_MOST_PUT_OFF: Final = 10_000  # messages of a folder; the others come with the next run
_LEASE: Final = timedelta(minutes=10)
_LONGEST_NAME: Final = 255
_NOT_IN_NAMES: Final = frozenset('*%"\\')

Judge = Callable[[Octets], str]
"""A message that says it is certified -> one word about it, for the report. Runs in a thread."""


class Bringing:
    """Brings one box along.

    Args:
        source: user, host and port of the other server, by which it is known again.
        owner: in whose name the source is leased: two processes never bring the same one.
        judge: see ``Judge``.
        valid: what the judge says of messages that hold.
        deletions: what becomes of ours when theirs is deleted.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        ids: Ids,
        *,
        mailbox_id: int,
        source: str,
        owner: str,
        judge: Judge,
        valid: str,
        deletions: Deletions = Deletions.KEEP,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._mailbox_id = mailbox_id
        self._source = source
        self._owner = owner
        self._judge = judge
        self._valid = valid
        self._deletions = deletions

    async def __call__(self, remote: RemoteMailbox, tell: Callable[[Step], None] = lambda _: None) -> Report:
        """Bring what is not here yet, and follow what has become there of what is here.

        Raises:
            TemporaryError: the other server or the storage went away, or another process is at it; what was brought
                stays, and the next run goes on from there.
            ImapRefused: the other server says no.
        """
        source = await self._storage.write(
            lambda connection: imports.source_id(connection, self._mailbox_id, self._source, self._clock.now())
        )
        lease, report = _Lease(self._storage, self._clock, source, self._owner), Report()
        try:
            await lease.keep()
            begin = partial(imports.begin, source=source, mailbox_id=self._mailbox_id, deletions=self._deletions)
            run = await self._storage.write(begin)
            await self._run(remote, run, lease, report, tell)
        finally:
            await lease.end()
        return report

    async def _run(
        self, remote: RemoteMailbox, run: ImportRun, lease: "_Lease", report: Report, tell: Callable[[Step], None]
    ) -> None:
        following, looks = Following(self._storage, self._clock, run, lease.keep), dict[str, Look]()
        listed, all_seen = await remote.folders(), True
        for folder in listed:
            await lease.keep()
            try:
                look = await following.look(remote, folder, await self._target(folder))
            except (ImapRefused, BoxRefused) as refused:
                report.leave_out(f"{folder_name(folder)}: {refused}")
                all_seen = False
                continue
            looks[folder.wire_name] = look
            report.add(look)
        await following.retire_absent(listed)
        put_off: dict[str, Came] = {}
        for name, look in looks.items():
            if look.known < look.messages:
                put_off[name] = await self._bring(remote, run, look, lease, report, tell)
            else:
                tell(Step(look.name, look.messages, look.messages))
        for name in {there for came in put_off.values() for there in came.put_off.values()} & looks.keys():
            report.add(await following.look(remote, looks[name].folder, looks[name].name), again=True)
        for name, came in put_off.items():
            if came.put_off:
                await self._bring(remote, run, looks[name], lease, report, tell, put_off=came.put_off)
        if all_seen:  # else what is missed in one folder may have gone to one that we do not see
            report.deleted = await following.put_away()

    async def _bring(
        self,
        remote: RemoteMailbox,
        run: ImportRun,
        look: Look,
        lease: "_Lease",
        report: Report,
        tell: Callable[[Step], None],
        *,
        put_off: Collection[int] | None = None,
    ) -> Came:
        """Bring what is missing of a folder; of what was put off before, these.

        Returns:
            What became of it, where that matters still: what was put off.
        """
        if (await remote.examine(look.folder)).uid_validity != look.origin.uid_validity:
            raise ImapUnavailable("a folder there began a new life meanwhile")
        uids = await remote.uids()
        found = await self._storage.read(partial(import_folders.compared, origin=look.origin, uids=uids))
        missing = found.missing
        if put_off is not None:
            missing = [uid for uid in missing if uid in put_off]
        came, batch, done = Came(), _Batch(), len(uids) - len(missing)
        tell(Step(look.name, done, len(uids)))
        keep = partial(self._keep, run, look, lease, report, settled=put_off is not None)
        async for message in remote.messages(missing):
            try:
                octets = await self._read(remote, message)
            except ImapRefused as refused:
                report.leave_out(f"{look.name} {message.uid}: {refused}")
                continue
            batch.add(self._brought(message, octets), await self._verdict(octets))
            if batch.full:
                done += await keep(batch, came)
                tell(Step(look.name, done, len(uids)))
            if len(came.put_off) >= _MOST_PUT_OFF:
                break
        done += await keep(batch, came)
        tell(Step(look.name, done, len(uids)))
        return came

    async def _keep(
        self,
        run: ImportRun,
        look: Look,
        lease: "_Lease",
        report: Report,
        batch: "_Batch",
        came: Came,
        *,
        settled: bool,
    ) -> int:
        """Keep what waits; how many messages are here now that were not."""
        brought, verdicts, size = batch.take()
        if not brought:
            return 0
        await lease.keep()
        now = self._clock.now()
        done = await self._storage.write(
            lambda connection: imports.bring(
                connection, run, look.filed, look.name, look.origin, brought, now, settled=settled
            ),
            size=size,
        )
        came.put_off |= done.put_off
        report.brought += len(done.new)
        report.moved += len(done.known)
        report.bytes += sum(one.message.size for one in brought if one.uid in done.new)
        for uid in done.new:
            if uid in verdicts:
                report.judged(f"{look.name} {uid}", verdicts[uid], good=verdicts[uid] == self._valid)
        return len(done.new) + len(done.known)

    async def _target(self, folder: RemoteFolder) -> str:
        """The folder here: that of the same special use, else the one of the same name."""
        use = next((each for each in SpecialUse if each.value.lower() in folder.attributes), None)
        if use is not None:
            mine = await self._storage.read(lambda connection: folders.list_folders(connection, self._mailbox_id))
            found = next((each for each in mine if each.special_use == use.value), None)
            if found is not None:
                return found.name
        return folder_name(folder)

    async def _read(self, remote: RemoteMailbox, message: RemoteMessage) -> Octets:
        if message.size <= LARGE:
            pieces = [piece async for piece in remote.read(message.uid)]
            return Octets.whole(InMemory.of(b"".join(pieces)))
        sink = ContentSink(self._storage, self._clock.now)
        try:
            async for piece in remote.read(message.uid):
                await sink.write(piece)
            return Octets.whole(await sink.finish())
        except BaseException:
            await sink.abort()
            raise

    def _brought(self, message: RemoteMessage, octets: Octets) -> Brought:
        return Brought(uid=message.uid, token=self._ids.token(), message=octets, at=message.at, flags=message.flags)

    async def _verdict(self, octets: Octets) -> str | None:
        """Of a message that says it is certified."""
        header = await asyncio.to_thread(scan_header, octets)
        if header.first(X_RICEVUTA) is None and header.first(X_TRASPORTO) is None:
            return None
        return await asyncio.to_thread(self._judge, octets)


class _Lease:
    """Keeps a source for one process."""

    def __init__(self, storage: Storage, clock: Clock, source: int, owner: str) -> None:
        self._storage = storage
        self._clock = clock
        self._source = source
        self._owner = owner
        self._until: datetime | None = None

    async def keep(self) -> None:
        """Take it, or keep it if that is due. Raises TemporaryError: another process has it."""
        now = self._clock.now()
        if self._until is not None and self._until - now > _LEASE / 2:
            return
        take = partial(imports.lease, source=self._source, owner=self._owner, now=now, length=_LEASE)
        if not await self._storage.write(take):
            raise TemporaryError("another process brings this box along already")
        self._until = now + _LEASE

    async def end(self) -> None:
        await self._storage.write(partial(imports.release, source=self._source, owner=self._owner))


class _Batch:
    """Messages that wait for their commit, and what was said of those that are certified, by UID."""

    def __init__(self) -> None:
        self._waiting: list[Brought] = []
        self._verdicts: dict[int, str] = {}
        self._size = 0

    @property
    def full(self) -> bool:
        return len(self._waiting) >= _AT_ONCE or self._size >= _BYTES_AT_ONCE

    def add(self, brought: Brought, verdict: str | None) -> None:
        self._waiting.append(brought)
        self._size += brought.message.size
        if verdict is not None:
            self._verdicts[brought.uid] = verdict

    def take(self) -> tuple[Sequence[Brought], Mapping[int, str], int]:
        taken = self._waiting, self._verdicts, self._size
        self._waiting, self._verdicts, self._size = [], {}, 0
        return taken


def folder_name(folder: RemoteFolder) -> str:
    """A name that a folder here may have, as near to the other server's as it can be."""
    levels = folder.name.split(folder.separator) if folder.separator else [folder.name]
    shown = ["".join(map(_allowed, level)).strip() or "_" for level in levels]
    name = "/".join(level.replace("/", "_") for level in shown)[:_LONGEST_NAME].rstrip("/ ")
    return "INBOX" if name.upper() == "INBOX" else name


def _allowed(character: str) -> str:
    return character if character.isprintable() and character not in _NOT_IN_NAMES else "_"
