"""The mail domains of this provider."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, union_all

from gateway.storage.accounts import AccountRefused, BoxKind, NewAccount, add_account, operator_mailbox
from gateway.storage.statements import Statement, insert_ignoring
from gateway.storage.tables import aliases, domains, mailboxes
from gateway.storage.values import micros

__all__ = ["add_domain", "local_domains", "remove_domain"]

_DOMAINS = Statement(select(domains.c.name))
_ADD_DOMAIN = insert_ignoring(domains, without=("id",))
_DROP_DOMAIN = Statement(delete(domains).where(domains.c.name == bindparam("name")))
_ADDRESSES_IN = Statement(
    union_all(
        select(mailboxes.c.address).where(mailboxes.c.address_key.like(bindparam("ending"), escape="!")),
        select(aliases.c.address).where(aliases.c.address_key.like(bindparam("ending"), escape="!")),
    ).limit(1)
)


def add_domain(connection: Connection, name: str, at: datetime) -> bool:
    """Make a domain ours; False if it was already. ``name`` is a lower-case A-label domain.

    The first domain brings the operator's mailbox.
    """
    added = _ADD_DOMAIN.run(connection, {"name": name, "created_at": micros(at), "store": None}) > 0
    if added and operator_mailbox(connection) is None:
        new = NewAccount(address=f"postmaster@{name}", at=at, kind=BoxKind.OPERATOR, display_name="Postmaster")
        add_account(connection, new)
    return added


def local_domains(connection: Connection) -> frozenset[str]:
    return frozenset(name for (name,) in _DOMAINS.all(connection, {}))


def remove_domain(connection: Connection, name: str) -> bool:
    """Make a domain ours no longer; False if it was not. ``name`` is a lower-case A-label domain.

    Raises:
        AccountRefused: a box or an alias has an address in it.
    """
    ending = "%@" + name.replace("!", "!!").replace("_", "!_").replace("%", "!%")
    taken = _ADDRESSES_IN.one(connection, {"ending": ending})
    if taken is not None:
        raise AccountRefused(f"{name}: {taken[0]} is an address in it; only a domain without any can be removed")
    return _DROP_DOMAIN.run(connection, {"name": name}) > 0
