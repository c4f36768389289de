"""Shared boxes as POP3 sees them: deleting needs a right, and what is taken comes into the journal (D35)."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.flows.journal import Journal, entry_of
from gateway.flows.maildrops import Maildrops, OpenMaildrop
from gateway.flows.outcomes import Holder, Visit
from gateway.flows.witness import Doing, Eye, gone
from gateway.points.sharing import Act
from gateway.storage import folders, journal, mailboxes
from gateway.storage.engine import Storage
from gateway.storage.journal import Entry, Mentioned
from gateway.storage.mailboxes import ListedMessage
from gateway.storage.witnessed import Witnessed

__all__ = ["SharedMaildrop", "WatchedMaildrops"]


class WatchedMaildrops:
    """The mailboxes as POP3 sees them, each as its holder's alone or as one that is shared."""

    def __init__(self, storage: Storage, maildrops: Maildrops, journal_: Journal, clock: Clock) -> None:
        self._storage = storage
        self._maildrops = maildrops
        self._journal = journal_
        self._clock = clock

    async def open(self, holder: Holder) -> OpenMaildrop:
        """The mailbox as it is now. Raises TemporaryError when storage is away, BoxRefused without a right."""
        visit, mailbox_id = holder.visit, holder.mailbox_id
        if visit is None:
            return await self._maildrops.open(holder)
        eye = Eye(visit)
        storage = Witnessed(self._storage, eye)
        listing, uids = await storage.read(
            lambda connection: (
                mailboxes.pop3_listing(connection, mailbox_id),
                journal.uids_by_id(connection, mailbox_id),
            )
        )
        return SharedMaildrop(storage, mailbox_id, listing, uids, visit, eye, self._journal, self._clock)


class SharedMaildrop(OpenMaildrop):
    """A maildrop in the hands of one of those who share its box; BoxRefused where the right is missing."""

    def __init__(
        self,
        storage: Storage,
        mailbox_id: int,
        listing: Sequence[ListedMessage],
        uids: Mapping[int, int],
        visit: Visit,
        eye: Eye,
        journal_: Journal,
        clock: Clock,
    ) -> None:
        super().__init__(storage, mailbox_id, listing)
        self._uids = uids  # by the ids of messages
        self._visit = visit
        self._eye = eye
        self._journal = journal_
        self._clock = clock

    def taken(self, position: int) -> None:
        uid = self._uids.get(self.entries[position].id)
        if uid is not None:
            self._journal.read(self._visit, self._mailbox_id, None, [uid])

    async def delete(self, ids: Sequence[int]) -> int:
        def before(connection: Connection) -> list[Mentioned]:
            folders.hold(connection, self._mailbox_id)
            uids = [self._uids[each] for each in ids if each in self._uids]
            return journal.mentioned(connection, self._mailbox_id, uids)

        def after(connection: Connection, there: list[Mentioned], _: object) -> Iterable[Entry]:
            left = gone(connection, self._mailbox_id, there)
            if left:
                uids = [one.uid for one in left]
                yield entry_of(self._visit, self._mailbox_id, Act.REMOVE, self._clock.now(), uids=uids, mentioned=left)

        with self._eye.on(Doing(Act.REMOVE, before, after)):
            return await super().delete(ids)
