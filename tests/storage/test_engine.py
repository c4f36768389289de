"""The two sides of the storage: readers that cannot write, a writer whose commits are on disk."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, text

from gateway.storage import domains
from gateway.storage.drivers import Durability
from gateway.storage.engine import Storage
from gateway.storage.errors import StorageUnavailable, UnsafeStorage
from tests.drivers.scripted import until
from tests.postgresql import Cluster

AT = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=UTC)
SAFE = {
    "sqlite": (("journal_mode", "wal"), ("synchronous", "2")),
    "postgresql": (("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on")),
}


async def test_a_reader_sees_what_a_writer_committed(storage: Storage) -> None:
    assert await storage.write(lambda connection: domains.add_domain(connection, "alfa.example", AT))
    assert await storage.read(domains.local_domains) == {"alfa.example"}


async def test_readers_cannot_write(storage: Storage) -> None:
    with pytest.raises((StorageUnavailable, psycopg.Error)):
        await storage.read(lambda connection: domains.add_domain(connection, "alfa.example", AT))
    assert await storage.read(domains.local_domains) == frozenset()


async def test_every_connection_says_that_its_commits_are_safe(storage: Storage) -> None:
    """The connections that are used, not others like them, are asked."""
    expected = dict(SAFE[storage.dialect])

    def settings(connection: Connection) -> dict[str, str]:
        ask = "PRAGMA {}" if storage.dialect == "sqlite" else "SHOW {}"
        return {name: str(connection.execute(text(ask.format(name))).scalar_one()) for name in expected}

    assert storage.durability() == Durability(SAFE[storage.dialect])
    assert await storage.write(settings) == expected
    assert await asyncio.gather(*(storage.read(settings) for _ in range(8))) == [expected] * 8


async def test_a_read_is_one_snapshot(storage: Storage) -> None:
    """What is committed between two statements of a read is not seen by the second one."""

    def question(connection: Connection) -> tuple[frozenset[str], frozenset[str]]:
        before = domains.local_domains(connection)
        storage.write_now(lambda writing: domains.add_domain(writing, "alfa.example", AT))
        return before, domains.local_domains(connection)

    assert await storage.read(question) == (frozenset(), frozenset())
    assert await storage.read(domains.local_domains) == {"alfa.example"}


async def test_a_read_does_not_wait_for_a_transaction_that_is_under_way(storage: Storage) -> None:
    def transaction(connection: Connection) -> frozenset[str]:
        domains.add_domain(connection, "alfa.example", AT)
        return storage.read_now(domains.local_domains)

    assert await storage.write(transaction) == frozenset()


def test_durability_is_read_back_and_not_remembered(postgresql_url: str) -> None:
    storage = Storage.open(postgresql_url)
    storage.write_now(lambda connection: connection.execute(text("SET synchronous_commit TO off")))
    assert storage.durability().settings[-1] == ("synchronous_commit", "off")
    storage.close()


def test_a_postgresql_that_does_not_flush_is_refused(postgresql_url: str, postgresql_cluster: Cluster) -> None:
    with postgresql_cluster.setting("fsync", "off"), pytest.raises(UnsafeStorage, match="fsync=off"):
        Storage.open(postgresql_url)


def test_a_database_without_the_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="schema none"):
        Storage.open(f"sqlite:///{tmp_path}/empty.sqlite")


def test_a_database_of_a_newer_program_is_refused(storage_url: str) -> None:
    storage = Storage.open(storage_url)
    storage.write_now(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    storage.close()
    with pytest.raises(StorageUnavailable, match="schema 9999"):
        Storage.open(storage_url)


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        Storage.open(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")


def test_a_damaged_file_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "damaged.sqlite"
    file.write_bytes(os.urandom(8192))
    with pytest.raises(StorageUnavailable):
        Storage.open(f"sqlite:///{file}")


async def test_connections_that_a_server_cut_are_replaced(postgresql_url: str, postgresql_cluster: Cluster) -> None:
    storage = Storage.open(postgresql_url)
    await storage.write(lambda connection: domains.add_domain(connection, "alfa.example", AT))
    await storage.read(domains.local_domains)
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as other:
        ours = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        other.execute(f"SELECT pg_terminate_backend(pid) {ours}".encode())
        await until(lambda: other.execute(f"SELECT pid {ours}".encode()).fetchone() is None)
    assert await storage.read(domains.local_domains) == {"alfa.example"}
    with pytest.raises(StorageUnavailable):
        await storage.write(lambda connection: domains.add_domain(connection, "beta.example", AT))
    assert await storage.write(lambda connection: domains.add_domain(connection, "beta.example", AT))
    storage.close()


async def test_a_closed_storage_takes_nothing_more(storage_url: str) -> None:
    storage = Storage.open(storage_url)
    waiting = [
        asyncio.create_task(storage.write(lambda connection, name=name: domains.add_domain(connection, name, AT)))
        for name in ("alfa.example", "beta.example")
    ]
    await asyncio.sleep(0)
    await asyncio.to_thread(storage.close)
    assert await asyncio.gather(*waiting) == [True, True]
    with pytest.raises(StorageUnavailable):
        await storage.write(lambda connection: domains.add_domain(connection, "gamma.example", AT))


def test_an_unsafe_sqlite_is_refused() -> None:
    """What stands in memory alone has no write-ahead log."""
    with pytest.raises(UnsafeStorage, match="journal_mode=memory"):
        Storage.open("sqlite://", migrate=True)


def test_a_postgresql_whose_host_has_vanished_is_not_waited_for_long(postgresql_url: str) -> None:
    storage = Storage.open(f"{postgresql_url}&tcp_user_timeout=7000")

    def settings(connection: Connection) -> dict[str, str]:
        found: dict[str, str] = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
        return found

    for found in (storage.read_now(settings), storage.write_now(settings)):
        assert (found["connect_timeout"], found["keepalives_idle"]) == ("10", "20")
        assert found["tcp_user_timeout"] == "7000"  # the operator's own
    storage.close()
