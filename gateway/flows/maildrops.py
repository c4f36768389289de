"""Mailboxes for those who signed in: every read and every deletion names the holder's own mailbox (promise 6)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from gateway.flows.outcomes import Holder
from gateway.storage import content, letters, mailboxes
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import ListedMessage
from receipts.octets import Octets

__all__ = ["Maildrops", "OpenMaildrop"]


class Maildrops:
    """The mailboxes as POP3 sees them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def open(self, holder: Holder) -> "OpenMaildrop":
        """The holder's mailbox as it is now. Raises TemporaryError when storage is away."""
        listing = await self._storage.read(lambda connection: mailboxes.pop3_listing(connection, holder.mailbox_id))
        return OpenMaildrop(self._storage, holder.mailbox_id, listing)


class OpenMaildrop:
    """Inbox and receipts of one holder, in order of arrival (D27). Methods raise TemporaryError as ``open`` does."""

    def __init__(self, storage: Storage, mailbox_id: int, listing: Sequence[ListedMessage]) -> None:
        self._storage = storage
        self._mailbox_id = mailbox_id
        self.entries = listing

    async def read(self, positions: Sequence[int]) -> Sequence[Octets | None]:
        """The bytes of the entries at these positions, from 0; None for one that is gone.

        Of a large message only its frame is in memory; its pieces are read from storage as they are taken.
        """
        bodies = [self.entries[position].body_id for position in positions]
        return await self._storage.read(lambda connection: _loaded(connection, bodies))

    def taken(self, position: int) -> None:
        """Nobody keeps a journal of a box that is its holder's alone."""

    async def delete(self, ids: Sequence[int]) -> int:
        """Remove messages of this mailbox for good, all or none; how many were still there."""
        at = datetime.now(UTC)
        removed = await self._storage.write(lambda connection: letters.remove(connection, self._mailbox_id, ids, at))
        return len(removed)


def _loaded(connection: Connection, bodies: Sequence[int]) -> Sequence[Octets | None]:
    try:
        return content.load_many(connection, bodies)
    except LookupError:
        return [_one(connection, body) for body in bodies]


def _one(connection: Connection, body: int) -> Octets | None:
    try:
        return content.load(connection, body)
    except LookupError:
        return None
