"""Certified messages of our own senders, one row for each recipient's state."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from gateway.storage.tables.columns import Id, instant, key_column, link, metadata, words

__all__ = ["certified_messages", "certified_recipients", "submissions"]

certified_messages = Table(
    "certified_messages",
    metadata,
    key_column(),
    words("pec_msgid", unique=True),
    words("msgid", nullable=True),
    link("account_id", "accounts.id"),
    words("sender"),
    words("subject", nullable=True),
    words("reply_to"),
    words("receipt_form"),
    instant("at"),
    Column("recipients", Integer, nullable=False),  # how many
    link("original_body_id", "bodies.id"),
    link("envelope_body_id", "bodies.id", nullable=True),  # null: not accepted
)
Index("ix_certified_messages_msgid", certified_messages.c.msgid)
Index("ix_certified_messages_account_id_at", certified_messages.c.account_id, certified_messages.c.at)
Index("ix_certified_messages_original_body_id", certified_messages.c.original_body_id)
Index("ix_certified_messages_envelope_body_id", certified_messages.c.envelope_body_id)

certified_recipients = Table(
    "certified_recipients",
    metadata,
    Column("message_id", Id, ForeignKey("certified_messages.id"), primary_key=True),
    Column("address_key", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    words("address"),
    words("kind"),  # RecipientKind
    words("role"),  # "to" or "cc"
    words("provider", nullable=True),
    words("state"),  # RecipientState
    instant("state_at"),
    instant("accepted_at"),
    instant("taken_at", nullable=True),
    instant("delayed_at", nullable=True),  # when the first notice of delay went out
    instant("ended_at", nullable=True),
    words("end_detail", nullable=True),
)
Index("ix_certified_recipients_address_key", certified_recipients.c.address_key)
Index(
    "ix_certified_recipients_open",
    certified_recipients.c.accepted_at,
    sqlite_where=certified_recipients.c.ended_at.is_(None),
    postgresql_where=certified_recipients.c.ended_at.is_(None),
)

submissions = Table(
    "submissions",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # over msgid, recipients and bytes (D4)
    words("pec_msgid"),
    instant("at"),
    sqlite_with_rowid=False,
)
