"""Which messages of a folder hold a text. An index narrows them down, then the text itself is compared (D27)."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select, text

from gateway.storage.statements import Row, Statement
from gateway.storage.tables import message_details, message_states, message_words, messages

__all__ = [
    "FIELDS",
    "holding_header",
    "holding_words",
    "in_field",
    "not_whole",
    "sent_days",
    "states_and_sizes",
    "times",
]

FIELDS: Final = ("subject", "senders", "recipients", "copies", "hidden", "heads")
"""Columns of ``message_details`` that hold text as ``receipts.plaintext.searched`` makes it."""
SHORTEST: Final = 3
"""Letters of a trigram: a shorter text is compared with every message."""
MOST_GRAMS: Final = 60
"""Trigrams of a text that are looked up; the comparison looks at the rest."""

_HERE = (messages.c.mailbox_id == bindparam("mailbox"), messages.c.folder == bindparam("here"))
_JOINED = messages.join(message_details, message_details.c.body_id == messages.c.body_id)
_STATE = message_states.c
_STATES = Statement(
    select(_STATE.uid, _STATE.modseq, _STATE.flags, _STATE.keywords, _STATE.size)
    .where(_STATE.mailbox_id == bindparam("mailbox"), _STATE.folder == bindparam("here"))
    .order_by(_STATE.uid)
)
_TIMES = Statement(select(messages.c.uid, messages.c.at).where(*_HERE))
_SENT = Statement(select(messages.c.uid, message_details.c.sent_day).select_from(_JOINED).where(*_HERE))


def _has(column: Any) -> Mapping[str, Any]:
    return {
        "sqlite": func.instr(column, bindparam("needle")) > 0,
        "postgresql": func.strpos(column, bindparam("needle")) > 0,
    }


def _in_column(name: str, *columns: Any) -> Statement:
    return Statement(
        {
            dialect: select(messages.c.uid, *columns).select_from(_JOINED).where(*_HERE, condition)
            for dialect, condition in _has(message_details.c[name]).items()
        }
    )


_IN_FIELD: Final = {name: _in_column(name) for name in FIELDS}
_WITH_HEADER = _in_column("heads", message_details.c.header)
_WORDS = messages.join(message_words, message_words.c.body_id == messages.c.body_id)
_SCAN = Statement(
    {
        dialect: select(messages.c.uid).select_from(_WORDS).where(*_HERE, condition)
        for dialect, condition in _has(message_words.c.words).items()
    }
)
_INDEXED = Statement(
    {
        "sqlite": text(
            "SELECT m.uid FROM messages m JOIN message_words w ON w.body_id = m.body_id "
            "WHERE m.mailbox_id = :mailbox AND m.folder = :here AND instr(w.words, :needle) > 0 "
            "AND m.body_id IN (SELECT rowid FROM search_index WHERE search_index MATCH :grams)"
        ),
        "postgresql": text(
            "SELECT m.uid FROM messages m JOIN search_index s ON s.body_id = m.body_id "
            "JOIN message_words w ON w.body_id = m.body_id "
            "WHERE m.mailbox_id = :mailbox AND m.folder = :here "
            "AND (s.grams @@ CAST(:grams AS tsquery) OR s.grams IS NULL) AND strpos(w.words, :needle) > 0"
        ),
    }
)
_NOT_WHOLE = Statement(
    select(messages.c.uid, messages.c.body_id).select_from(_WORDS).where(*_HERE, message_words.c.whole.is_(False))
)


def states_and_sizes(connection: Connection, mailbox_id: int, folder: str) -> list[Row]:
    """UID, modseq, flags, keywords and size of every message, by UID: bare tuples."""
    return _STATES.all(connection, {"mailbox": mailbox_id, "here": folder})


def times(connection: Connection, mailbox_id: int, folder: str) -> list[Row]:
    """UID and internal date of every message."""
    return _TIMES.all(connection, {"mailbox": mailbox_id, "here": folder})


def sent_days(connection: Connection, mailbox_id: int, folder: str) -> list[Row]:
    """UID and day of the Date field of every message."""
    return _SENT.all(connection, {"mailbox": mailbox_id, "here": folder})


def in_field(connection: Connection, mailbox_id: int, folder: str, field: str, needle: str) -> set[int]:
    """UIDs of messages that hold ``needle`` in one of ``FIELDS``."""
    values = {"mailbox": mailbox_id, "here": folder, "needle": needle}
    return {uid for (uid,) in _IN_FIELD[field].all(connection, values)}


def holding_header(connection: Connection, mailbox_id: int, folder: str, needle: str) -> list[Row]:
    """UID and header of messages that hold ``needle`` anywhere in their header."""
    return _WITH_HEADER.all(connection, {"mailbox": mailbox_id, "here": folder, "needle": needle})


def holding_words(connection: Connection, mailbox_id: int, folder: str, needle: str) -> set[int]:
    """UIDs of messages that hold ``needle`` in the words that are kept of their bodies."""
    values = {"mailbox": mailbox_id, "here": folder, "needle": needle}
    if len(needle) < SHORTEST:
        rows = _SCAN.all(connection, values)
    else:
        rows = _INDEXED.all(connection, values | {"grams": _query(connection, needle)})
    return {uid for (uid,) in rows}


def not_whole(connection: Connection, mailbox_id: int, folder: str) -> list[Row]:
    """UID and body id of messages that have more words than are kept."""
    return _NOT_WHOLE.all(connection, {"mailbox": mailbox_id, "here": folder})


def _query(connection: Connection, needle: str) -> str:
    """What an index is asked: for messages with all trigrams of ``needle``."""
    grams = dict.fromkeys(needle[at : at + SHORTEST] for at in range(len(needle) - SHORTEST + 1))
    chosen = list(grams)[:MOST_GRAMS]
    if connection.dialect.name == "sqlite":
        return " AND ".join('"' + gram.replace('"', '""') + '"' for gram in chosen)
    return " & ".join("'" + gram.replace("\\", "\\\\").replace("'", "''") + "'" for gram in chosen)
