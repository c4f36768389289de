"""The provider index on disk: read when it changes, used only when its signature holds (D6)."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from providers.directory import Directory, IndexRefused, read_signed_index
from receipts.errors import TemporaryError

__all__ = ["IndexFile", "IndexUnknown"]

log = logging.getLogger(__name__)


class IndexUnknown(TemporaryError):
    """No index was ever loaded, so nobody can say who is certified."""


class IndexFile:
    """The index file of one provider.

    Args:
        anchors: DER of the authorities under which the signer of the index must stand.
        now: the present instant, for the signer's certificate.
    """

    def __init__(self, file: Path, anchors: tuple[bytes, ...], now: Callable[[], datetime]) -> None:
        self._file = file
        self._anchors = anchors
        self._now = now
        self._directory: Directory | None = None
        self._seen: tuple[int, int, int] | None = None

    @property
    def file(self) -> Path:
        return self._file

    def directory(self) -> Directory:
        """The providers as last loaded. Raises IndexUnknown if that never worked."""
        if self._directory is None:
            raise IndexUnknown(f"no good provider index in {self._file}")
        return self._directory

    @property
    def loaded(self) -> bool:
        return self._directory is not None

    def refresh(self) -> bool:
        """Load the file if it has changed since the last time; whether a new index is in use.

        A file that is missing or not good leaves the last good one in use and is an alarm.
        """
        try:
            status = self._file.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return False
            self._seen = seen
            directory = read_signed_index(self._file.read_bytes(), self._anchors, self._now(), previous=self._directory)
        except (OSError, IndexRefused) as error:
            log.error("provider index not loaded", extra={"file": str(self._file), "reason": str(error)})
            return False
        self._directory = directory
        for refusal in directory.refused:
            log.error("provider record refused", extra={"record": refusal.record, "reason": refusal.reason})
        log.info(
            "provider index loaded",
            extra={
                "providers": len(directory.records),
                "domains": len(directory.domains),
                "version": directory.version,
            },
        )
        return True
