"""Sets of chunks: the bytes of one large content, from the first that arrives until the last is gone."""

from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, select

from gateway.storage.batch import Addition, batch_of
from gateway.storage.errors import StorageUnavailable
from gateway.storage.statements import Statement
from gateway.storage.tables import chunk_sets, content_chunks
from receipts.octets import WINDOW

__all__ = ["ADD_CHUNK", "ADD_CHUNK_SET", "CHUNK", "REMOVED_AT_ONCE", "append", "check_whole", "remove_some"]

CHUNK: Final = WINDOW
"""Bytes in one row."""
REMOVED_AT_ONCE: Final = 16
"""Chunks in one transaction: SQLite walks through every page of what it deletes, while all others wait."""

ADD_CHUNK_SET: Final = Addition(chunk_sets)
ADD_CHUNK: Final = Addition(content_chunks)
_OF_THE_SET = content_chunks.c.chunk_set_id == bindparam("id")
_COUNT = Statement(select(func.count()).where(_OF_THE_SET))
_LAST = Statement(select(func.max(content_chunks.c.number)).where(_OF_THE_SET))
_CUT = Statement(delete(content_chunks).where(_OF_THE_SET, content_chunks.c.number >= bindparam("first")))
_HOLD = Statement(
    select(chunk_sets.c.id).where(chunk_sets.c.id == bindparam("id")).with_for_update(read=True, key_share=True)
)
_DROP = Statement(delete(chunk_sets).where(chunk_sets.c.id == bindparam("id")))


def append(connection: Connection, chunks: int | None, first: int, data: bytes, at: int) -> int:
    """Add ``data`` to a set from chunk ``first`` on; the set's id. It is made if there is none yet."""
    own = chunks
    if own is None:
        own = batch_of(connection).new_id()
        ADD_CHUNK_SET.add(connection, [{"id": own, "created_at": at}])
    numbered = enumerate((data[low : low + CHUNK] for low in range(0, len(data), CHUNK)), start=first)
    ADD_CHUNK.add(connection, [{"chunk_set_id": own, "number": n, "data": piece} for n, piece in numbered])
    return own


def check_whole(connection: Connection, chunks: int, count: int) -> None:
    """Hold a set of so many chunks until the transaction ends.

    Raises:
        StorageUnavailable: it was purged meanwhile, or began to be.
    """
    held = _HOLD.one(connection, {"id": chunks})
    found = _COUNT.one(connection, {"id": chunks})
    if held is None or found is None or found[0] != count:
        raise StorageUnavailable(f"chunk set {chunks} is no longer whole")


def remove_some(connection: Connection, chunks: int, most: int = REMOVED_AT_ONCE) -> tuple[int, bool]:
    """Remove the last chunks of a set to which no content refers, and with the very last the set itself.

    Returns:
        How many chunks were removed, and whether the set is gone.
    """
    row = _LAST.one(connection, {"id": chunks})
    count = 0 if row is None or row[0] is None else int(row[0]) + 1
    if count > most:
        _CUT.run(connection, {"id": chunks, "first": count - most})
        return most, False
    _DROP.run(connection, {"id": chunks})
    return count, True
