"""What waits to be handed over to a mail server that keeps boxes of ours: a row for each message and mailbox.

A row is leased to the process that tries it. Taking it counts as doubt, in the same statement: who dies after that may
have handed the message over, and whoever takes the row next must look before saying that it was not.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, select, update

from gateway.storage.batch import Addition, batch_of
from gateway.storage.statements import Statement
from gateway.storage.tables import handovers, mailboxes
from gateway.storage.values import clean, instant, micros
from receipts.records import record

__all__ = [
    "ADD",
    "Box",
    "Due",
    "Handover",
    "Queue",
    "claim",
    "count",
    "is_due",
    "list_rows",
    "new_row",
    "postpone",
    "release",
    "release_owner",
    "retry",
    "settle",
]

NOBODY: Final = 0
LONGEST_REPLY: Final = 1_000


@record()
class Due:
    """Receipts that are due once an envelope is where it belongs."""

    signer: str  # the provider that signed the envelope
    paths: tuple[str, ...]  # the forward paths that get one each


@record(kw_only=True)
class Box:
    """A mailbox that another server keeps."""

    id: int
    address: str
    store: str | None  # None: it has come back here


@record(kw_only=True)
class Handover:
    """A message that waits."""

    id: int
    box: Box
    body_id: int
    kind: str
    folder: str | None
    flags: int
    pec_msgid: str | None
    due: Due | None
    created_at: datetime
    next_attempt_at: datetime
    attempts: int
    last_reply: str | None
    lease_owner: str | None
    leased_until: datetime | None
    doubt: int  # above 1 when it was just taken: an earlier attempt may have succeeded


@record()
class Queue:
    """How much waits, and since when."""

    rows: int
    oldest: datetime | None


ADD: Final = Addition(handovers)
"""Rows made by ``new_row``; ``mailboxes`` adds them when a message is filed in a mailbox that another server keeps."""
_COLUMNS = (*handovers.c, mailboxes.c.address, mailboxes.c.store)
_IS_DUE = Statement(
    select(handovers.c.id)
    .where(handovers.c.next_attempt_at <= bindparam("now"), handovers.c.leased_until <= bindparam("now"))
    .limit(1)
)
_DUE = (
    select(handovers.c.id)
    .where(handovers.c.next_attempt_at <= bindparam("now"), handovers.c.leased_until <= bindparam("now"))
    .order_by(handovers.c.next_attempt_at, handovers.c.id)
    .limit(bindparam("most"))
)


def _claiming(due: Any) -> Any:
    return (
        update(handovers)
        .where(handovers.c.id.in_(due.scalar_subquery()))
        .values(
            lease_owner=bindparam("owner"),
            leased_until=bindparam("until"),
            doubt=handovers.c.doubt + 1,
        )
        .returning(handovers.c.id)
    )


_CLAIM = Statement({"sqlite": _claiming(_DUE), "postgresql": _claiming(_DUE.with_for_update(skip_locked=True))})
_CLAIMED = Statement(
    select(*_COLUMNS)
    .join(mailboxes, mailboxes.c.id == handovers.c.mailbox_id)
    .where(handovers.c.id == bindparam("row"))
)
_OWN = (handovers.c.id == bindparam("row"), handovers.c.lease_owner == bindparam("owner"))
_FREE = {"lease_owner": None, "leased_until": NOBODY}
_SETTLE = Statement(delete(handovers).where(*_OWN))
_POSTPONE = Statement(
    update(handovers)
    .where(*_OWN)
    .values(
        next_attempt_at=bindparam("at"),
        attempts=handovers.c.attempts + 1,
        last_reply=bindparam("reply"),
        doubt=bindparam("left"),
        **_FREE,
    )
)
_RELEASE = Statement(update(handovers).where(*_OWN).values(doubt=bindparam("left"), **_FREE))
_RELEASE_OWNER = Statement(update(handovers).where(handovers.c.lease_owner == bindparam("owner")).values(**_FREE))
_RETRY = Statement(update(handovers).values(next_attempt_at=bindparam("at")))
_COUNT = Statement(select(func.count(), func.min(handovers.c.created_at)))


def new_row(connection: Connection, message: Mapping[str, Any]) -> dict[str, Any]:
    """The row for a message, of which ``message`` is the row that ``mailboxes`` would make."""
    due: Due | None = message["due"]
    return {
        "id": batch_of(connection).new_id(),
        "mailbox_id": message["mailbox_id"],
        "body_id": message["body_id"],
        "kind": message["kind"],
        "folder": message["folder"],
        "flags": message["flags"],
        "pec_msgid": message["pec_msgid"],
        "signer": None if due is None else clean(due.signer),
        "paths": None if due is None else "\n".join(map(clean, due.paths)),
        "created_at": message["at"],
        "next_attempt_at": message["at"],
        "attempts": 0,
        "last_reply": None,
        "lease_owner": None,
        "leased_until": NOBODY,
        "doubt": 0,
    }


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether anything can be claimed; a plain read."""
    return _IS_DUE.one(connection, {"now": micros(now)}) is not None


def claim(connection: Connection, owner: str, now: datetime, *, limit: int, lease: timedelta) -> list[Handover]:
    """Lease rows that are due to ``owner``, oldest first. Rows that another node is taking are left to it."""
    values = {"now": micros(now), "most": limit, "owner": owner, "until": micros(now + lease)}
    claimed = sorted(_CLAIM.all(connection, values))
    return [_row(row) for (row_id,) in claimed if (row := _CLAIMED.one(connection, {"row": row_id})) is not None]


def settle(connection: Connection, row_id: int, owner: str) -> bool:
    """Remove a row whose message has found its end; False if it is no longer leased to ``owner``."""
    return _SETTLE.run(connection, {"row": row_id, "owner": owner}) == 1


def postpone(
    connection: Connection, row_id: int, owner: str, next_attempt_at: datetime, reply: str, *, doubt: bool
) -> bool:
    """Count an attempt that failed for now; False if the row is no longer leased to ``owner``.

    Args:
        doubt: whether the other server may have the message.
    """
    values = {
        "row": row_id,
        "owner": owner,
        "at": micros(next_attempt_at),
        "reply": clean(reply[:LONGEST_REPLY]),
        "left": int(doubt),
    }
    return _POSTPONE.run(connection, values) == 1


def release(connection: Connection, row_id: int, owner: str, *, doubt: bool) -> bool:
    """Give a row back untried."""
    return _RELEASE.run(connection, {"row": row_id, "owner": owner, "left": int(doubt)}) == 1


def release_owner(connection: Connection, owner: str) -> int:
    """Give back everything that an earlier life of this process held; the doubt stays."""
    return _RELEASE_OWNER.run(connection, {"owner": owner})


def retry(connection: Connection, now: datetime) -> int:
    """Make all rows due now; how many there were."""
    return _RETRY.run(connection, {"at": micros(now)})


def count(connection: Connection) -> Queue:
    row = _COUNT.one(connection, {})
    assert row is not None
    return Queue(int(row[0]), None if row[1] is None else instant(row[1]))


def list_rows(connection: Connection, *, limit: int = 1_000) -> list[Handover]:
    """Rows that wait, in the order in which they are due."""
    query = (
        select(*_COLUMNS)
        .join(mailboxes, mailboxes.c.id == handovers.c.mailbox_id)
        .order_by(handovers.c.next_attempt_at, handovers.c.id)
        .limit(limit)
    )
    return [_row(tuple(row)) for row in connection.execute(query)]


_NAMES = tuple(column.name for column in handovers.c)


def _row(row: Sequence[Any]) -> Handover:
    *own, address, store = row
    values = dict(zip(_NAMES, own, strict=True))
    signer, paths = values.pop("signer"), values.pop("paths")
    values["due"] = None if signer is None else Due(signer, tuple(paths.split("\n")))
    values["box"] = Box(id=values.pop("mailbox_id"), address=address, store=store)
    for name in ("created_at", "next_attempt_at"):
        values[name] = instant(values[name])
    values["leased_until"] = instant(values["leased_until"]) if values["leased_until"] else None
    return Handover(**values)
