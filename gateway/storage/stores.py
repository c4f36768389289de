"""Whose boxes are kept by another mail server: by domain for those to come, by box for those that are there."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from gateway.storage.accounts import AccountRefused, BoxKind
from gateway.storage.tables import domains, handovers, mailboxes

__all__ = ["bind_boxes", "bind_domain", "boxes_of_domain", "refuse_if_elsewhere", "store_of_box", "store_of_domain"]


def store_of_domain(connection: Connection, domain: str) -> str | None:
    """Where new boxes of a domain are kept; None: here. Raises AccountRefused if the domain is not ours."""
    row = connection.execute(select(domains.c.store).where(domains.c.name == domain)).one_or_none()
    if row is None:
        raise AccountRefused(f"{domain} is not a domain of this provider")
    store: str | None = row[0]
    return store


def store_of_box(connection: Connection, mailbox_id: int) -> str | None:
    found: str | None = connection.execute(select(mailboxes.c.store).where(mailboxes.c.id == mailbox_id)).scalar_one()
    return found


def refuse_if_elsewhere(connection: Connection, mailbox_id: int) -> None:
    """Raise AccountRefused if another server keeps a mailbox: nobody would see what is put into it here."""
    if (store := store_of_box(connection, mailbox_id)) is not None:
        raise AccountRefused(f"the box is kept by {store}; what is put into it here, nobody would see")


def boxes_of_domain(connection: Connection, domain: str) -> list[int]:
    """The holders' mailboxes whose own address is in a domain."""
    query = select(mailboxes.c.id).where(
        mailboxes.c.address_key.like(f"%@{domain}"), mailboxes.c.kind == BoxKind.USER.value
    )
    return [box for (box,) in connection.execute(query.order_by(mailboxes.c.id))]


def bind_domain(connection: Connection, domain: str, store: str | None) -> None:
    """Let new boxes of a domain be kept by a store; None: here."""
    connection.execute(update(domains).where(domains.c.name == domain).values(store=store))


def bind_boxes(connection: Connection, mailbox_ids: Sequence[int], store: str | None) -> int:
    """Let a store keep what comes into these mailboxes from now on; None: here. How many that changes.

    Raises:
        AccountRefused: something still waits to be handed over for one of them, or it is not a holder's.
    """
    changed = 0
    for mailbox_id in mailbox_ids:
        query = select(mailboxes.c.address, mailboxes.c.kind, mailboxes.c.store).where(mailboxes.c.id == mailbox_id)
        address, kind, present = connection.execute(query.with_for_update()).one()
        if kind != BoxKind.USER.value:
            raise AccountRefused(f"{address} is a box of the service itself, which stays here")
        if present == store:
            continue
        waiting = connection.execute(
            select(func.count()).select_from(handovers).where(handovers.c.mailbox_id == mailbox_id)
        ).scalar_one()
        if waiting:
            raise AccountRefused(
                f"{address}: {waiting} messages wait for {present}; `ceralacca queue elsewhere` lists them"
            )
        connection.execute(update(mailboxes).where(mailboxes.c.id == mailbox_id).values(store=store))
        changed += 1
    return changed
