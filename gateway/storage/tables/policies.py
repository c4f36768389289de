"""What holders decided about their mailboxes."""

from sqlalchemy import Column, ForeignKey, Table

from gateway.storage.tables.columns import Id, instant, metadata, words

__all__ = ["mailbox_policies"]

mailbox_policies = Table(
    "mailbox_policies",
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    words("ordinary"),  # points.ordinary.Ordinary
    words("folder"),  # where the anomaly envelope goes
    words("forward_to", nullable=True),
    instant("changed_at"),
)
