"""What an IMAP session needs of the boxes: shapes that ``gateway/flows`` fills."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from gateway.flows.outcomes import Holder
from gateway.points.boxes import (
    Addition,
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
)
from receipts.octets import Octets, Source

__all__ = ["Box", "OpenBox", "Sink"]


class Sink(Protocol):
    """Where the bytes of a large message go while they come in."""

    async def write(self, data: bytes, /) -> None: ...
    async def finish(self) -> Source: ...
    async def abort(self) -> None: ...


class Box(Protocol):
    """The box of one holder, for one session.

    Every method raises TemporaryError when storage is away, and BoxRefused where the box does not do it: an unknown
    folder, no right, no room. Sequences of UIDs are ascending without doubles; UIDs that are not in the folder are
    passed over in silence, here and in the answers.
    """

    # Folders. A name is compared exactly; the session has made the inbox "INBOX".

    async def folders(self) -> Sequence[Folder]:
        """All folders, and the names subscribed to that are none."""
        ...

    async def create(self, names: Sequence[str], use: SpecialUse | None, /) -> None:
        """Make a folder, the last of ``names``; those before it are above it and are made if missing.

        Refused (EXISTS) if the last is there; ``use`` is for the last one.
        """
        ...

    async def delete(self, name: str, /) -> None:
        """Remove a folder with its messages; folders below it stay. Sessions that have it open see it emptied."""
        ...

    async def rename(self, old: str, new: str, above: Sequence[str], /) -> None:
        """Rename a folder and all below it; ``above`` are names above ``new``, made if missing.

        Of the inbox the messages move into a new folder and the inbox stays (RFC 3501 section 6.3.5).
        """
        ...

    async def subscribe(self, name: str, on: bool, /) -> None: ...

    async def status(self, names: Sequence[str], /) -> Mapping[str, Status]:
        """Counts of these folders; those that are not there are left out."""
        ...

    async def quota(self) -> Quota: ...

    # A folder. ``folder_id`` is that of ``Opened``; of a deleted folder all messages have vanished.

    async def open(self, name: str, /, *, read_only: bool) -> Opened:
        """The folder now. Unless ``read_only``, its recent messages are recent here and in no later session."""
        ...

    async def take_recent(self, folder_id: int, /) -> int:
        """The UID from which on no other session has been told of recent messages; from now on this one has."""
        ...

    async def changes(self, folder_id: int, since: int, /) -> Changes:
        """What happened after the moment when the box's modseq was ``since``."""
        ...

    async def details(self, folder_id: int, uids: Sequence[int], want: Want, /) -> Details:
        """What is kept of these messages; no mail is read for it. The session asks for some hundreds at a time.

        If that is very much, it is of the first of them only: who wants more asks again for those behind.
        """
        ...

    async def bodies(self, folder_id: int, uids: Sequence[int], /) -> Mapping[int, Octets]:
        """The bytes of these messages; those of large ones are read as they are taken, in a thread."""
        ...

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
        """Change flags of messages; ``known``: all of these as the session knows them, so that nobody need look."""
        ...

    async def copy(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        """All or none, in the order of their UIDs."""
        ...

    async def move(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        """All or none; they have left the folder at the same moment."""
        ...

    async def expunge(self, folder_id: int, uids: Sequence[int] | None, /) -> Sequence[int]:
        """Remove for good what has the flag \\Deleted, of these or (None) of all; the UIDs that went."""
        ...

    async def search(self, folder_id: int, query: Query, /) -> Found: ...

    def open_sink(self) -> Sink:
        """For a message too large for memory, while it comes in; then it is ``Octets.whole(await finish())``."""
        ...

    async def append(self, name: str, added: Sequence[Addition], /) -> tuple[int, Sequence[int]]:
        """Put messages into a folder, all or none; its UIDVALIDITY and their UIDs.

        One that this account sent within a day has its UID answered, if it is in the sent folder already (D35).
        """
        ...

    # News.

    @property
    def modseq(self) -> int:
        """The newest modseq of the box that this process has heard of; costs nothing."""
        ...

    async def changed(self, since: int, /) -> int:
        """Wait until the box has a modseq above ``since``, and say it. May be cancelled at any time."""
        ...

    async def close(self) -> None:
        """The session is over."""
        ...


OpenBox = Callable[[Holder], Awaitable[Box]]
"""Opens the box of somebody who signed in. Raises TemporaryError when storage is away."""
