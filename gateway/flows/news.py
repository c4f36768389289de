"""Changes of mailboxes, told to the sessions that look at them: at once in this process, soon from other nodes.

The storage's writer says which mailboxes a commit changed, and up to which modseq. What other processes commit is
found by asking for the modseqs of all mailboxes with live sessions, in one question, twice a second.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from gateway.storage import folders
from gateway.storage.engine import Storage

__all__ = ["Follower", "News"]


@dataclass(slots=True)
class _Box:
    modseq: int
    followers: int = 0
    waiting: set["asyncio.Future[None]"] = field(default_factory=set)


class News:
    """The mailboxes that somebody in this process follows."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._boxes: dict[int, _Box] = {}
        self._listeners: list[Callable[[frozenset[int]], None]] = []
        self._lock = threading.Lock()
        self._changed: dict[int, int] = {}  # what was committed since the loop looked, by mailbox: its modseq
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to listen, in the event loop of the process."""
        self._loop = asyncio.get_running_loop()
        self._storage.on_change(self._committed)

    def listen(self, listener: Callable[[frozenset[int]], None]) -> None:
        """Tell ``listener`` of all mailboxes that this process changes, in the event loop, soon after the commits."""
        self._listeners.append(listener)

    async def follow(self, mailbox_id: int) -> "Follower":
        """Follow a mailbox; the answer is to be closed. Raises TemporaryError when storage is away."""
        box = self._boxes.setdefault(mailbox_id, _Box(0))
        box.followers += 1
        follower = Follower(self, mailbox_id)
        if box.followers == 1:
            try:
                await self._look({mailbox_id})
            except BaseException:
                follower.close()
                raise
        return follower

    async def poll(self) -> None:
        """See what other processes changed. Raises TemporaryError when storage is away."""
        if self._boxes:
            await self._look(set(self._boxes))

    def modseq(self, mailbox_id: int) -> int:
        return self._boxes[mailbox_id].modseq

    async def changed(self, mailbox_id: int, since: int) -> int:
        """Wait until a followed mailbox has a modseq above ``since``."""
        box = self._boxes[mailbox_id]
        while box.modseq <= since:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            box.waiting.add(future)
            try:
                await future
            finally:
                box.waiting.discard(future)
        return box.modseq

    def leave(self, mailbox_id: int) -> None:
        box = self._boxes[mailbox_id]
        box.followers -= 1
        if not box.followers:
            del self._boxes[mailbox_id]

    def _committed(self, changed: Mapping[int, int]) -> None:
        """In the writer's thread: one call into the event loop for all commits until it gets there."""
        with self._lock:
            first = not self._changed
            self._changed.update(changed)
        if first and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._tell)
            except RuntimeError:  # the loop has ended, and with it the sessions
                return

    def _tell(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, {}
        for listener in self._listeners:
            listener(frozenset(changed))
        self._wake(changed.items())

    async def _look(self, mailbox_ids: Collection[int]) -> None:
        self._wake(await self._storage.read(lambda connection: folders.modseqs_of(connection, mailbox_ids)))

    def _wake(self, found: Iterable[tuple[int, int]]) -> None:
        for mailbox_id, modseq in found:
            box = self._boxes.get(mailbox_id)
            if box is None or modseq <= box.modseq:
                continue
            box.modseq = modseq
            for future in box.waiting:
                if not future.done():
                    future.set_result(None)


class Follower:
    """One session's eye on one mailbox."""

    def __init__(self, news: News, mailbox_id: int) -> None:
        self._news = news
        self._mailbox_id = mailbox_id
        self._open = True

    @property
    def modseq(self) -> int:
        """The newest modseq that this process has heard of."""
        return self._news.modseq(self._mailbox_id)

    async def changed(self, since: int) -> int:
        """Wait until the mailbox has a modseq above ``since``, and say it."""
        return await self._news.changed(self._mailbox_id, since)

    def close(self) -> None:
        """May be called twice."""
        if self._open:
            self._open = False
            self._news.leave(self._mailbox_id)
