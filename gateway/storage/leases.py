"""Work that one process of a provider does at a time, whichever it is."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, or_, update

from gateway.storage.statements import Statement, insert_ignoring
from gateway.storage.tables import leases
from gateway.storage.values import micros

__all__ = ["release", "take"]

_ADD = insert_ignoring(leases)
_TAKE = Statement(
    update(leases)
    .where(
        leases.c.name == bindparam("work"),
        or_(leases.c.owner == bindparam("who"), leases.c.leased_until <= bindparam("now")),
    )
    .values(owner=bindparam("who"), leased_until=bindparam("until"))
)
_RELEASE = Statement(delete(leases).where(leases.c.name == bindparam("work"), leases.c.owner == bindparam("who")))


def take(connection: Connection, work: str, owner: str, now: datetime, length: timedelta) -> bool:
    """Lease the work, or hold it for longer; False: another process has it."""
    until = micros(now + length)
    if _TAKE.run(connection, {"work": work, "who": owner, "now": micros(now), "until": until}):
        return True
    return _ADD.run(connection, {"name": work, "owner": owner, "leased_until": until}) == 1


def release(connection: Connection, work: str, owner: str) -> None:
    """Let another process have it."""
    _RELEASE.run(connection, {"work": work, "who": owner})
