"""What waits to be handed over to a mail server that keeps boxes of ours."""

from sqlalchemy import Column, Index, Integer, Table

from gateway.storage.tables.columns import instant, key_column, link, metadata, words

__all__ = ["handovers"]

handovers = Table(
    "handovers",
    metadata,
    key_column(),
    link("mailbox_id", "mailboxes.id"),
    link("body_id", "bodies.id"),
    words("kind"),
    words("folder", nullable=True),  # as the flow that filed it named it; null: the inbox, or that of receipts
    Column("flags", Integer, nullable=False),  # Marks
    words("pec_msgid", nullable=True),
    words("signer", nullable=True),  # the provider that signed an envelope about which a receipt is due
    words("paths", nullable=True),  # the forward paths that get one, a line each
    instant("created_at"),
    instant("next_attempt_at"),
    Column("attempts", Integer, nullable=False),
    words("last_reply", nullable=True),
    words("lease_owner", nullable=True),
    instant("leased_until"),  # 0: nobody's
    Column("doubt", Integer, nullable=False),  # above 0: the other server may have it
)
Index("ix_handovers_next_attempt_at", handovers.c.next_attempt_at)
Index("ix_handovers_mailbox_id", handovers.c.mailbox_id)
Index("ix_handovers_body_id", handovers.c.body_id)
