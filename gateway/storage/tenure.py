"""The name of a process in leases: its own for as long as it lives, and if possible the one it had before (D10, D24).

A lease dies with its process: whoever starts under a name gives back what was leased to it. So no two processes may
have one name, and a process that is started again should have its old one.
"""

import fcntl
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final
from zlib import crc32

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from gateway.storage.drivers import connecting
from gateway.storage.errors import StorageUnavailable
from receipts.errors import GatewayError

__all__ = ["AlreadyRunning", "Tenure", "hold_name"]

log = logging.getLogger(__name__)

NAMESPACE: Final = 0x6365726C  # of our advisory locks, among those of others in the same database
MOST_PROCESSES: Final = 100  # of one name
KEEPALIVE: Final = ("tcp_keepalives_idle = 20", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")
"""On the server's side: a host that vanished loses its name within a minute."""


class AlreadyRunning(GatewayError):
    """Another process serves this SQLite file; only one may (D24)."""


class Tenure(ABC):
    """A name, held."""

    name: str

    @abstractmethod
    def renew(self) -> None:
        """Hold the name again if the database has forgotten it since. Blocks.

        Raises:
            StorageUnavailable: it cannot be reached.
        """

    @abstractmethod
    def release(self) -> None:
        """Let others have the name. Blocks."""


def hold_name(url: str, wanted: str) -> Tenure:
    """Hold ``wanted`` or, while another process of the same database has that, a name made from it.

    Raises:
        AlreadyRunning: another process has the SQLite file.
        StorageUnavailable: the database cannot be reached.
    """
    parsed = make_url(url)
    return _File(parsed, wanted) if parsed.get_backend_name() == "sqlite" else _Database(parsed, wanted)


class _File(Tenure):
    """A lock on a file beside the database: one process alone."""

    def __init__(self, url: URL, wanted: str) -> None:
        self.name = wanted
        self._lock: IO[bytes] | None = None if not url.database else _locked(url.database)

    def renew(self) -> None:
        """The system forgets no lock."""

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()


def _locked(database: str) -> IO[bytes]:
    file = Path(f"{database}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise AlreadyRunning(
            f"{database}: another process serves this file; more than one needs PostgreSQL (storage.url)"
        ) from None
    return lock


class _Database(Tenure):
    """An advisory lock of a connection that stays open: PostgreSQL lets it go when the process dies."""

    def __init__(self, url: URL, wanted: str) -> None:
        self._engine = create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=connecting(url)
        )
        self._connection: Connection | None = None
        try:
            self._connection = _connected(self._engine)
            self.name = next(name for name in _names(wanted) if _lock(self._connection, name))
        except SQLAlchemyError as error:
            self.release()
            raise StorageUnavailable("the database cannot be reached") from error
        except StopIteration:
            self.release()
            raise AlreadyRunning(f"{MOST_PROCESSES} processes are called {wanted} already") from None

    def renew(self) -> None:
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return
            self._connection = _connected(self._engine)
            if not _lock(self._connection, self.name):
                self._forget()
                log.error("another process has taken the name of this one", extra={"name_of_process": self.name})
        except SQLAlchemyError as error:
            self._forget()
            raise StorageUnavailable("the name of this process is not held") from error

    def release(self) -> None:
        self._forget()
        self._engine.dispose()

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _names(wanted: str) -> Iterator[str]:
    yield wanted
    for number in range(2, MOST_PROCESSES + 1):
        yield f"{wanted}#{number}"


def _connected(engine: Engine) -> Connection:
    connection = engine.connect()
    for setting in KEEPALIVE:
        connection.execute(text(f"SET {setting}"))
    return connection


def _lock(connection: Connection, name: str) -> bool:
    key = crc32(name.encode()) - (1 << 31)
    lock = text("SELECT pg_try_advisory_lock(:space, :key)")
    return bool(connection.execute(lock, {"space": NAMESPACE, "key": key}).scalar_one())
