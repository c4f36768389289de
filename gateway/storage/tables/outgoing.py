"""What waits to be relayed."""

from sqlalchemy import Boolean, Column, Index, Integer, Table, false, true

from gateway.storage.tables.columns import instant, key_column, link, metadata, words

__all__ = ["outbox"]

outbox = Table(
    "outbox",
    metadata,
    key_column(),
    link("body_id", "bodies.id"),
    words("kind"),
    words("reverse_path"),
    words("forward_path"),
    words("domain"),
    words("pec_msgid", nullable=True),
    words("msgid", nullable=True),  # these three of the original message, for the register (LOG-01)
    words("sender", nullable=True),
    words("subject", nullable=True),
    Column("certified", Boolean, nullable=False),
    instant("created_at"),
    instant("expires_at", nullable=True),
    instant("next_attempt_at"),
    Column("attempts", Integer, nullable=False),
    words("last_reply", nullable=True),
    words("lease_owner", nullable=True),
    instant("leased_until"),  # 0: nobody's
    Column("held", Boolean, nullable=False),
    Column("unreached", Boolean, nullable=False),  # no peer answered at the last attempt
)
Index(
    "ix_outbox_due",
    outbox.c.next_attempt_at,
    sqlite_where=outbox.c.held == false(),
    postgresql_where=outbox.c.held == false(),
)
Index(
    "ix_outbox_unreached",
    outbox.c.domain,
    sqlite_where=outbox.c.unreached == true(),
    postgresql_where=outbox.c.unreached == true(),
)
Index("ix_outbox_body_id", outbox.c.body_id)
Index("ix_outbox_pec_msgid", outbox.c.pec_msgid)
