"""A statement of SQLAlchemy Core that is compiled once for each dialect, then run on the driver's own cursor.

``Connection.execute`` costs about 25 microseconds beyond what the driver needs; a flow makes a dozen statements, and
a thousand flows a second have one core. Statements with lists of unknown length (``in_``) go the usual way.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Executable, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["Row", "Statement", "insert_ignoring", "insert_into"]

Row = tuple[Any, ...]
Values = Mapping[str, Any]


class Statement:
    """A Core construct, or one for each dialect, with named parameters (``bindparam``)."""

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
        compiled = self._for(connection.dialect)
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

    def _cursor(self, connection: Connection, values: Values) -> Any:
        compiled = self._for(connection.dialect)
        cursor = connection.connection.cursor()
        cursor.execute(compiled.text, compiled.bound(values))
        return cursor

    def _for(self, dialect: Dialect) -> "_Compiled":
        found = self._compiled.get(dialect.name)
        if found is None:
            element = self._element[dialect.name] if isinstance(self._element, Mapping) else self._element
            found = self._compiled[dialect.name] = _Compiled(element, dialect, self._keys)
        return found


class _Compiled:
    """One statement for one dialect: the text, and what turns named values into the driver's parameters."""

    def __init__(self, element: Executable, dialect: Dialect, keys: list[str] | None) -> None:
        compiled = element.compile(dialect=dialect, column_keys=keys)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)
        self.text = compiled.string
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self.bound = _binder(compiled.positiontup, constants)


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
    element: Insert | Executable = table.insert()
    if returning is not None:
        element = table.insert().returning(table.c[returning])
    return Statement(element, keys)


def insert_ignoring(table: Table, *, without: Sequence[str] = ()) -> Statement:
    """An INSERT that fills every column but those ``without``, and leaves a row that is already there as it is."""
    keys = [column.name for column in table.columns if column.name not in without]
    return Statement(
        {
            "sqlite": sqlite.insert(table).on_conflict_do_nothing(),
            "postgresql": postgresql.insert(table).on_conflict_do_nothing(),
        },
        keys,
    )
