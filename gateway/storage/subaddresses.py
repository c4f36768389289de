"""Domains in which ``anna+anything`` leads to ``anna`` (RFC 5233): by which character, if by any."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import subaddresses
from gateway.storage.values import micros

__all__ = ["SEPARATORS", "base_of", "separator_of", "set_separator"]

SEPARATORS: Final = "+-_=#"
"""What may divide a local part: printable, legal without quotes, and no sign of source routes."""

_SEPARATOR = Statement(select(subaddresses.c.separator).where(subaddresses.c.domain == bindparam("name")))
_FORGET = Statement(delete(subaddresses).where(subaddresses.c.domain == bindparam("name")))
_KEEP = insert_into(subaddresses)


def separator_of(connection: Connection, domain: str) -> str | None:
    """The character of a domain (A-labels, lower case); None if addresses there are taken as they are."""
    row = _SEPARATOR.one(connection, {"name": domain})
    return None if row is None else str(row[0])


def set_separator(connection: Connection, domain: str, separator: str | None, at: datetime) -> None:
    """Let a domain divide its local parts, or no longer."""
    _FORGET.run(connection, {"name": domain})
    if separator is not None:
        _KEEP.run(connection, {"domain": domain, "separator": separator, "changed_at": micros(at)})


def base_of(connection: Connection, key: str) -> str | None:
    """The address key that a subaddress leads to; None if this is none.

    Asks the database for addresses only that hold a character which might divide them.
    """
    local, _, domain = key.rpartition("@")
    if not any(character in local for character in SEPARATORS):
        return None
    separator = separator_of(connection, domain)
    base = local.partition(separator)[0] if separator else ""
    return f"{base}@{domain}" if base and base != local else None
