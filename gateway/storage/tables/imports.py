"""What was brought along from other mail servers: nothing comes twice, and what changes there can be followed."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint, text

from gateway.storage.tables.columns import Id, id_column, instant, link, metadata, words

__all__ = ["import_folders", "import_sources", "imported"]

import_sources = Table(
    "import_sources",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    words("source"),  # user, host and port of the other server
    instant("begun_at"),
    words("lease_owner", nullable=True),
    instant("leased_until"),  # 0: nobody's
    Column("runs", BigInteger, nullable=False, server_default=text("0")),  # begun so far
    UniqueConstraint("mailbox_id", "source"),
)

import_folders = Table(
    "import_folders",
    metadata,
    Column("source_id", Id, ForeignKey("import_sources.id", ondelete="CASCADE"), primary_key=True),
    Column("folder", Text, primary_key=True),  # as the other server writes it
    Column("uid_validity", BigInteger, nullable=False),
    words("filed"),  # the key of the folder here
    Column("modseq", BigInteger, nullable=True),  # up to which flags are known (RFC 7162); null: it has none
    Column("walked", BigInteger, nullable=False),  # the UID up to which flags were asked for, if not of all; else 0
    sqlite_with_rowid=False,
)

imported = Table(
    "imported",
    metadata,
    Column("source_id", Id, ForeignKey("import_sources.id", ondelete="CASCADE"), primary_key=True),
    Column("folder", Text, primary_key=True),  # as the other server writes it
    Column("uid_validity", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    words("token", nullable=True),  # of the message here, which its holder may have removed; null: not known
    Column("sha256", LargeBinary, nullable=True),  # of the message
    words("flags", nullable=True),  # there, when we last looked
    words("filed", nullable=True),  # the key of the folder here into which we put it last
    Column("run", BigInteger, nullable=True),  # of its source, in which this was noted
    Column("gone_run", BigInteger, nullable=True),  # in which it was missed there; 0: long ago; null: it is there
    sqlite_with_rowid=False,
)
Index("ix_imported_sha256", imported.c.source_id, imported.c.sha256, imported.c.gone_run, imported.c.run)
Index(
    "ix_imported_gone_run",
    imported.c.source_id,
    imported.c.gone_run,
    sqlite_where=imported.c.gone_run > 0,
    postgresql_where=imported.c.gone_run > 0,
)
