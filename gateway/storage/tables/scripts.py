"""Sieve scripts of mailboxes."""

from sqlalchemy import Boolean, Column, Index, Table

from gateway.storage.tables.columns import id_column, instant, link, metadata, words

__all__ = ["sieve_scripts"]

sieve_scripts = Table(
    "sieve_scripts",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    words("name"),
    words("script"),
    Column("active", Boolean, nullable=False),  # one of a mailbox at most
    Column("told", Boolean, nullable=False),  # its holder knows that it failed
    instant("changed_at"),
)
Index("ix_sieve_scripts_mailbox_id_name", sieve_scripts.c.mailbox_id, sieve_scripts.c.name, unique=True)
