"""The tables of bytes; how they hang together stands in ``content``."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from gateway.storage.tables.columns import Id, instant, key_column, metadata

__all__ = ["bodies", "body_contents", "chunk_sets", "content_chunks", "contents"]

chunk_sets = Table(
    "chunk_sets",
    metadata,
    key_column(),
    instant("created_at"),
)
Index("ix_chunk_sets_created_at_id", chunk_sets.c.created_at, chunk_sets.c.id)

content_chunks = Table(
    "content_chunks",
    metadata,
    Column("chunk_set_id", Id, ForeignKey("chunk_sets.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("data", LargeBinary, nullable=False),
)

contents = Table(
    "contents",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("size", BigInteger, nullable=False),
    instant("touched_at"),  # last time somebody began to refer to it
    Column("chunk_set_id", Id, ForeignKey("chunk_sets.id"), unique=True),  # null: the bytes stand in data
    Column("data", LargeBinary),
)
Index("ix_contents_touched_at_sha256", contents.c.touched_at, contents.c.sha256)

bodies = Table(
    "bodies",
    metadata,
    key_column(),
    Column("size", BigInteger, nullable=False),
    instant("created_at"),
    Column("parts", LargeBinary, nullable=False),  # literals and references to ranges of contents, packed
)
Index("ix_bodies_created_at_id", bodies.c.created_at, bodies.c.id)

body_contents = Table(
    "body_contents",
    metadata,
    Column("body_id", Id, ForeignKey("bodies.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", LargeBinary, ForeignKey("contents.sha256"), primary_key=True),
    sqlite_with_rowid=False,
)
Index("ix_body_contents_sha256", body_contents.c.sha256)
