"""What keeps the processes of a provider in order: alarms, and work that one of them does at a time."""

from sqlalchemy import Column, Index, Table, Text

from gateway.storage.tables.columns import id_column, instant, metadata, words

__all__ = ["alarms", "leases"]

alarms = Table(
    "alarms",
    metadata,
    id_column(),
    words("name"),
    words("place"),  # the process it is about; empty: the provider as a whole
    words("detail"),
    instant("raised_at"),
    instant("told_at"),  # when it was last seen to stand
    instant("over_at", nullable=True),
)
Index(
    "ix_alarms_standing",
    alarms.c.name,
    alarms.c.place,
    unique=True,
    sqlite_where=alarms.c.over_at.is_(None),
    postgresql_where=alarms.c.over_at.is_(None),
)
Index("ix_alarms_raised_at", alarms.c.raised_at)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),  # of the work
    words("owner"),
    instant("leased_until"),
    sqlite_with_rowid=False,
)
