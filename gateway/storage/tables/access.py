"""How holders sign in: by which protocols they may, when and from where they did."""

from sqlalchemy import Boolean, Column, ForeignKey, Table, Text

from gateway.storage.tables.columns import Id, instant, metadata, words

__all__ = ["account_terms", "last_sign_ins", "sign_in_places"]


def _account() -> Column[int]:
    return Column("account_id", Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)


account_terms = Table(  # no row: every protocol, and the chosen password will do
    "account_terms",
    metadata,
    _account(),
    words("protocols"),  # separated by spaces
    Column("devices_only", Boolean, nullable=False),
)

last_sign_ins = Table(
    "last_sign_ins",
    metadata,
    _account(),
    Column("lookup", Text, primary_key=True),  # of the device's password; empty for the chosen one
    instant("at"),
    words("address"),
    words("protocol"),
)

sign_in_places = Table(
    "sign_in_places",
    metadata,
    _account(),
    Column("network", Text, primary_key=True),
    instant("first_at"),
    instant("last_at"),
)
