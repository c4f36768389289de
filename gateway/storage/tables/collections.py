"""Boxes at other providers from which messages are collected, again and again."""

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint, text

from gateway.storage.tables.columns import id_column, instant, link, metadata, words

__all__ = ["collections"]

collections = Table(
    "collections",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    words("host"),
    Column("port", Integer, nullable=False),
    words("user"),
    words("ca_file", nullable=True),
    words("password_file"),
    Column("every_seconds", Integer, nullable=False),
    instant("next_at"),  # when the next run is due, or may be taken up again
    instant("begun_at", nullable=True),  # of the last run
    instant("ended_at", nullable=True),
    instant("failing_since", nullable=True),  # null: the last run was a good one
    words("report", nullable=True),  # of the last run, or why it failed
    Column("deletions", Text, nullable=False, server_default=text("'keep'")),  # Deletions
    UniqueConstraint("mailbox_id", "host", "port", "user"),
)
Index("ix_collections_next_at", collections.c.next_at)
