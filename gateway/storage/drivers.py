"""What SQLite and PostgreSQL connections are told before they are used, and what their errors mean (D24)."""

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from gateway.storage.batch import Batch
from gateway.storage.errors import UnsafeStorage

__all__ = ["Durability", "connecting", "durability", "engines", "is_passing", "is_unavailable"]

BUSY_MILLISECONDS: Final = 10_000
READER_CACHE_KIB: Final = 4_000
WRITER_CACHE_KIB: Final = 16_000
LOCK_MILLISECONDS: Final = 5_000
STATEMENT_MILLISECONDS: Final = 60_000
PATIENCE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
"""Else libpq waits two hours for a server whose host has vanished, and whoever waits for it, too."""
PASSING: Final = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock not available


@dataclass(frozen=True, slots=True)
class Durability:
    """What a connection says about its commits, read back from it."""

    settings: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.settings)


def engines(url: URL, info: Any, readers: int) -> tuple[Engine, Engine]:
    """The engine of the readers and that of the one writer; ``info`` becomes ``Connection.info["storage"]``."""
    if url.get_backend_name() == "sqlite":
        reader = create_engine(url, poolclass=QueuePool, pool_size=2 * readers, max_overflow=-1)
        writer = create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=1)
        _on_connect(reader, lambda raw: _prepare_sqlite(raw, read_only=True), info)
        _on_connect(writer, lambda raw: _prepare_sqlite(raw, read_only=False), info, writes=True)
        event.listen(reader, "begin", lambda connection: _raw(connection).execute("BEGIN"))
        event.listen(writer, "begin", lambda connection: _raw(connection).execute("BEGIN IMMEDIATE"))
    else:
        reader = create_engine(url, pool_size=2 * readers, max_overflow=2 * readers, connect_args=connecting(url))
        writer = create_engine(url, pool_size=1, max_overflow=1, connect_args=connecting(url))
        _on_connect(reader, lambda raw: _prepare_postgresql(raw, read_only=True), info)
        _on_connect(writer, lambda raw: _prepare_postgresql(raw, read_only=False), info, writes=True)
    return reader, writer


def connecting(url: URL) -> dict[str, int]:
    """How long to wait for a PostgreSQL that does not answer, unless ``url`` says so itself."""
    return {name: value for name, value in PATIENCE.items() if name not in url.query}


def _raw(connection: Connection) -> Any:
    """The driver's connection: a statement without parameters or result costs a fifth there."""
    return connection.connection.dbapi_connection


def _on_connect(engine: Engine, prepare: Any, info: Any, *, writes: bool = False) -> None:
    def connected(raw: Any, entry: ConnectionPoolEntry) -> None:
        prepare(raw)
        entry.info["storage"] = info
        if writes:
            entry.info["batch"] = Batch()

    event.listen(engine, "connect", connected)


def _prepare_sqlite(raw: sqlite3.Connection, *, read_only: bool) -> None:
    raw.isolation_level = None  # the driver opens no transactions of its own
    raw.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB if read_only else WRITER_CACHE_KIB}")
    raw.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        raw.execute("PRAGMA query_only = ON")
    else:
        raw.execute("PRAGMA wal_autocheckpoint = 4000")
    found = Durability(_sqlite_settings(raw))
    if found.settings != SQLITE_SAFE:
        raise UnsafeStorage(f"SQLite does not keep commits safe: {found}")


SQLITE_SAFE: Final = (("journal_mode", "wal"), ("synchronous", "2"))


def _sqlite_settings(raw: sqlite3.Connection) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(raw.execute(f"PRAGMA {name}").fetchone()[0])) for name, _ in SQLITE_SAFE)


def _prepare_postgresql(raw: "psycopg.Connection[Any]", *, read_only: bool) -> None:
    raw.adapters.register_dumper(int, Int8Dumper)  # one type for all numbers: else each size is prepared anew
    with raw.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SET lock_timeout TO {LOCK_MILLISECONDS}")
        cursor.execute(f"SET statement_timeout TO {STATEMENT_MILLISECONDS}")
        cursor.execute(f"SET idle_in_transaction_session_timeout TO {STATEMENT_MILLISECONDS}")
        mode = "REPEATABLE READ, READ ONLY" if read_only else "READ COMMITTED, READ WRITE"
        cursor.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {mode}")
    found = Durability(_postgresql_settings(raw))
    raw.commit()
    if found.settings != POSTGRESQL_SAFE:
        raise UnsafeStorage(f"PostgreSQL does not keep commits safe: {found}")


POSTGRESQL_SAFE: Final = (("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on"))


def _postgresql_settings(raw: "psycopg.Connection[Any]") -> tuple[tuple[str, str], ...]:
    with raw.cursor() as cursor:
        settings = []
        for name, _ in POSTGRESQL_SAFE:
            cursor.execute("SELECT current_setting(%s)", (name,))
            row = cursor.fetchone()
            assert row is not None
            settings.append((name, str(row[0])))
    return tuple(settings)


def durability(connection: Connection) -> Durability:
    """What this connection says now about its commits."""
    raw = _raw(connection)
    return Durability(_sqlite_settings(raw) if connection.dialect.name == "sqlite" else _postgresql_settings(raw))


def is_unavailable(error: BaseException) -> bool:
    """Whether the database itself failed, rather than the statement it was given."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, BaseException):
        return is_unavailable(error.orig)
    if isinstance(error, sqlite3.OperationalError | psycopg.OperationalError | psycopg.InterfaceError):
        return True
    return type(error) is sqlite3.DatabaseError  # a damaged file


def is_passing(error: BaseException) -> bool:
    """Whether another transaction stood in the way, so that the same may succeed if tried again."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, BaseException):
        return is_passing(error.orig)
    return isinstance(error, psycopg.Error) and error.sqlstate in PASSING
