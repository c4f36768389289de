"""What lies in mailboxes."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, UniqueConstraint

from gateway.storage.tables.columns import id_column, instant, link, metadata, words

__all__ = ["messages"]

messages = Table(
    "messages",
    metadata,
    id_column(),
    words("token", unique=True),  # the opaque id for life, POP3's UIDL
    link("mailbox_id", "mailboxes.id"),
    words("folder"),
    Column("uid", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    instant("at"),
    Column("size", BigInteger, nullable=False),
    words("kind"),
    Column("flags", Integer, nullable=False),
    link("body_id", "bodies.id"),
    words("return_path"),
    words("pec_msgid", nullable=True),
    UniqueConstraint("mailbox_id", "uid"),
)
Index("ix_messages_body_id", messages.c.body_id)
