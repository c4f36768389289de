"""Boxes for programs that keep folders: what an IMAP session does, done in storage (``gateway.mailbox.imap.store``).

Every read and every change names the holder's own mailbox (promise 6).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows import boxfolders, boxwords
from gateway.flows.boxdetails import columns_for, incomplete, of_rows
from gateway.flows.boxsearch import needs_details, search
from gateway.flows.boxtallies import Tallies
from gateway.flows.boxviews import Views
from gateway.flows.boxwords import FlagWords
from gateway.flows.news import Follower, News
from gateway.flows.outcomes import Holder
from gateway.flows.turns import Turns
from gateway.flows.work import deliberate
from gateway.flows.workout import work_out_all
from gateway.points.box import Capacity
from gateway.points.boxes import (
    Addition,
    BoxRefused,
    Changes,
    Copied,
    Details,
    FlagChange,
    Folder,
    Found,
    Known,
    Opened,
    Query,
    Quota,
    SpecialUse,
    Status,
    Stored,
    Want,
    Why,
)
from gateway.points.marks import Mark
from gateway.storage import content, details, folders, keywords, letters, states
from gateway.storage.appends import Appended, append
from gateway.storage.engine import Storage
from gateway.storage.folders import StoredFolder
from gateway.storage.sink import ContentSink
from receipts.octets import Octets

__all__ = ["BoxTools", "Boxes", "HeldBox"]

T = TypeVar("T")
Held = TypeVar("Held", bound="HeldBox")
FILLED_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTools:
    storage: Storage
    news: News
    clock: Clock
    ids: Ids
    capacity: Capacity
    views: Views
    tallies: Tallies
    searches: Turns


class Boxes:
    """Opens the boxes of those who signed in.

    Args:
        capacity: of a box that has none of its own.
    """

    def __init__(self, *, storage: Storage, news: News, clock: Clock, ids: Ids, capacity: Capacity) -> None:
        self._shared = BoxTools(
            storage=storage,
            news=news,
            clock=clock,
            ids=ids,
            capacity=capacity,
            views=Views(),
            tallies=Tallies(),
            searches=Turns(),
        )

    async def __call__(self, holder: Holder) -> "HeldBox":
        """The holder's box. Raises TemporaryError when storage is away."""
        return await self.opened(holder, HeldBox)

    async def opened(self, holder: Holder, make: Callable[[BoxTools, Holder, Follower], Held]) -> Held:
        """The same, as ``make`` wants it."""
        return make(self._shared, holder, await self._shared.news.follow(holder.mailbox_id))


class HeldBox:
    """The box of one holder, for one session; what its methods promise stands with ``store.Box``."""

    def __init__(self, shared: BoxTools, holder: Holder, follower: Follower) -> None:
        self._storage = shared.storage
        self._shared = shared
        self._holder = holder
        self._mailbox_id = holder.mailbox_id
        self._follower = follower
        self._keys: dict[int, str] = {}  # of folders, by id: they never change
        self._words = FlagWords(holder.mailbox_id)

    # Folders.

    async def folders(self) -> Sequence[Folder]:
        return await self._storage.read(lambda connection: boxfolders.listed(connection, self._mailbox_id))

    async def create(self, names: Sequence[str], use: SpecialUse | None, /) -> None:
        await self._storage.write(lambda connection: boxfolders.create(connection, self._mailbox_id, names, use))

    async def delete(self, name: str, /) -> None:
        at = self._shared.clock.now()
        while not await self._storage.write(
            lambda connection: boxfolders.delete_some(connection, self._mailbox_id, name, at)
        ):
            continue

    async def rename(self, old: str, new: str, above: Sequence[str], /) -> None:
        at = self._shared.clock.now()
        await self._storage.write(
            lambda connection: boxfolders.rename(connection, self._mailbox_id, old, new, above, at)
        )

    async def subscribe(self, name: str, on: bool, /) -> None:
        await self._storage.write(lambda connection: boxfolders.subscribe(connection, self._mailbox_id, name, on=on))

    async def status(self, names: Sequence[str], /) -> Mapping[str, Status]:
        return await self._storage.read(
            lambda connection: boxfolders.statuses(connection, self._mailbox_id, names, self._shared.tallies)
        )

    async def quota(self) -> Quota:
        used, own = await self._storage.read(lambda connection: folders.used_bytes(connection, self._mailbox_id))
        return Quota(used, self._shared.capacity.quota if own is None else own or None)

    # A folder.

    async def open(self, name: str, /, *, read_only: bool) -> Opened:
        def question(connection: Connection) -> Opened:
            folder, modseq = boxfolders.opened(connection, self._mailbox_id, name)
            view = self._shared.views.look(connection, self._mailbox_id, folder, modseq)
            self._words.learn(view.keywords)
            return Opened(
                folder_id=folder.id,
                name=folder.name,
                uid_validity=folder.uid_validity,
                uid_next=max(folder.highest_uid, view.uids[-1] if view.uids else 0) + 1,
                modseq=modseq,
                uids=view.uids[:],
                first_unseen=view.first_unseen,
                recent_from=folder.recent_from,
                flags=self._words.names(),
                may_write=True,
            )

        opened = await self._storage.read(question)
        if read_only or opened.recent_from >= opened.uid_next:
            return opened
        taken = await self._take_recent(opened.folder_id, opened.uid_next)
        return opened if taken == opened.recent_from else boxwords.with_recent(opened, taken)

    async def take_recent(self, folder_id: int, /) -> int:
        folder, status = await self._storage.read(lambda connection: self._next_uid(connection, folder_id))
        return await self._take_recent(folder, status)

    async def changes(self, folder_id: int, since: int, /) -> Changes:
        def question(connection: Connection) -> Changes:
            modseq = folders.modseq_of(connection, self._mailbox_id)
            if modseq == since:
                return Changes(modseq=modseq, rows=(), vanished=())
            key = self._key(connection, folder_id)
            rows = states.states_since(connection, self._mailbox_id, key, since, modseq)
            folder = folders.folder_of(connection, self._mailbox_id, folder_id)
            known = folder is None or since >= folder.log_from
            gone = letters.vanished_since(connection, self._mailbox_id, key, since) if known else None
            return Changes(modseq=modseq, rows=self._words.rows(connection, rows), vanished=gone)

        return await self._storage.read(question)

    async def details(self, folder_id: int, uids: Sequence[int], want: Want, /) -> Details:
        columns, zone = columns_for(want), self._shared.clock.now().tzinfo

        def question(connection: Connection) -> tuple[Details, list[int]]:
            key = self._key(connection, folder_id)
            rows = details.read_columns(connection, self._mailbox_id, key, uids, columns)
            self._words.load(connection)
            return of_rows(rows, want, self._words, zone), incomplete(rows)

        found, bare = await self._storage.read(question)
        if bare:
            await self._work_out(folder_id, bare)
            found, _ = await self._storage.read(question)
        return found

    async def bodies(self, folder_id: int, uids: Sequence[int], /) -> Mapping[int, Octets]:
        def question(connection: Connection) -> dict[int, Octets]:
            key = self._key(connection, folder_id)
            found = letters.body_ids(connection, self._mailbox_id, key, uids)
            return dict(zip(found, content.load_many(connection, list(found.values())), strict=True))

        return await self._storage.read(question)

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
        def transaction(connection: Connection) -> tuple[int, list[Any] | None, dict[str, int], dict[int, str]]:
            key = self._key(connection, folder_id)
            modseq = folders.change_box(connection, self._mailbox_id)[0]
            bits = boxwords.bits(connection, self._mailbox_id, change, flags)
            states.set_flags(
                connection, self._mailbox_id, key, uids, modseq=modseq, unchanged_since=unchanged_since, **bits
            )
            up_to_date = known is not None and known.modseq == modseq - 1
            rows = None if up_to_date else states.states(connection, self._mailbox_id, key, uids)
            return modseq, rows, bits, keywords.keyword_names(connection, self._mailbox_id)

        modseq, rows, bits, own = await self._storage.write(transaction)
        self._words.learn(own)
        if rows is not None or known is None:
            there = self._words.messages(rows or ())
        else:
            there = self._words.changed(known.messages, bits, modseq, unchanged_since)
        late = (
            []
            if unchanged_since is None
            else [row.uid for row in there.rows() if unchanged_since < row.modseq < modseq]
        )
        return Stored(there.only(set(there.uids).difference(late)) if late else there, late, modseq)

    async def copy(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        def transaction(connection: Connection) -> Copied:
            folders.hold(connection, self._mailbox_id)
            key = self._key(connection, folder_id)
            there = boxfolders.named(connection, self._mailbox_id, target)
            copies = letters.copy(connection, self._mailbox_id, key, uids, there.key, self._tokens())
            return _copied(there, copies)

        return await self._storage.write(transaction)

    async def move(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        at = self._shared.clock.now()

        def transaction(connection: Connection) -> Copied:
            folders.hold(connection, self._mailbox_id)
            key = self._key(connection, folder_id)
            there = boxfolders.named(connection, self._mailbox_id, target)
            return _copied(there, letters.move(connection, self._mailbox_id, key, uids, there.key, at))

        return await self._storage.write(transaction)

    async def expunge(self, folder_id: int, uids: Sequence[int] | None, /) -> Sequence[int]:
        at, mark, gone = self._shared.clock.now(), Mark.DELETED, list[int]()

        def transaction(connection: Connection) -> list[int]:
            folders.hold(connection, self._mailbox_id)
            key = self._key(connection, folder_id)
            return letters.expunge(connection, self._mailbox_id, key, uids, mark, at)

        while True:
            some = await self._storage.write(transaction)
            gone += some
            if len(some) < letters.MARKED:
                return sorted(gone)

    async def search(self, folder_id: int, query: Query, /) -> Found:
        if needs_details(query):
            await self._work_out(folder_id, None)
        now = self._shared.clock.now()

        def question(connection: Connection) -> Found:
            key = self._key(connection, folder_id)
            self._words.load(connection)
            return search(connection, self._mailbox_id, key, query, self._words, now)

        async with self._shared.searches.of(self._mailbox_id):
            return await self._storage.read(question, alone=True)

    def open_sink(self) -> ContentSink:
        return ContentSink(self._storage, self._shared.clock.now)

    async def append(self, name: str, added: Sequence[Addition], /) -> tuple[int, Sequence[int]]:
        now, capacity = self._shared.clock.now(), self._shared.capacity
        new = [await self._appended(addition, now) for addition in added]

        def transaction(connection: Connection) -> tuple[int, Sequence[int]]:
            _, _, used = folders.change_box(connection, self._mailbox_id)
            folder = boxfolders.named(connection, self._mailbox_id, name)
            _, own = folders.used_bytes(connection, self._mailbox_id)
            quota = capacity.quota if own is None else own or None
            own_words = [boxwords.keyword_bits(connection, self._mailbox_id, one.words) for one in new]
            return folder.uid_validity, append(
                connection,
                self._holder.account_id,
                self._mailbox_id,
                folder,
                new,
                own_words,
                room=None if quota is None else quota - used,
            )

        return await self._storage.write(transaction, size=sum(one.message.size for one in new))

    async def _appended(self, addition: Addition, now: datetime) -> Appended:
        token = self._shared.ids.token()
        return await deliberate(addition.message.size, lambda: boxwords.appended(addition, token, now))

    # News.

    @property
    def modseq(self) -> int:
        return self._follower.modseq

    async def changed(self, since: int, /) -> int:
        return await self._follower.changed(since)

    async def close(self) -> None:
        self._follower.close()

    async def _work_out(self, folder_id: int, uids: Sequence[int] | None) -> None:
        """Let there be details of these messages, or of a whole folder, where the filler has not come to them yet."""

        def missing(connection: Connection) -> Any:
            key = self._key(connection, folder_id)
            if uids is None:
                return details.without_details_in(connection, self._mailbox_id, key, FILLED_AT_ONCE)
            return details.without_details(connection, self._mailbox_id, key, uids)

        while rows := await self._storage.read(missing):
            await work_out_all(self._storage, rows)
            if uids is not None or len(rows) < FILLED_AT_ONCE:
                return

    async def _take_recent(self, folder_id: int, uid_next: int) -> int:
        return await self._storage.write(
            lambda connection: folders.take_recent(connection, self._mailbox_id, folder_id, uid_next)
        )

    def _key(self, connection: Connection, folder_id: int) -> str:
        """What stands with the messages of a folder; of one that was deleted too, if this session has seen it."""
        key = self._keys.get(folder_id)
        if key is None:
            folder = folders.folder_of(connection, self._mailbox_id, folder_id)
            if folder is None:
                raise BoxRefused(Why.NO_FOLDER)
            key = self._keys[folder_id] = folder.key
        return key

    def _next_uid(self, connection: Connection, folder_id: int) -> tuple[int, int]:
        """The folder's id, and the lowest UID that no message of it has had."""
        key = self._key(connection, folder_id)
        folder = folders.folder_of(connection, self._mailbox_id, folder_id)
        highest = states.highest_uid(connection, self._mailbox_id, key)
        return folder_id, max(highest, folder.highest_uid if folder else 0) + 1

    def _tokens(self) -> Iterator[str]:
        while True:
            yield self._shared.ids.token()


def _copied(there: StoredFolder, copies: Sequence[letters.Copy]) -> Copied:
    return Copied(there.uid_validity, [(one.old_uid, one.new_uid) for one in copies])
