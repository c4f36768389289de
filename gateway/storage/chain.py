"""The chain over the register: whoever changes, removes or slips in a row breaks it (D25).

Link n is the SHA-256 of link n-1, the position n and the hash of its row. Flows insert rows without a link, for a
link made in their transactions would make them wait for each other; a chainer, one at a time in all nodes, links
what has been committed.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, or_, select, update

from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import register, register_chain, register_links
from gateway.storage.values import micros

__all__ = ["GENESIS", "end_of", "is_behind", "link", "link_of", "unlinked"]

GENESIS: Final = bytes(32)
"""The link before the first one."""
LEASED: Final = timedelta(seconds=30)
LATE: Final = timedelta(seconds=20) // timedelta(microseconds=1)
"""How long after a row was linked one with a lower id may still be committed (PostgreSQL)."""

_STATE = (
    register_chain.c.position,
    register_chain.c.link,
    register_chain.c.linked_below,
    register_chain.c.linked_highest,
    register_chain.c.moved_at,
)
_LOOK = Statement(select(*_STATE))
_LEASE = Statement(
    update(register_chain)
    .where(or_(register_chain.c.lease_owner == bindparam("owner"), register_chain.c.leased_until <= bindparam("now")))
    .values(lease_owner=bindparam("owner"), leased_until=bindparam("until"))
    .returning(*_STATE)
)
_UNLINKED = Statement(
    select(register.c.id, register.c.hash)
    .where(register.c.id > bindparam("below"), ~exists().where(register_links.c.register_id == register.c.id))
    .order_by(register.c.id)
    .limit(bindparam("most"))
)
_LEFT_BEHIND = Statement(
    select(register.c.id)
    .where(register.c.at < bindparam("before"), ~exists().where(register_links.c.register_id == register.c.id))
    .limit(1)
)
_LINK = insert_into(register_links)
_HIGHEST = Statement(select(func.coalesce(func.max(register_links.c.register_id), 0)))
_MOVE = Statement(
    update(register_chain).values(
        position=bindparam("new_position"),
        link=bindparam("new_link"),
        linked_below=bindparam("below"),
        linked_highest=bindparam("highest"),
        moved_at=bindparam("moved"),
    )
)


def link(connection: Connection, owner: str, now: datetime, *, limit: int = 10_000, sweep: bool = False) -> int:
    """Link committed rows to the chain; how many, 0 also while another node has the lease.

    Args:
        sweep: look among all rows, not just the latest: at start and once a day.
    """
    at = micros(now)
    if not _waiting(connection, _LOOK.one(connection, {}), 1, sweep=sweep):
        return 0
    chain = _LEASE.one(connection, {"owner": owner, "now": at, "until": micros(now + LEASED)})
    if chain is None:
        return 0
    rows = _waiting(connection, chain, limit, sweep=sweep)
    position, last, below, highest, moved = chain[0], bytes(chain[1]), chain[2], chain[3], chain[4]
    links = []
    for register_id, row_hash in rows:
        position += 1
        last = link_of(last, position, bytes(row_hash))
        links.append({"position": position, "register_id": register_id, "link": last, "at": at})
    _LINK.many(connection, links)
    if connection.dialect.name == "sqlite":
        below = max(below, rows[-1][0]) if rows else below  # one writer: ids are committed in order
    elif not 0 <= at - moved < LATE:
        below, moved = highest, at
        found = _HIGHEST.one(connection, {})
        highest = found[0] if found else highest
    values = {"new_position": position, "new_link": last, "below": below, "highest": highest, "moved": moved}
    _MOVE.run(connection, values)
    return len(rows)


def is_behind(connection: Connection, before: datetime) -> bool:
    """Whether a row of before that moment, wherever in the register, is without a link. Reads only."""
    return _LEFT_BEHIND.one(connection, {"before": micros(before)}) is not None


def unlinked(connection: Connection, after: int, *, limit: int) -> list[int]:
    """Ids, above ``after``, of rows that no link holds yet."""
    return [row[0] for row in _UNLINKED.all(connection, {"below": after, "most": limit})]


def end_of(connection: Connection) -> tuple[int, bytes]:
    """Where the chain ends by its own account: position and link of its last row."""
    chain = _LOOK.one(connection, {})
    return (0, GENESIS) if chain is None else (chain[0], bytes(chain[1]))


def link_of(last: bytes, position: int, row_hash: bytes) -> bytes:
    return hashlib.sha256(last + position.to_bytes(8, "big") + row_hash).digest()


def _waiting(connection: Connection, chain: Any, limit: int, *, sweep: bool) -> list[Any]:
    return _UNLINKED.all(connection, {"below": 0 if sweep else chain[2], "most": limit})
