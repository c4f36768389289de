"""Rows that wait until their group of transactions is about to be committed (D38).

The rows of all members of a group go into each table together. On PostgreSQL, where each statement is a message
there and back, a group costs a third of what it costs one row at a time.
"""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, Protocol

import psycopg
from sqlalchemy import BigInteger, Boolean, Connection, Executable, Integer, LargeBinary, SmallInteger, Table
from sqlalchemy.types import TypeEngine

from gateway.storage.errors import Conflict
from gateway.storage.statements import Row, Statement, Values
from gateway.storage.tables import metadata

__all__ = ["Addition", "Batch", "Deferred", "batch_of"]

COPIED_FROM: Final = 4
"""From so many rows on, PostgreSQL takes them faster by COPY."""
PLACES: Final = {table.name: place for place, table in enumerate(metadata.sorted_tables)}
"""Where each table comes when rows are added: after those it refers to."""


class Deferred(Protocol):
    """Work of many transactions that is done together, just before they are committed."""

    table: Table
    tables: frozenset[Table]
    """Those that it changes."""

    def flush(self, connection: Connection, rows: list[Any]) -> None: ...


class Addition:
    """Rows for a table, added at the end. A row that is already there fails the transaction that adds it."""

    def __init__(
        self, table: Table, *, without: Sequence[str] = (), element: Mapping[str, Executable] | None = None
    ) -> None:
        """``element``: an INSERT of each dialect that may find itself in conflict; it must change each of its rows."""
        self.table = table
        self.tables = frozenset((table,))
        self._keys = [column.name for column in table.columns if column.name not in without]
        self._checked = element is not None
        self._statement = Statement(element if element is not None else table.insert(), self._keys)
        self._in_order = itemgetter(*self._keys)
        self._copy = f"COPY {table.name} ({', '.join(self._keys)}) FROM STDIN (FORMAT BINARY)"
        self._types = [_copied_type(table.c[key].type) for key in self._keys]

    def add(self, connection: Connection, rows: Iterable[Values]) -> None:
        batch_of(connection).add(self, rows)

    def flush(self, connection: Connection, rows: list[Any]) -> None:
        if connection.dialect.name == "postgresql" and not self._checked and len(rows) >= COPIED_FROM:
            self._copied(connection, rows)
        elif self._statement.many(connection, rows) != len(rows) and self._checked:
            raise Conflict(f"{self.table.name} has such a row already")

    def _copied(self, connection: Connection, rows: list[Any]) -> None:
        cursor: psycopg.Cursor[Row] = connection.connection.cursor()  # type: ignore[assignment]
        with cursor.copy(self._copy) as copy:
            copy.set_types(self._types)
            for row in rows:
                copy.write_row(self._in_order(row))


def _copied_type(kind: TypeEngine[Any]) -> str:
    names = {SmallInteger: "int2", Integer: "int4", BigInteger: "int8", Boolean: "bool", LargeBinary: "bytea"}
    return names.get(type(kind), "text")


class Batch:
    """What the transactions of one group leave to be added at the end. It belongs to the writer's connection."""

    def __init__(self) -> None:
        self.changed: dict[int, int] = {}
        """Mailboxes in which the present group changes something, each with its modseq after that."""
        self._rows: dict[Deferred, list[Any]] = {}
        self._own: set[Table] = set()  # tables that the present transaction adds to
        self._node = secrets.randbits(10)
        self._last = 0

    def add(self, addition: Deferred, rows: Iterable[Any]) -> None:
        waiting = self._rows.get(addition)
        if waiting is None:
            waiting = self._rows[addition] = []
        waiting.extend(rows)
        self._own |= addition.tables

    def holds(self, tables: frozenset[Table]) -> bool:
        """Whether the present transaction has rows waiting for one of the tables; nobody sees those of others yet."""
        return bool(self._own) and not self._own.isdisjoint(tables)

    def next_transaction(self) -> None:
        self._own.clear()

    def clear(self) -> None:
        """Forget everything: the group was rolled back."""
        self._rows.clear()
        self._own.clear()
        self.changed.clear()

    def flush(self, connection: Connection) -> None:
        """Add all rows, parents first."""
        rows, self._rows = self._rows, {}
        self._own.clear()
        for addition in sorted(rows, key=_place):
            addition.flush(connection, rows[addition])

    def new_id(self) -> int:
        """An id that rises with time and that no other node is likely to take; if it does, the insert fails.

        41 bits of milliseconds since 2020, 10 of this process, 12 to count.
        """
        now = time.time_ns() // 1_000_000 - 1_577_836_800_000
        self._last = max(self._last + 1, now << 22 | self._node << 12)
        return self._last


def _place(addition: Deferred) -> int:
    return PLACES[addition.table.name]


def batch_of(connection: Connection) -> Batch:
    batch: Batch = connection.info["batch"]
    return batch
