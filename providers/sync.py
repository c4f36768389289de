"""The provider index on disk: read when it changes, used only when its signature holds (D6)."""

import logging
import os
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from providers.directory import MAX_INDEX_BYTES, Directory, IndexRefused, read_signed_index
from providers.freshness import refuse_older
from receipts.errors import TemporaryError

__all__ = ["IndexFile", "IndexUnknown", "place_file"]

log = logging.getLogger(__name__)

REMINDED: Final = timedelta(minutes=10)
"""How often an alarm that stands is told again."""
TRIED_AGAIN: Final = timedelta(minutes=1)
"""How often a bad file is read anew although it looks the same: the clock or its permissions may have been at fault."""

Version = tuple[int, ...]


class IndexUnknown(TemporaryError):
    """No index was ever loaded, so nobody can say who is certified."""


class IndexFile:
    """The index file of one provider. ``refresh`` may be called from any thread; the rest never waits for it.

    Args:
        anchors: DER of the authorities under which the signer of the index must stand.
        now: the present instant, for the signer's certificate.
    """

    def __init__(self, file: Path, anchors: tuple[bytes, ...], now: Callable[[], datetime]) -> None:
        self._file = file
        self._anchors = anchors
        self._now = now
        self._loaded: tuple[Directory, bytes] | None = None
        self._refreshing = threading.Lock()
        self._seen: Version | None = None  # the version of the file that was read last, good or bad
        self._read_at: datetime | None = None  # set while the version seen last is bad
        self._told: tuple[str, datetime] | None = None  # the alarm that stands, and when it was told

    def directory(self) -> Directory:
        """The providers as last loaded. Raises IndexUnknown if that never worked."""
        if self._loaded is None:
            raise IndexUnknown(f"no good provider index in {self._file}")
        return self._loaded[0]

    @property
    def loaded(self) -> bool:
        return self._loaded is not None

    @property
    def data(self) -> bytes | None:
        """The index as it was signed, in the version that is in use."""
        return None if self._loaded is None else self._loaded[1]

    @property
    def file(self) -> Path:
        return self._file

    @property
    def placed_at(self) -> datetime | None:
        """When the file was last written; None if there is none."""
        try:
            return datetime.fromtimestamp(self._file.stat().st_mtime, UTC)
        except OSError:
            return None

    def judge(self, data: bytes, *, older: bool = False) -> Directory:
        """Read an index that is to take the place of the one in use.

        Args:
            older: take one that was signed before that, too.

        Raises:
            IndexRefused: it must not.
        """
        held, now = None if self._loaded is None else self._loaded[0], self._now()
        directory = read_signed_index(data, self._anchors, now, previous=held)
        refuse_older(directory, None if older else held, now)
        return directory

    def place(self, data: bytes) -> None:
        """Put an index in the place of the file, whole or not at all; ``refresh`` takes it from there.

        Raises:
            OSError: it cannot be written; the old one is still there.
        """
        place_file(self._file, data)

    def refresh(self, file: Path | None = None, *, forced: bool = False) -> bool:
        """Load the file if it has changed since the last time; whether a new index is in use.

        A file that is missing or not good, or older than what is in use, leaves that in use and is an alarm.

        Args:
            file: where the index is from now on.
            forced: load it even if it has not changed.
        """
        with self._refreshing:
            self._file = file or self._file
            try:
                return self._refresh(forced=forced)
            except (OSError, IndexRefused) as error:
                self._alarm(_reason(error))
                return False

    def _refresh(self, *, forced: bool) -> bool:
        seen = _version(self._file)
        if seen == self._seen and not forced and not self._due_again():
            return False
        self._seen, self._read_at = seen, self._now()
        data = _read(self._file)
        directory = self.judge(data)
        self._loaded, self._read_at, self._told = (directory, data), None, None
        _tell(directory)
        return True

    def _due_again(self) -> bool:
        return self._read_at is not None and not timedelta(0) <= self._now() - self._read_at < TRIED_AGAIN

    def _alarm(self, reason: str) -> None:
        """Say what is wrong when it is new, and again from time to time."""
        now = self._now()
        if self._told is None or self._told[0] != reason or now - self._told[1] >= REMINDED:
            self._told = reason, now
            extra = {"file": str(self._file), "reason": reason, "last_good_in_use": self.loaded}
            log.error("provider index not loaded", extra=extra)


def place_file(file: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file under another name, bring it to the disk, and rename it: readers see the old one or the new one.

    Raises:
        OSError: it cannot be written; nothing has changed.
    """
    fresh = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(descriptor)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _version(file: Path) -> Version:
    """What tells a file from what it was before: also when it was copied over, or its permissions were changed."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise IndexRefused("this is no file")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_INDEX_BYTES + 1)


def _reason(error: Exception) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _tell(directory: Directory) -> None:
    for refusal in directory.refused:
        log.error("provider record refused", extra={"record": refusal.record, "reason": refusal.reason})
    log.info(
        "provider index loaded",
        extra={"providers": len(directory.records), "domains": len(directory.domains), "version": directory.version},
    )
