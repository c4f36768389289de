"""What came from other providers and is never answered twice (D4)."""

from sqlalchemy import Column, Index, LargeBinary, SmallInteger, Table, Text

from gateway.storage.tables.columns import instant, link, metadata, words

__all__ = ["processed_envelopes", "received_receipts"]

processed_envelopes = Table(
    "processed_envelopes",
    metadata,
    Column("pec_msgid", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("address_key", Text, primary_key=True),
    Column("signed_sha256", LargeBinary, nullable=False),
    words("sender"),
    instant("at"),
    words("end"),  # EnvelopeEnd
    words("receipt_kind", nullable=True),
    words("receipt_msgid", nullable=True),
    link("receipt_body_id", "bodies.id", nullable=True),
    link("take_charge_body_id", "bodies.id", nullable=True),
    Column("resent", SmallInteger, nullable=False),
    instant("resent_at", nullable=True),
)
Index("ix_processed_envelopes_address_key", processed_envelopes.c.address_key)
Index("ix_processed_envelopes_receipt_body_id", processed_envelopes.c.receipt_body_id)
Index("ix_processed_envelopes_take_charge_body_id", processed_envelopes.c.take_charge_body_id)

received_receipts = Table(
    "received_receipts",
    metadata,
    Column("signed_sha256", LargeBinary, primary_key=True),
    Column("address_key", Text, primary_key=True),
    instant("at"),
    sqlite_with_rowid=False,
)
