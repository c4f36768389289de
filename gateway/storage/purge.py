"""Removing what nobody refers to any more: bodies, contents, and bytes of messages that never came to an end (D26).

A purge walks through everything older than a moment, a slice in each transaction. It first locks what it may remove,
passing over what others are about to refer to, and then asks, with those rows in hand, whether anybody refers to
them. Whoever adds a content that is being removed waits, and adds it anew.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import accumulate
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, literal, select, tuple_

from gateway.storage.chunks import REMOVED_AT_ONCE, remove_some
from gateway.storage.tables import bodies, chunk_sets, contents, metadata
from gateway.storage.values import micros

__all__ = ["MOST_BYTES", "START", "Position", "Purged", "Stage", "purge_unreferenced"]

LIMIT: Final = 500
"""Rows of one slice."""
MOST_BYTES: Final = 8_000_000
"""Bytes of one slice that stand in its rows, unless a single row has more."""


class Stage(IntEnum):
    BODIES = 0
    CONTENTS = 1
    CHUNK_SETS = 2


@dataclass(frozen=True, slots=True)
class Position:
    """How far a purge has come."""

    stage: Stage
    after: tuple[int, int | bytes] | None  # instant and key of the last row that was looked at


START: Final = Position(Stage.BODIES, None)


@dataclass(frozen=True, slots=True)
class Purged:
    """What one slice removed, and where the next one begins; None: everything was looked at."""

    removed: int
    next: Position | None


def purge_unreferenced(
    connection: Connection, before: datetime, position: Position = START, *, limit: int = LIMIT
) -> Purged:
    """Look at the next ``limit`` rows from before that moment; remove those that nobody refers to.

    Args:
        before: at least a day ago, so that no flow is about to refer to something as old.
    """
    table = (bodies, contents, chunk_sets)[position.stage]
    key, made = _columns(table)
    slice_ = select(key, made, _weight(table)).where(made < micros(before)).order_by(made, key).limit(limit)
    if position.after is not None:
        slice_ = slice_.where(tuple_(made, key) > tuple_(*position.after))
    found = connection.execute(slice_).all()
    rows = found[: _affordable([row[2] for row in found])]
    keys = [row[0] for row in rows]
    locked = select(key).where(key.in_(keys), made < micros(before)).order_by(key).with_for_update(skip_locked=True)
    removed, finished = (
        _remove(connection, table, [row[0] for row in connection.execute(locked)]) if keys else (0, True)
    )
    if not finished:
        return Purged(removed, position)
    if len(rows) < len(found) or len(rows) == limit:
        return Purged(removed, Position(position.stage, (rows[-1][1], rows[-1][0])))
    following = position.stage + 1
    return Purged(removed, Position(Stage(following), None) if following in list(Stage) else None)


def _columns(table: Table) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The key of a table and the instant that counts as its age."""
    return (table.c.sha256, table.c.touched_at) if table is contents else (table.c.id, table.c.created_at)


def _weight(table: Table) -> ColumnElement[int]:
    """How many bytes stand in a row itself."""
    if table is chunk_sets:
        return literal(0)
    return func.coalesce(func.length(table.c.parts if table is bodies else table.c.data), 0)


def _affordable(weights: Sequence[int]) -> int:
    """How many of these rows may be removed at once: at least one."""
    sums = list(accumulate(weights))
    return max(1, bisect_right(sums, MOST_BYTES))


def _remove(connection: Connection, table: Table, keys: Sequence[Any]) -> tuple[int, bool]:
    """Remove those of the rows that nobody refers to: how many, and whether that is all of them.

    The chunks of a content stay, and are then a set to which nobody refers: such sets go a few chunks at a time.
    """
    key, _ = _columns(table)
    unwanted = key.in_(keys), *(~exists().where(link == key) for link in _links(table))
    if table is not chunk_sets:
        return connection.execute(delete(table).where(*unwanted)).rowcount, True
    unwanted_sets = connection.execute(select(key).where(*unwanted).order_by(key)).scalars().all()
    room = REMOVED_AT_ONCE
    for removed, chunk_set in enumerate(unwanted_sets):
        if not room:
            return removed, False
        count, gone = remove_some(connection, chunk_set, room)
        if not gone:
            return removed, False
        room -= count
    return len(unwanted_sets), True


def _links(table: Table) -> list[ColumnElement[Any]]:
    """Every column that refers to this table and keeps its rows alive."""
    return [
        key.parent
        for other in metadata.sorted_tables
        for key in other.foreign_keys
        if key.column.table is table and key.ondelete != "CASCADE"
    ]
