"""The virus store, explained in ``quarantine``."""

from sqlalchemy import Column, Index, LargeBinary, Table

from gateway.storage.tables.columns import instant, key_column, link, metadata, words

__all__ = ["quarantine"]

quarantine = Table(
    "quarantine",
    metadata,
    key_column(),
    instant("at"),
    words("kind"),  # what the message was
    words("virus"),
    words("pec_msgid", nullable=True),
    words("sender"),
    words("recipients"),  # JSON list
    words("subject", nullable=True),
    words("provider", nullable=True),
    Column("sha256", LargeBinary, nullable=False),  # of the message, as it came
    link("body_id", "bodies.id"),
)
Index("ix_quarantine_at_id", quarantine.c.at, quarantine.c.id)
Index("ix_quarantine_body_id", quarantine.c.body_id)
