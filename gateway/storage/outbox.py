"""What waits to be relayed: one row for each message and recipient, leased to the process that tries it (D8 to D10)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, bindparam, case, delete, false, func, select, true, update

from gateway.storage.batch import Addition, batch_of
from gateway.storage.statements import Statement
from gateway.storage.tables import outbox
from gateway.storage.values import clean, instant, micros
from receipts.records import record
from receipts.wire import MessageKind

__all__ = [
    "NewOutboxRow",
    "OutboxRow",
    "Waiting",
    "bring_forward",
    "claim",
    "count",
    "enqueue",
    "give_up",
    "hold",
    "list_rows",
    "postpone",
    "release",
    "release_owner",
    "retry",
    "rows_of",
    "settle",
]

NOBODY: Final = 0
LONGEST_REPLY: Final = 1_000


@record(kw_only=True)
class NewOutboxRow:
    """A message to be handed to the server of one recipient."""

    body_id: int
    kind: str  # a MessageKind, or what an ordinary message is called
    reverse_path: str
    forward_path: str
    domain: str
    certified: bool  # the recipient's domain is a certified one
    pec_msgid: str | None
    at: datetime
    expires_at: datetime | None = None  # an envelope never expires here (D9)
    msgid: str | None = None  # these three of the original message, for the register (LOG-01)
    sender: str | None = None
    subject: str | None = None


@record(kw_only=True)
class OutboxRow:
    """A message that waits."""

    id: int
    body_id: int
    kind: str
    reverse_path: str
    forward_path: str
    domain: str
    certified: bool
    pec_msgid: str | None
    created_at: datetime
    expires_at: datetime | None
    next_attempt_at: datetime
    attempts: int
    last_reply: str | None
    lease_owner: str | None
    leased_until: datetime | None
    held: bool
    unreached: bool  # no peer answered at the last attempt
    msgid: str | None = None
    sender: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits, and since when."""

    rows: int
    held: int
    oldest: datetime | None


_COLUMNS = tuple(outbox.c)
_ADD = Addition(outbox)
_DUE = (
    select(outbox.c.id)
    .where(
        outbox.c.held == false(),
        outbox.c.next_attempt_at <= bindparam("now"),
        outbox.c.leased_until <= bindparam("now"),
    )
    .order_by(outbox.c.next_attempt_at, outbox.c.id)
    .limit(bindparam("most"))
)


def _claiming(due: Any) -> Any:
    return (
        update(outbox)
        .where(outbox.c.id.in_(due.scalar_subquery()))
        .values(lease_owner=bindparam("owner"), leased_until=bindparam("until"))
        .returning(*_COLUMNS)
    )


_CLAIM = Statement(
    {"sqlite": _claiming(_DUE), "postgresql": _claiming(_DUE.with_for_update(skip_locked=True))},
)
_OWN = (outbox.c.id == bindparam("row"), outbox.c.lease_owner == bindparam("owner"))
_FREE = {"lease_owner": None, "leased_until": NOBODY}
_SETTLE = Statement(delete(outbox).where(*_OWN))
_TIME = BigInteger()
_POSTPONE = Statement(
    update(outbox)
    .where(*_OWN)
    .values(
        next_attempt_at=case(
            (outbox.c.next_attempt_at > bindparam("at", type_=_TIME), outbox.c.next_attempt_at),  # by ``give_up``
            else_=bindparam("at", type_=_TIME),
        ),
        attempts=outbox.c.attempts + 1,
        last_reply=bindparam("reply"),
        unreached=bindparam("unreached"),
        **_FREE,
    )
)
_RELEASE = Statement(update(outbox).where(*_OWN).values(**_FREE))
_RELEASE_OWNER = Statement(update(outbox).where(outbox.c.lease_owner == bindparam("owner")).values(**_FREE))
_ENVELOPE = (
    outbox.c.pec_msgid == bindparam("id"),
    outbox.c.forward_path == bindparam("path"),
    outbox.c.kind == MessageKind.ENVELOPE.value,
)
_GIVE_UP = Statement(delete(outbox).where(*_ENVELOPE, outbox.c.leased_until <= bindparam("now")))
_PUT_OFF = Statement(update(outbox).where(*_ENVELOPE).values(next_attempt_at=bindparam("at")))
_RETRY = Statement(
    update(outbox).where(outbox.c.id == bindparam("row")).values(held=False, next_attempt_at=bindparam("at"))
)
_HOLD = Statement(update(outbox).where(outbox.c.id == bindparam("row"), outbox.c.held == false()).values(held=True))
_COUNT = Statement(
    select(
        func.count(),
        func.coalesce(func.sum(outbox.c.held.cast(outbox.c.attempts.type)), 0),
        func.min(outbox.c.created_at),
    )
)


def enqueue(
    connection: Connection,
    rows: Sequence[NewOutboxRow],
    *,
    owner: str | None = None,
    lease: timedelta = timedelta(minutes=5),
) -> list[int]:
    """Let messages wait; their ids in order.

    Args:
        owner: the process that is going to try them at once, without claiming them; else whoever claims them.
        lease: how long they are left to it.
    """
    batch = batch_of(connection)
    ids = [batch.new_id() for _ in rows]
    batch.add(_ADD, [_new(row_id, row, owner, lease) for row_id, row in zip(ids, rows, strict=True)])
    return ids


def claim(connection: Connection, owner: str, now: datetime, *, limit: int, lease: timedelta) -> list[OutboxRow]:
    """Lease rows that are due to ``owner``, oldest first. Rows that another node is taking are left to it."""
    values = {"now": micros(now), "most": limit, "owner": owner, "until": micros(now + lease)}
    return sorted((_row(row) for row in _CLAIM.all(connection, values)), key=lambda row: (row.next_attempt_at, row.id))


def settle(connection: Connection, row_id: int, owner: str) -> bool:
    """Remove a row whose message has found its end; False if it is no longer leased to ``owner``."""
    return _SETTLE.run(connection, {"row": row_id, "owner": owner}) == 1


def postpone(
    connection: Connection, row_id: int, owner: str, next_attempt_at: datetime, reply: str, *, unreached: bool = False
) -> bool:
    """Count an attempt that failed for now; False if the row is no longer leased to ``owner``.

    Args:
        unreached: no peer answered, so that ``bring_forward`` may move it when one does.
    """
    values = {
        "row": row_id,
        "owner": owner,
        "at": micros(next_attempt_at),
        "reply": clean(reply[:LONGEST_REPLY]),
        "unreached": unreached,
    }
    return _POSTPONE.run(connection, values) == 1


def bring_forward(connection: Connection, domains: Collection[str], now: datetime, *, limit: int) -> int:
    """Make rows due now that wait only because no peer of these domains answered; how many were moved.

    Those that have waited for the shortest time yet to come are first; nobody's row is touched that is being tried.
    """
    waiting = (
        select(outbox.c.id)
        .where(
            outbox.c.domain.in_(domains),
            outbox.c.unreached == true(),
            outbox.c.held == false(),
            outbox.c.next_attempt_at > micros(now),
            outbox.c.leased_until <= micros(now),
        )
        .order_by(outbox.c.next_attempt_at, outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)  # SQLite, with its one writer, leaves this out
    )
    moved = update(outbox).where(outbox.c.id.in_(waiting.scalar_subquery())).values(next_attempt_at=micros(now))
    return connection.execute(moved).rowcount


def release(connection: Connection, row_id: int, owner: str) -> bool:
    """Give a row back untried."""
    return _RELEASE.run(connection, {"row": row_id, "owner": owner}) == 1


def release_owner(connection: Connection, owner: str) -> int:
    """Give back everything that an earlier life of this process held: a lease dies with its process (D10)."""
    return _RELEASE_OWNER.run(connection, {"owner": owner})


def give_up(connection: Connection, pec_msgid: str, forward_path: str, now: datetime, *, otherwise: datetime) -> bool:
    """Remove the envelope of a recipient whose time is over, held or not; whether none is left.

    One that somebody is trying stays (D9), and is not taken up again before ``otherwise``: its lease will end.
    """
    envelope = {"id": pec_msgid, "path": clean(forward_path)}
    _GIVE_UP.run(connection, envelope | {"now": micros(now)})
    return _PUT_OFF.run(connection, envelope | {"at": micros(otherwise)}) == 0


def retry(connection: Connection, row_ids: Sequence[int], now: datetime) -> int:
    """Make rows due now, held ones too; how many there were."""
    return _RETRY.many(connection, [{"row": row_id, "at": micros(now)} for row_id in sorted(row_ids)])


def hold(connection: Connection, row_ids: Sequence[int]) -> int:
    """Keep rows from being tried until ``retry``; how many were not held before."""
    return _HOLD.many(connection, [{"row": row_id} for row_id in sorted(row_ids)])


def list_rows(
    connection: Connection, *, domain: str | None = None, held: bool | None = None, limit: int = 1_000
) -> list[OutboxRow]:
    """Rows that wait, in the order in which they are due."""
    query = select(*_COLUMNS).order_by(outbox.c.next_attempt_at, outbox.c.id).limit(limit)
    if domain is not None:
        query = query.where(outbox.c.domain == domain)
    if held is not None:
        query = query.where(outbox.c.held.is_(held))
    return [_row(tuple(row)) for row in connection.execute(query)]


def rows_of(connection: Connection, pec_msgid: str) -> list[OutboxRow]:
    """Rows that wait for one certified message."""
    query = select(*_COLUMNS).where(outbox.c.pec_msgid == pec_msgid).order_by(outbox.c.id)
    return [_row(tuple(row)) for row in connection.execute(query)]


def count(connection: Connection) -> Waiting:
    row = _COUNT.one(connection, {})
    assert row is not None
    return Waiting(int(row[0]), int(row[1]), None if row[2] is None else instant(row[2]))


def _new(row_id: int, row: NewOutboxRow, owner: str | None, lease: timedelta) -> dict[str, Any]:
    at = micros(row.at)
    return {
        "id": row_id,
        "body_id": row.body_id,
        "kind": str(row.kind),
        "reverse_path": clean(row.reverse_path),
        "forward_path": clean(row.forward_path),
        "domain": row.domain,
        "pec_msgid": row.pec_msgid,
        "msgid": None if row.msgid is None else clean(row.msgid),
        "sender": None if row.sender is None else clean(row.sender),
        "subject": None if row.subject is None else clean(row.subject),
        "certified": row.certified,
        "created_at": at,
        "expires_at": None if row.expires_at is None else micros(row.expires_at),
        "next_attempt_at": at,
        "attempts": 0,
        "last_reply": None,
        "lease_owner": owner,
        "leased_until": NOBODY if owner is None else micros(row.at + lease),
        "held": False,
        "unreached": False,
    }


_NAMES = tuple(column.name for column in _COLUMNS)


def _row(row: tuple[Any, ...]) -> OutboxRow:
    values = dict(zip(_NAMES, row, strict=True))
    for name in ("created_at", "next_attempt_at"):
        values[name] = instant(values[name])
    values["expires_at"] = None if values["expires_at"] is None else instant(values["expires_at"])
    values["leased_until"] = instant(values["leased_until"]) if values["leased_until"] else None
    for name in ("certified", "held", "unreached"):
        values[name] = bool(values[name])
    return OutboxRow(**values)
