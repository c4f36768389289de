"""Whether a mailbox has rules or an active script: noted with the mailbox, so that mail for others asks for none."""

from sqlalchemy import Connection, bindparam, exists, or_, true, update

from gateway.storage.statements import Statement
from gateway.storage.tables import mailboxes, rules, sieve_scripts

__all__ = ["note_ruled"]

_RULED = or_(
    exists().where(rules.c.mailbox_id == mailboxes.c.id),
    exists().where(sieve_scripts.c.mailbox_id == mailboxes.c.id, sieve_scripts.c.active == true()),
)
_NOTE = Statement(update(mailboxes).where(mailboxes.c.id == bindparam("mailbox")).values(has_rules=_RULED))


def note_ruled(connection: Connection, mailbox_id: int) -> None:
    """Note it anew, after a change of either."""
    _NOTE.run(connection, {"mailbox": mailbox_id})
