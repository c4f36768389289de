"""Turns at what takes long: one at a time for each box, few at a time in all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

__all__ = ["AT_ONCE", "Turns"]

AT_ONCE: Final = 2
"""Fewer than storage has readers (``storage.engine``): whoever asks for something small finds one of those free."""


class Turns:
    """The turns of one process and one event loop."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(AT_ONCE)
        self._boxes: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, mailbox_id: int) -> AsyncIterator[None]:
        """Wait for a turn, in the order of those who came, and have it."""
        lock = self._boxes.get(mailbox_id)
        if lock is None:
            lock = self._boxes[mailbox_id] = asyncio.Lock()
        async with lock, self._all:
            yield
