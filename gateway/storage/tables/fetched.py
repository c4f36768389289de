"""What this provider fetches for itself from elsewhere (index, revocation lists), for all its processes together."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from gateway.storage.tables.columns import instant, metadata, words

__all__ = ["downloads"]

downloads = Table(
    "downloads",
    metadata,
    Column("name", Text, primary_key=True),
    words("url"),
    Column("data", LargeBinary),  # the last good copy
    words("version", nullable=True),  # of the data: its SHA-256, hexadecimal
    words("tag", nullable=True),  # what the server calls this copy
    instant("good_at", nullable=True),  # when the copy was last known to be the newest
    instant("tried_at", nullable=True),
    words("failure", nullable=True),  # why the last try brought nothing
    Column("failures", BigInteger, nullable=False),  # in a row
    instant("next_at"),
    instant("leased_until"),
)
