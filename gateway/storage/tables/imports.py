"""What was brought along from other mail servers, so that nothing is brought twice."""

from sqlalchemy import BigInteger, Column, ForeignKey, Table, Text, UniqueConstraint

from gateway.storage.tables.columns import Id, id_column, instant, link, metadata, words

__all__ = ["import_sources", "imported"]

import_sources = Table(
    "import_sources",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    words("source"),  # user, host and port of the other server
    instant("begun_at"),
    words("lease_owner", nullable=True),
    instant("leased_until"),  # 0: nobody's
    UniqueConstraint("mailbox_id", "source"),
)

imported = Table(
    "imported",
    metadata,
    Column("source_id", Id, ForeignKey("import_sources.id", ondelete="CASCADE"), primary_key=True),
    Column("folder", Text, primary_key=True),  # as the other server writes it
    Column("uid_validity", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
