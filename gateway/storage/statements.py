"""Statements of SQLAlchemy Core, compiled once for each dialect, then run on the driver's own cursor.

``Connection.execute`` costs about 25 microseconds beyond what the driver needs; a flow makes a dozen statements, and
a thousand flows a second have one core. Statements with lists of unknown length (``in_``) go the usual way.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

import psycopg
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, Executable, Table, any_, bindparam, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.util import find_tables

__all__ = ["Row", "Statement", "among", "ignoring", "insert_ignoring", "insert_into", "numbers"]

Row = tuple[Any, ...]
Values = Mapping[str, Any]


class Waiting(Protocol):
    """Rows that a connection is yet to add (``batch``)."""

    def holds(self, tables: frozenset[Table]) -> bool: ...
    def flush(self, connection: Connection) -> None: ...


class Statement:
    """A Core construct, or one for each dialect, with named parameters (``bindparam``). It runs at once."""

    def __init__(self, element: Executable | Mapping[str, Executable], keys: Sequence[str] | None = None) -> None:
        """``keys``: the columns an INSERT fills; none for other statements."""
        self._element = element
        self._keys = list(keys) if keys is not None else None
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Values) -> int:
        """Run it; how many rows it changed."""
        return int(self._cursor(connection, values).rowcount)

    def many(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Run it once for each of the rows, in order; how many rows were changed in all."""
        if not rows:
            return 0
        compiled = self._ready(connection)
        cursor = connection.connection.cursor()
        cursor.executemany(compiled.text, [compiled.bound(row) for row in rows])
        return int(cursor.rowcount)

    def one(self, connection: Connection, values: Values) -> Row | None:
        """Run it; its first row."""
        row: Row | None = self._cursor(connection, values).fetchone()
        return row

    def all(self, connection: Connection, values: Values) -> list[Row]:
        """Run it; all its rows."""
        rows: list[Row] = self._cursor(connection, values).fetchall()
        return rows

    def some_by_some(self, connection: Connection, values: Values, most: int) -> Iterator[list[Row]]:
        """Run it; its rows as they are asked for, ``most`` at a time. SQLite looks for no more of them than that."""
        cursor = self._cursor(connection, values)
        while rows := cursor.fetchmany(most):
            yield rows

    def each(self, connection: Connection, rows: Sequence[Values]) -> list[Row | None]:
        """Run it once for each of the rows, in order; the first row that each gives back."""
        if connection.dialect.name == "sqlite":
            return [self.one(connection, row) for row in rows]
        compiled = self._ready(connection)
        cursor: psycopg.Cursor[Row] = connection.connection.cursor()  # type: ignore[assignment]
        cursor.executemany(compiled.text, [compiled.bound(row) for row in rows], returning=True)
        return [result.fetchone() for result in cursor.results()]

    def _cursor(self, connection: Connection, values: Values) -> Any:
        compiled = self._ready(connection)
        cursor = connection.connection.cursor()
        cursor.execute(compiled.text, compiled.bound(values))
        return cursor

    def _ready(self, connection: Connection) -> "_Compiled":
        """The statement for this connection, once rows that it may want to see have been added."""
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            dialect = connection.dialect
            element = self._element[dialect.name] if isinstance(self._element, Mapping) else self._element
            found = self._compiled[dialect.name] = _Compiled(element, dialect, self._keys)
        batch: Waiting | None = connection.info.get("batch")
        if batch is not None and batch.holds(found.tables):
            batch.flush(connection)
        return found


class _Compiled:
    """One statement for one dialect: the text, and what turns named values into the driver's parameters."""

    def __init__(self, element: Executable, dialect: Dialect, keys: list[str] | None) -> None:
        compiled = element.compile(dialect=dialect, column_keys=keys)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        self.text = compiled.string
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self.bound = _binder(compiled.positiontup, constants)
        self.tables = _tables_of(element)


def _tables_of(element: Any) -> frozenset[Table]:
    """The tables a statement reads or writes, and those that its rows refer to."""
    found = set(find_tables(element, include_joins=True, include_selects=True, include_crud=True, check_columns=True))
    target = getattr(element, "table", None)
    if isinstance(target, Table):
        found.add(target)
        found.update(key.column.table for key in target.foreign_keys)
    return frozenset(table for table in found if isinstance(table, Table))


def _binder(order: Sequence[str] | None, constants: Values) -> Callable[[Values], Any]:
    if order is None:
        return (lambda values: {**constants, **values}) if constants else lambda values: values
    if not order:
        return lambda _values: ()
    if not constants:
        if len(order) == 1:
            only = order[0]
            return lambda values: (values[only],)
        return itemgetter(*order)
    return lambda values: tuple(values[name] if name in values else constants[name] for name in order)


def insert_into(table: Table, *, returning: str | None = None) -> Statement:
    """An INSERT that fills every column but the one it returns."""
    keys = [column.name for column in table.columns if column.name != returning]
    return Statement(table.insert() if returning is None else table.insert().returning(table.c[returning]), keys)


def insert_ignoring(table: Table, *, without: Sequence[str] = ()) -> Statement:
    """An INSERT that fills every column but those ``without``, and leaves a row that is already there as it is."""
    keys = [column.name for column in table.columns if column.name not in without]
    return Statement(ignoring(table), keys)


def ignoring(table: Table) -> dict[str, Executable]:
    """An INSERT of each dialect that leaves a row that is already there as it is."""
    return {
        "sqlite": sqlite.insert(table).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(table).on_conflict_do_nothing(),
    }


def among(column: ColumnElement[int], make: Callable[[ColumnElement[bool]], Executable]) -> dict[str, Executable]:
    """A statement about the rows whose ``column`` is one of many, bound as ``numbers`` makes them of a collection."""
    return {
        "sqlite": make(column.in_(text("SELECT value FROM json_each(:numbers)"))),
        "postgresql": make(column == any_(bindparam("numbers", type_=ARRAY(BigInteger)))),
    }


def numbers(connection: Connection, values: Iterable[int]) -> dict[str, Any]:
    """Many integers as the parameter of a statement made with ``among``."""
    many = list(values)
    return {"numbers": str(many) if connection.dialect.name == "sqlite" else many}
