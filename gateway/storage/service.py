"""What lies in the service mailbox: receipts and notices between providers, and what strayed there (RC-09)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select

from gateway.storage.statements import Statement
from gateway.storage.tables import messages
from gateway.storage.values import instant
from receipts.wire import MessageKind

__all__ = ["BELONGING", "ServiceLetter", "service_letter", "service_letters"]

BELONGING: Final = frozenset({MessageKind.TAKE_CHARGE.value, MessageKind.VIRUS.value})
"""What a service mailbox is for (RFC 6109 section 2.2.5)."""
PAGE: Final = 500


class ServiceLetter(NamedTuple):
    """One message."""

    uid: int
    at: datetime
    kind: str
    size: int
    return_path: str
    pec_msgid: str | None
    body_id: int

    @property
    def strayed(self) -> bool:
        """Whether it came by mistake."""
        return self.kind not in BELONGING


_COLUMNS = (
    messages.c.uid,
    messages.c.at,
    messages.c.kind,
    messages.c.size,
    messages.c.return_path,
    messages.c.pec_msgid,
    messages.c.body_id,
)
_PAGE = Statement(
    select(*_COLUMNS)
    .where(messages.c.mailbox_id == bindparam("mailbox"), messages.c.uid < bindparam("before"))
    .order_by(messages.c.uid.desc())
    .limit(PAGE)
)
_ONE = Statement(
    select(*_COLUMNS).where(messages.c.mailbox_id == bindparam("mailbox"), messages.c.uid == bindparam("number"))
)


def service_letters(connection: Connection, mailbox_id: int) -> Iterator[ServiceLetter]:
    """All of them, the latest first; read page by page, for there may be hundreds of thousands."""
    before = 1 << 62
    while rows := _PAGE.all(connection, {"mailbox": mailbox_id, "before": before}):
        for row in rows:
            yield ServiceLetter(row[0], instant(row[1]), *row[2:])
        before = rows[-1][0]


def service_letter(connection: Connection, mailbox_id: int, uid: int) -> ServiceLetter | None:
    row = _ONE.one(connection, {"mailbox": mailbox_id, "number": uid})
    return None if row is None else ServiceLetter(row[0], instant(row[1]), *row[2:])
