"""A certified box brought along from another provider's IMAP server: folders, flags, dates and bytes.

What is here already is never brought again, whether the run was stopped, repeated or is one of a schedule: message and
note of it are one commit. Each certified message is verified as it passes; a bad one is brought all the same, and told.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from gateway.drivers.imap_client import ImapRefused, RemoteFolder, RemoteMailbox, RemoteMessage
from gateway.drivers.sources import Clock, Ids
from gateway.flows.work import LARGE
from gateway.points.boxes import SpecialUse
from gateway.points.marks import marks_of
from gateway.storage import folders, imports
from gateway.storage.engine import Storage
from gateway.storage.imports import Brought, Origin
from gateway.storage.sink import ContentSink
from receipts.errors import TemporaryError
from receipts.octets import InMemory, Octets
from receipts.scanner import scan_header
from receipts.wire import X_RICEVUTA, X_TRASPORTO

__all__ = ["Bringing", "Report", "Step"]

_AT_ONCE: Final = 50  # messages a commit
_BYTES_AT_ONCE: Final = 4_000_000
_LEASE: Final = timedelta(minutes=10)
_LONGEST_NAME: Final = 255
_NOT_IN_NAMES: Final = frozenset('*%"\\')

Judge = Callable[[Octets], str]
"""A message that says it is certified -> one word about it, for the report. Runs in a thread."""


@dataclass(slots=True)
class Report:
    """What a run did."""

    folders: int = 0
    brought: int = 0
    here_before: int = 0
    bytes: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)  # of certified messages, by the judge's words
    suspicious: list[str] = field(default_factory=list)  # folder and UID of those that did not verify
    left_out: list[str] = field(default_factory=list)  # folder and UID, and why


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is."""

    folder: str
    done: int  # messages of this folder
    of: int


class Bringing:
    """Brings one box along.

    Args:
        source: user, host and port of the other server, by which it is known again.
        owner: in whose name the source is leased: two processes never bring the same one.
        judge: see ``Judge``.
        valid: what the judge says of messages that hold.
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
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._mailbox_id = mailbox_id
        self._source = source
        self._owner = owner
        self._judge = judge
        self._valid = valid

    async def __call__(self, remote: RemoteMailbox, tell: Callable[[Step], None] = lambda _: None) -> Report:
        """Bring what is not here yet.

        Raises:
            TemporaryError: the other server or the storage went away, or another process is at it; what was brought
                stays, and the next run goes on from there.
            ImapRefused: the other server says no.
        """
        source = await self._storage.write(
            lambda connection: imports.source_id(connection, self._mailbox_id, self._source, self._clock.now())
        )
        report = Report()
        try:
            for folder in await remote.folders():
                await self._folder(remote, folder, source, report, tell)
                report.folders += 1
        finally:
            await self._storage.write(lambda connection: imports.release(connection, source, self._owner))
        return report

    async def _folder(
        self, remote: RemoteMailbox, folder: RemoteFolder, source: int, report: Report, tell: Callable[[Step], None]
    ) -> None:
        await self._lease(source)
        validity = await remote.examine(folder)
        origin = Origin(source_id=source, folder=folder.wire_name, uid_validity=validity)
        uids = await remote.uids()
        known = await self._storage.read(lambda connection: imports.known_uids(connection, origin))
        missing = [uid for uid in uids if uid not in known]
        report.here_before += len(uids) - len(missing)
        name = await self._target(folder)
        batch = _Batch()
        tell(Step(name, len(uids) - len(missing), len(uids)))
        async for message in remote.messages(missing):
            try:
                octets = await self._read(remote, message)
            except ImapRefused as refused:
                report.left_out.append(f"{name} {message.uid}: {refused}")
                continue
            batch.add(self._brought(message, octets))
            await self._look_at(octets, f"{name} {message.uid}", report)
            if batch.full:
                await self._keep(source, name, origin, batch, report)
                tell(Step(name, len(uids) - len(missing) + batch.kept, len(uids)))
        await self._keep(source, name, origin, batch, report)
        tell(Step(name, len(uids) - len(missing) + batch.kept, len(uids)))

    async def _keep(self, source: int, name: str, origin: Origin, batch: "_Batch", report: Report) -> None:
        brought, size = batch.take()
        await self._lease(source)
        now = self._clock.now()
        await self._storage.write(
            lambda connection: imports.bring(connection, self._mailbox_id, name, origin, brought, now), size=size
        )
        batch.kept += len(brought)
        report.brought += len(brought)
        report.bytes += size

    async def _lease(self, source: int) -> None:
        now = self._clock.now()
        if not await self._storage.write(
            lambda connection: imports.lease(connection, source, self._owner, now, _LEASE)
        ):
            raise TemporaryError("another process brings this box along already")

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
        marks, words = marks_of(message.flags)
        return Brought(
            uid=message.uid,
            token=self._ids.token(),
            message=octets,
            at=message.at,
            marks=int(marks),
            words=words,
        )

    async def _look_at(self, octets: Octets, where: str, report: Report) -> None:
        header = await asyncio.to_thread(scan_header, octets)
        if header.first(X_RICEVUTA) is None and header.first(X_TRASPORTO) is None:
            return
        verdict = await asyncio.to_thread(self._judge, octets)
        report.verdicts[verdict] += 1
        if verdict != self._valid:
            report.suspicious.append(f"{where}: {verdict}")


class _Batch:
    """Messages that wait for their commit."""

    def __init__(self) -> None:
        self.kept = 0
        self._waiting: list[Brought] = []
        self._size = 0

    @property
    def full(self) -> bool:
        return len(self._waiting) >= _AT_ONCE or self._size >= _BYTES_AT_ONCE

    def add(self, brought: Brought) -> None:
        self._waiting.append(brought)
        self._size += brought.message.size

    def take(self) -> tuple[Sequence[Brought], int]:
        taken, size = self._waiting, self._size
        self._waiting, self._size = [], 0
        return taken, size


def folder_name(folder: RemoteFolder) -> str:
    """A name that a folder here may have, as near to the other server's as it can be."""
    levels = folder.name.split(folder.separator) if folder.separator else [folder.name]
    shown = ["".join(map(_allowed, level)).strip() or "_" for level in levels]
    name = "/".join(level.replace("/", "_") for level in shown)[:_LONGEST_NAME].rstrip("/ ")
    return "INBOX" if name.upper() == "INBOX" else name


def _allowed(character: str) -> str:
    return character if character.isprintable() and character not in _NOT_IN_NAMES else "_"
