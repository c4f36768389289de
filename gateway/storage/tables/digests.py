"""Which holders hear at an ordinary mailbox of what comes, and what they are yet to hear of."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, text

from gateway.storage.tables.columns import Id, instant, metadata, words

__all__ = ["digests"]


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


digests = Table(
    "digests",
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    words("beat"),  # Beat
    instant("not_before"),  # when to look again
    instant("first_at", nullable=True),  # when the first message came that the holder has not heard of; null: none
    _count("certified"),  # how many came since, of each kind of About
    _count("failures"),
    _count("receipts"),
    _count("ordinary"),
    sqlite_with_rowid=False,
)
Index(
    "ix_digests_not_before",
    digests.c.not_before,
    sqlite_where=digests.c.first_at.is_not(None),
    postgresql_where=digests.c.first_at.is_not(None),
)
