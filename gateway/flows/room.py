"""Whether there is room for another message: in the outbox and on the disk (D17)."""

import logging
import shutil
from pathlib import Path

from gateway.storage import outbox
from gateway.storage.engine import Storage

__all__ = ["Room"]

log = logging.getLogger(__name__)


class Room:
    """The answer as of the last look; a submission does not wait for a new one.

    Args:
        folder: on the disk that fills; None when the database is on another host.
        max_rows: of the outbox.
        min_free_bytes: of the disk.
    """

    def __init__(self, storage: Storage, folder: Path | None, *, max_rows: int, min_free_bytes: int) -> None:
        self._storage = storage
        self._folder = folder
        self._max_rows = max_rows
        self._min_free_bytes = min_free_bytes
        self._there_is = True

    def __call__(self) -> bool:
        return self._there_is

    async def look(self) -> None:
        """Raises TemporaryError or OSError when nobody can tell; then the last answer stands."""
        waiting = await self._storage.read(outbox.count)
        free = None if self._folder is None else shutil.disk_usage(self._folder).free
        there_is = waiting.rows < self._max_rows and (free is None or free >= self._min_free_bytes)
        if there_is is not self._there_is:
            level = logging.INFO if there_is else logging.ERROR
            log.log(level, "room for submissions changed", extra={"room": there_is, "rows": waiting.rows, "free": free})
        self._there_is = there_is
