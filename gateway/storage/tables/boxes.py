"""What belongs to a mailbox beside its mail: rules, how it filled, and what its holder put into Sent."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from gateway.storage.tables.columns import Id, id_column, instant, link, metadata, words

__all__ = ["mailbox_days", "rules", "sent_appends"]

sent_appends = Table(
    "sent_appends",
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    Column("msgid", Text, primary_key=True),
    words("token"),  # of the message that a program put into Sent before it was submitted (D35)
    instant("at"),
    sqlite_with_rowid=False,
)
Index("ix_sent_appends_at", sent_appends.c.at)

mailbox_days = Table(
    "mailbox_days",
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # counted from 1 January of the year 1
    Column("used_bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

rules = Table(
    "rules",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    Column("position", Integer, nullable=False),  # they are asked in this order
    words("conditions"),  # JSON, as ``storage.rules`` writes it
    words("actions"),
    Column("stop", Boolean, nullable=False),  # no rule after it is asked
)
Index("ix_rules_mailbox_id_position", rules.c.mailbox_id, rules.c.position)
