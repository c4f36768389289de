"""Databases for tests, on a PostgreSQL of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

from gateway.lab.postgres import DATABASE_USER, binaries, database_url, postgres_server

__all__ = ["Cluster", "binaries", "cluster"]


class Cluster:
    """A running server. Each database is a copy of one that was prepared once."""

    def __init__(self, sockets: Path) -> None:
        self._sockets = sockets
        self._numbers = count(1)

    def url(self, database: str) -> str:
        return database_url(self._sockets, database)

    def create(self, template: str = "template1") -> str:
        """Make a database; its name."""
        name = f"test{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """Run with another setting of the server for a while."""
        before = self._value(name)
        self._reload(f"ALTER SYSTEM SET {name} TO {value}", name, value)
        try:
            yield
        finally:
            self._reload(f"ALTER SYSTEM RESET {name}", name, before)

    def _reload(self, statement: str, name: str, expected: str) -> None:
        self._execute(statement)
        self._execute("SELECT pg_reload_conf()")
        while self._value(name) != expected:  # a new connection each time; the server has its own pace
            pass

    def _value(self, name: str) -> str:
        with psycopg.connect(f"user={DATABASE_USER} dbname=postgres host={self._sockets}") as connection:
            row = connection.execute(f"SHOW {name}".encode()).fetchone()
        assert row is not None
        return str(row[0])

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            f"user={DATABASE_USER} dbname=postgres host={self._sockets}", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that lives as long as the context. Needs ``binaries``."""
    with postgres_server() as sockets:
        yield Cluster(sockets)
