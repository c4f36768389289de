"""How domains divide the local parts of their addresses."""

from sqlalchemy import Column, Table, Text

from gateway.storage.tables.columns import instant, metadata, words

__all__ = ["subaddresses"]

subaddresses = Table(
    "subaddresses",
    metadata,
    Column("domain", Text, primary_key=True),
    words("separator"),  # one character
    instant("changed_at"),
)
