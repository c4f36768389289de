"""The story of a message, from everything that is known of it: for ``ceralacca trace``."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Select, bindparam, func, select, union

from gateway.storage import certified, outbox, received, register
from gateway.storage.certified import CertifiedMessage
from gateway.storage.outbox import OutboxRow
from gateway.storage.received import ProcessedEnvelope
from gateway.storage.register import RegisterRow
from gateway.storage.tables import accounts, certified_messages, certified_recipients, processed_envelopes
from gateway.storage.tables import register as register_table
from gateway.storage.values import clean
from receipts.identifiers import address_key

__all__ = ["Story", "ids_of", "story"]

MOST: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is known of one certified message."""

    pec_msgid: str
    sent: CertifiedMessage | None  # if one of our holders sent it
    received: tuple[ProcessedEnvelope, ...]  # what became of it for our own recipients
    waiting: tuple[OutboxRow, ...]
    events: tuple[RegisterRow, ...]  # in the order of time


def ids_of(connection: Connection, term: str, *, limit: int = MOST) -> list[str]:
    """PEC msgids of the messages that a person may mean, the latest ones in the order of time.

    Args:
        term: a PEC msgid or a client's msgid, with or without angle brackets, or a sender's or recipient's address.
    """
    bare = clean(term.strip().removeprefix("<").removesuffix(">"))
    values = {"id": bare, "msgid": f"<{bare}>", "key": address_key(bare), "most": limit}
    found = connection.execute(_IDS, values).all()
    return [row[0] for row in reversed(found)]


def story(connection: Connection, pec_msgid: str) -> Story:
    """Everything that is known of a message; all of it may be empty."""
    return Story(
        pec_msgid=pec_msgid,
        sent=certified.find_message(connection, pec_msgid),
        received=tuple(received.ends_of(connection, pec_msgid)),
        waiting=tuple(outbox.rows_of(connection, pec_msgid)),
        events=tuple(register.rows_about(connection, pec_msgid)),
    )


_SENT, _TO, _HERE, _EVENTS = certified_messages.c, certified_recipients.c, processed_envelopes.c, register_table.c


def _latest(query: Select[tuple[str, int]]) -> Select[tuple[str, int]]:
    """The latest rows of one source; they come with the time that orders them among the others."""
    return select(query.limit(bindparam("most")).subquery())


_SOURCES = (
    select(_SENT.pec_msgid, _SENT.at)
    .where((_SENT.pec_msgid == bindparam("id")) | (_SENT.msgid == bindparam("msgid")))
    .order_by(_SENT.at.desc()),
    select(_SENT.pec_msgid, _SENT.at)
    .join(accounts, accounts.c.id == _SENT.account_id)
    .where(accounts.c.address_key == bindparam("key"))
    .order_by(_SENT.at.desc()),
    select(_SENT.pec_msgid, _SENT.at)
    .join(certified_recipients, _TO.message_id == _SENT.id)
    .where(_TO.address_key == bindparam("key"))
    .order_by(_SENT.at.desc()),
    select(_HERE.pec_msgid, _HERE.at).where(_HERE.address_key == bindparam("key")).order_by(_HERE.at.desc()),
    select(_EVENTS.pec_msgid, _EVENTS.at)
    .where(
        _EVENTS.pec_msgid.isnot(None),
        (_EVENTS.pec_msgid == bindparam("id")) | (_EVENTS.msgid == bindparam("msgid")),
    )
    .order_by(_EVENTS.at.desc()),
)
_ALL = union(*map(_latest, _SOURCES)).subquery()
_IDS = (
    select(_ALL.c.pec_msgid, func.max(_ALL.c.at))
    .group_by(_ALL.c.pec_msgid)
    .order_by(func.max(_ALL.c.at).desc(), _ALL.c.pec_msgid)
    .limit(bindparam("most"))
)
