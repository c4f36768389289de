"""What is worked out of messages once: the forms that programs list, and the words that people search (D27)."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Connection, FromClause, bindparam, or_, select, text, update

from gateway.storage.statements import Row, Statement, among, insert_ignoring, numbers
from gateway.storage.tables import (
    bodies,
    detail_fill,
    mailboxes,
    message_details,
    message_forms,
    message_states,
    message_words,
    messages,
)
from gateway.storage.values import clean, micros
from receipts.outline import Place
from receipts.plaintext import Words

__all__ = [
    "COLUMNS",
    "Worked",
    "add_details",
    "advance_fill",
    "lease_fill",
    "newest_without",
    "places_of",
    "read_columns",
    "sweep",
    "without_details",
    "without_details_in",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What was worked out of one body."""

    body_id: int
    envelope: bytes
    body: bytes
    structure: bytes
    header: bytes
    fields: bytes  # of the header, those of ``receipts.choice.USUAL``
    places: Sequence[Place]
    sent_day: int | None
    words: Words


COLUMNS: Final = ("at", "size", "envelope", "body", "structure", "fields", "header", "places")
"""What may be read of a message beside its UID."""

_DETAILS = message_details.c
_STATE = message_states.c
_FORMS = message_forms.c
_ADD = insert_ignoring(message_details)
_ADD_FORMS = insert_ignoring(message_forms)
_ADD_WORDS = insert_ignoring(message_words)
_BODY_THERE = Statement(select(bodies.c.id).where(bodies.c.id == bindparam("body")))
_INDEX = Statement(
    {
        "sqlite": text("SELECT 1"),  # a trigger does it
        "postgresql": text(
            "INSERT INTO search_index (body_id, grams) VALUES (:body_id, array_to_tsvector(CAST(:grams AS text[]))) "
            "ON CONFLICT DO NOTHING"
        ),
    }
)
_OWN: Final = 4  # columns of the state, which stand before the others
_FEW_BYTES: Final = frozenset({"at", "size"})
MOST_BYTES: Final = 4_000_000
"""Of what is kept of messages, that are read at once: some have a megabyte each, and a copy of one costs nothing."""
WEIGHED: Final = 16
"""Messages that are read before it is seen how much they have to tell."""
AT_ONCE: Final = 50
"""Messages whose rows PostgreSQL sends at once: it sends all of them or none."""
DENSE: Final = 4
"""Up to so many UIDs to one that is asked for are read over."""
LOOKED_BACK: Final = 1_000
MOST_GRAMS: Final = 40_000
"""Different trigrams of one message that PostgreSQL takes; one with more is compared with every search."""

_BARE = ~select(_DETAILS.body_id).where(_DETAILS.body_id == messages.c.body_id).exists()
_AFTER = Statement(
    select(messages.c.uid, messages.c.body_id, messages.c.size)
    .where(messages.c.mailbox_id == bindparam("mailbox"), messages.c.uid > bindparam("uid"), _BARE)
    .order_by(messages.c.uid)
    .limit(bindparam("most"))
)
_LAST_UID = Statement(select(mailboxes.c.last_uid).where(mailboxes.c.id == bindparam("mailbox")))
_IN_FOLDER = Statement(
    select(messages.c.body_id, messages.c.size)
    .where(messages.c.mailbox_id == bindparam("mailbox"), messages.c.folder == bindparam("here"), _BARE)
    .order_by(messages.c.uid.desc())
    .limit(bindparam("most"))
)
_BARE_ONES = Statement(
    among(
        messages.c.uid,
        lambda these: select(messages.c.body_id, messages.c.size).where(
            messages.c.mailbox_id == bindparam("mailbox"), messages.c.folder == bindparam("here"), these, _BARE
        ),
    )
)
_SWEEP = Statement(
    select(messages.c.id, messages.c.body_id, messages.c.size, messages.c.at, _BARE)
    .where(messages.c.id > bindparam("after"))
    .order_by(messages.c.id)
    .limit(bindparam("most"))
)
_LEASE = Statement(
    update(detail_fill)
    .where(or_(detail_fill.c.lease_owner == bindparam("owner"), detail_fill.c.leased_until < bindparam("now")))
    .values(lease_owner=bindparam("owner"), leased_until=bindparam("until"))
    .returning(detail_fill.c.done_to)
)
_ADVANCE = Statement(update(detail_fill).where(detail_fill.c.done_to < bindparam("to")).values(done_to=bindparam("to")))


def add_details(connection: Connection, worked: Iterable[Worked]) -> None:
    """Keep what was worked out; of a body that is gone, or was worked out before, nothing."""
    there = [one for one in worked if _BODY_THERE.one(connection, {"body": one.body_id})]
    _ADD.many(connection, [_row(one) for one in there])
    _ADD_FORMS.many(connection, [_forms(one) for one in there])
    _ADD_WORDS.many(
        connection,
        [{"body_id": one.body_id, "words": clean(one.words.body), "whole": one.words.whole} for one in there],
    )
    if connection.dialect.name == "postgresql":
        _INDEX.many(connection, [{"body_id": one.body_id, "grams": _grams(clean(one.words.body))} for one in there])


def read_columns(
    connection: Connection, mailbox_id: int, folder: str, uids: Sequence[int], columns: Sequence[str]
) -> list[Row]:
    """UID, modseq, flags, keywords and these of ``COLUMNS``, of messages in a folder, by UID.

    Of those that have very much to tell only the first, one at least: ``MOST_BYTES`` of them.
    """
    bounded = not _FEW_BYTES.issuperset(columns)
    at_once = AT_ONCE if bounded and connection.dialect.name == "postgresql" else len(uids)
    found: list[Row] = []
    size = 0
    for start in range(0, len(uids), max(1, at_once)):
        some = uids[start : start + at_once]
        statement, values, close = _question(connection, mailbox_id, folder, some, columns)
        if close and not bounded:
            found += statement.all(connection, values)
            continue
        wanted = frozenset(some)
        for rows in statement.some_by_some(connection, values, WEIGHED):
            mine = rows if close else [row for row in rows if row[0] in wanted]
            weights = [sum([len(value) for value in row[_OWN:] if value.__class__ is bytes]) for row in mine]
            size += sum(weights)
            found += mine
            if size >= MOST_BYTES:
                return found[: len(found) - _beyond(weights, size)]
    return found


def _beyond(weights: Sequence[int], size: int) -> int:
    """How many of the last messages, of these weights, are not needed for ``MOST_BYTES``."""
    for number, weight in enumerate(reversed(weights)):
        size -= weight
        if size < MOST_BYTES:
            return number
    return 0


def _question(
    connection: Connection, mailbox_id: int, folder: str, uids: Sequence[int], columns: Sequence[str]
) -> tuple[Statement, Mapping[str, Any], bool]:
    """What reads these messages, and whether it reads no others."""
    statements = _READ.get(tuple(columns))
    if statements is None:
        statements = _READ[tuple(columns)] = _reading(columns)
    one_by_one, from_to = statements
    values = {"mailbox": mailbox_id, "here": folder}
    low, high = min(uids), max(uids)
    if high - low >= DENSE * len(uids):
        return one_by_one, values | numbers(connection, uids), True
    return from_to, values | {"low": low, "high": high}, high - low < len(uids)


_READ: Final[dict[tuple[str, ...], tuple[Statement, Statement]]] = {}
"""Statements by the columns they read: at most as many as there are subsets."""


def _reading(columns: Sequence[str]) -> tuple[Statement, Statement]:
    """By single UIDs, and by the first and the last of many that lie close together."""
    own = [_STATE.uid, _STATE.modseq, _STATE.flags, _STATE.keywords]
    chosen = [_column(name) for name in columns]
    here = (_STATE.mailbox_id == bindparam("mailbox"), _STATE.folder == bindparam("here"))
    source: FromClause = message_states
    if any(column.table is messages for column in chosen):
        source = source.join(messages)
    for table in (message_forms, message_details):
        if any(column.table is table for column in chosen):
            source = source.outerjoin(table, table.c.body_id == _STATE.body_id)
    chosen_here = select(*own, *chosen).select_from(source).where(*here).order_by(_STATE.uid)
    between = _STATE.uid.between(bindparam("low"), bindparam("high"))
    return Statement(among(_STATE.uid, chosen_here.where)), Statement(chosen_here.where(between))


def _column(name: str) -> "Column[Any]":
    if name == "at":
        return messages.c.at
    if name == "size":
        return _STATE.size
    return _FORMS[name] if name in _FORMS else _DETAILS[name]


def places_of(packed: bytes) -> list[Place]:
    """Where the parts of a message lie."""
    return [Place(tuple(path), *rest) for path, *rest in json.loads(packed)]


def without_details(connection: Connection, mailbox_id: int, folder: str, uids: Collection[int]) -> list[Row]:
    """Body id and size of those of these messages whose details nobody has worked out yet."""
    return _BARE_ONES.all(connection, {"mailbox": mailbox_id, "here": folder} | numbers(connection, uids))


def without_details_in(connection: Connection, mailbox_id: int, folder: str, limit: int) -> list[Row]:
    """Body id and size of such messages of a folder, the newest first."""
    return _IN_FOLDER.all(connection, {"mailbox": mailbox_id, "here": folder, "most": limit})


def newest_without(connection: Connection, mailbox_id: int, uid: int | None, limit: int) -> tuple[int, list[Row]]:
    """The last UID of a mailbox, and UID, body id and size of such messages that came after ``uid``.

    Args:
        uid: None: look at the last ``LOOKED_BACK`` UIDs.
    """
    row = _LAST_UID.one(connection, {"mailbox": mailbox_id})
    if row is None:
        return 0, []
    after = max(row[0] - LOOKED_BACK, 0) if uid is None else uid
    return row[0], _AFTER.all(connection, {"mailbox": mailbox_id, "uid": after, "most": limit})


def lease_fill(connection: Connection, owner: str, at: datetime, length: timedelta) -> int | None:
    """Up to which message id all details are worked out, if nobody else is at it; then it is this owner's turn."""
    row = _LEASE.one(connection, {"owner": owner, "now": micros(at), "until": micros(at + length)})
    return None if row is None else int(row[0])


def sweep(connection: Connection, after: int, limit: int) -> list[Row]:
    """Message id, body id, size, instant, and whether details are missing, of the next messages."""
    return _SWEEP.all(connection, {"after": after, "most": limit})


def advance_fill(connection: Connection, to: int) -> None:
    """Note that everything up to this message id is worked out."""
    _ADVANCE.run(connection, {"to": to})


def _row(one: Worked) -> dict[str, Any]:
    places = [(place.path, place.start, place.body, place.stop, place.inner) for place in one.places]
    words = one.words
    return {
        "body_id": one.body_id,
        "body": one.body,
        "header": one.header,
        "places": json.dumps(places, separators=(",", ":")).encode("ascii"),
        "sent_day": one.sent_day,
        "heads": clean(words.header),
        "subject": clean(words.subject),
        "senders": clean(words.senders),
        "recipients": clean(words.recipients),
        "copies": clean(words.copies),
        "hidden": clean(words.hidden),
    }


def _forms(one: Worked) -> dict[str, Any]:
    return {"body_id": one.body_id, "envelope": one.envelope, "structure": one.structure, "fields": one.fields}


def _grams(words: str) -> list[str] | None:
    found = {words[at : at + 3] for at in range(len(words) - 2)}
    return None if len(found) > MOST_GRAMS else sorted(found)
