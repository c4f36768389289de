"""The chain over the register: whoever changes, removes or slips in a row breaks it (D25).

Link n is the SHA-256 of link n-1, the position n and the hash of its row. Flows insert rows without a link, for a
link made in their transactions would make them wait for each other; a chainer, one at a time in all nodes, links
what has been committed.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, or_, select, update

from gateway.storage.register import HASHED, hash_of
from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import register, register_chain, register_links
from gateway.storage.values import micros

__all__ = ["GENESIS", "Audit", "is_behind", "link", "link_of", "verify"]

GENESIS: Final = bytes(32)
"""The link before the first one."""
LEASED: Final = timedelta(seconds=30)
LATE: Final = timedelta(seconds=20) // timedelta(microseconds=1)
"""How long after a row was linked one with a lower id may still be committed (PostgreSQL)."""
READ_AT_ONCE: Final = 2_000
MOST_FAULTS: Final = 100

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


@dataclass(slots=True)
class Audit:
    """What a walk along the whole register found."""

    rows: int = 0
    links: int = 0
    faults: list[str] = field(default_factory=list)
    """What is wrong, the first hundred of it."""
    unlinked: list[int] = field(default_factory=list)
    """Rows that no link holds yet: the tail of the last second, or what a chainer that stands still leaves."""

    @property
    def whole(self) -> bool:
        return not self.faults

    def add(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


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


def verify(connection: Connection) -> Audit:
    """Check every row against its hash, and every link against its row and the link before it."""
    audit = Audit()
    position, last = 0, GENESIS
    for row in _linked_rows(connection):
        position += 1
        audit.links += 1
        if row["position"] != position:
            audit.add(f"links {position} to {row['position'] - 1} are missing")
            position = row["position"]
        if row["id"] is None:
            audit.add(f"row {row['register_id']} is missing (link {position})")
        else:
            audit.rows += 1
            _check(audit, row, link_of(last, position, hash_of(row)))
        last = bytes(row["link"])
    _check_end(connection, audit, position, last)
    _check_tail(connection, audit)
    return audit


def link_of(last: bytes, position: int, row_hash: bytes) -> bytes:
    return hashlib.sha256(last + position.to_bytes(8, "big") + row_hash).digest()


def _waiting(connection: Connection, chain: Any, limit: int, *, sweep: bool) -> list[Any]:
    return _UNLINKED.all(connection, {"below": 0 if sweep else chain[2], "most": limit})


def _check(audit: Audit, row: Any, expected: bytes) -> None:
    if hash_of(row) != bytes(row["hash"]):
        audit.add(f"row {row['id']} was changed")
    elif expected != bytes(row["link"]):
        audit.add(f"link {row['position']} does not hold row {row['id']}")


def _check_end(connection: Connection, audit: Audit, position: int, last: bytes) -> None:
    chain = _LOOK.one(connection, {})
    if chain is None or (chain[0], bytes(chain[1])) != (position, last):
        audit.add(f"the chain does not end at link {position}, where its last link is")


def _check_tail(connection: Connection, audit: Audit) -> None:
    """The rows without a link: each against its hash."""
    below = 0
    while rows := _UNLINKED.all(connection, {"below": below, "most": READ_AT_ONCE}):
        ids = [row[0] for row in rows]
        for row in connection.execute(
            select(register).where(register.c.id.in_(ids)).order_by(register.c.id)
        ).mappings():
            audit.rows += 1
            audit.unlinked.append(row["id"])
            if hash_of(row) != bytes(row["hash"]):
                audit.add(f"row {row['id']} was changed")
        below = ids[-1]


def _linked_rows(connection: Connection) -> Iterator[Any]:
    """Links in order, each with its row or with nothing."""
    columns = (register_links.c.position, register_links.c.register_id, register_links.c.link)
    query = (
        select(*columns, register.c.id, register.c.hash, *(register.c[name] for name in HASHED))
        .select_from(register_links.outerjoin(register, register.c.id == register_links.c.register_id))
        .order_by(register_links.c.position)
        .limit(READ_AT_ONCE)
    )
    after = 0
    while rows := connection.execute(query.where(register_links.c.position > after)).mappings().all():
        yield from rows
        after = rows[-1]["position"]
