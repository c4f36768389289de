"""What operators must know of: the alarms, those that stand and those that are over."""

from sqlalchemy import Index, Table

from gateway.storage.tables.columns import id_column, instant, metadata, words

__all__ = ["alarms"]

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
