"""The database of one provider: reads in a few threads, writes in one, both awaited by flows (D24, D38)."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, make_url

from gateway.storage import schema
from gateway.storage.drivers import Durability, durability, engines, is_unavailable
from gateway.storage.errors import StorageUnavailable
from gateway.storage.readers import Readers
from gateway.storage.writer import Changed, GroupLimits, Writer

__all__ = ["Storage"]

T = TypeVar("T")
READERS: Final = 4


class Storage:
    """Where everything is kept. Functions of ``gateway.storage`` take the connection it hands out."""

    def __init__(self, reader: Engine, writer: Engine, limits: GroupLimits | None = None) -> None:
        self._reader = reader
        self._writing_engine = writer
        self._writer = Writer(writer, limits)
        self._readers = Readers(reader, READERS)

    @classmethod
    def open(cls, url: str, *, migrate: bool = False, limits: GroupLimits | None = None) -> "Storage":
        """Open a database: ``sqlite:////absolute/path`` or ``postgresql+psycopg://user@host:port/database``.

        Args:
            migrate: bring its schema up to date first.

        Raises:
            StorageUnavailable: it cannot be reached, or its schema is not the one of this program.
            UnsafeStorage: its commits would not survive the loss of power.
        """
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database and migrate:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        place = _Place()
        reader, writer = engines(parsed, place, READERS)
        try:
            if migrate:
                schema.migrate(writer)
            schema.check(writer)
            storage = cls(reader, writer, limits)
        except Exception as error:
            reader.dispose()
            writer.dispose()
            if is_unavailable(error):
                where = parsed.database if parsed.get_backend_name() == "sqlite" else parsed.host
                raise StorageUnavailable(f"{where}: the database cannot be opened") from error
            raise
        place.storage = storage
        return storage

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._reader.dialect.name

    async def read(self, question: Callable[[Connection], T], *, alone: bool = False) -> T:
        """What ``question`` finds, in one snapshot, in a thread of the readers.

        Args:
            alone: it may take long: nobody else's question is asked together with it.

        Raises:
            StorageUnavailable: the database cannot be read.
        """
        return await self._readers.read(question, alone=alone)

    async def write(self, transaction: Callable[[Connection], T], *, size: int = 0) -> T:
        """What ``transaction`` returns, once it is on disk, together with others that run at the same time.

        Args:
            transaction: statements only; it may run twice.
            size: about how many bytes it writes, so that groups stay bounded.

        Raises:
            StorageUnavailable: it did not take place, or nobody can tell.
            Exception: what the transaction raised; it did not take place.
        """
        return await self._writer.write(transaction, size)

    def read_now(self, question: Callable[[Connection], T]) -> T:
        """The same as ``read``, in this thread. A broken connection is replaced once."""
        try:
            return self._read(question)
        except Exception as error:
            if not is_unavailable(error):
                raise
        try:
            return self._read(question)
        except Exception as error:
            if is_unavailable(error):
                raise StorageUnavailable("the database cannot be read") from error
            raise

    def write_now(self, transaction: Callable[[Connection], T]) -> T:
        """The same as ``write``, for threads without an event loop."""
        return self._writer.write_now(transaction)

    def on_change(self, changed: Changed) -> None:
        """Tell ``changed`` of every commit of this process that changes mailboxes, in the writer's thread."""
        self._writer.changed = changed

    def durability(self) -> Durability:
        """What the writer's connection says now about its commits."""
        return self.write_now(durability)

    def close(self) -> None:
        """Finish what was handed in, then let the database go."""
        self._writer.close()
        self._readers.close()
        self._reader.dispose()
        self._writing_engine.dispose()

    def _read(self, question: Callable[[Connection], T]) -> T:
        with self._reader.connect() as connection:
            try:
                with connection.begin():
                    return question(connection)
            except Exception as error:
                if is_unavailable(error):
                    connection.invalidate()
                raise


class _Place:
    """What connections carry, so that bytes found through one can be read on after it has closed."""

    def __init__(self) -> None:
        self.storage: Storage | None = None

    def read_now(self, question: Callable[[Connection], T]) -> T:
        if self.storage is None:
            raise StorageUnavailable("the storage is not open yet")
        return self.storage.read_now(question)
