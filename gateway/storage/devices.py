"""Passwords that were made for one device each, and can be taken back one by one (D16)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import account_passwords, accounts, box_people, person_passwords
from gateway.storage.values import clean, instant, micros

__all__ = ["Device", "add_device", "devices_of", "remove_device"]


@dataclass(frozen=True, slots=True)
class Device:
    """What a holder sees of a device's password: never the password."""

    label: str
    lookup: str  # its first characters
    created_at: datetime
    person: str | None = None  # whose it is in a shared box; None: the holder's


_ADD = insert_into(account_passwords, returning="id")
_DEVICES = Statement(
    select(account_passwords.c.label, account_passwords.c.lookup, account_passwords.c.created_at, box_people.c.name)
    .select_from(
        account_passwords.outerjoin(
            person_passwords, person_passwords.c.password_id == account_passwords.c.id
        ).outerjoin(box_people, box_people.c.id == person_passwords.c.person_id)
    )
    .where(account_passwords.c.account_id == bindparam("account"), account_passwords.c.lookup.isnot(None))
    .order_by(account_passwords.c.id)
)
_REMOVE = Statement(
    delete(account_passwords).where(
        account_passwords.c.account_id == bindparam("account"), account_passwords.c.lookup == bindparam("lookup")
    )
)
_CHANGED = Statement(update(accounts).where(accounts.c.id == bindparam("account")).values(changed_at=bindparam("at")))


def add_device(connection: Connection, account_id: int, *, label: str, lookup: str, digest: bytes, at: datetime) -> int:
    """Keep the password of one device: its lookup id and its SHA-256. The id of what is kept."""
    row = {"label": clean(label), "hash": None, "lookup": lookup, "digest": digest, "created_at": micros(at)}
    added = _ADD.one(connection, row | {"account_id": account_id})
    assert added is not None
    return int(added[0])


def devices_of(connection: Connection, account_id: int) -> list[Device]:
    """The devices of an account, oldest first."""
    return [
        Device(row[0], row[1], instant(row[2]), row[3]) for row in _DEVICES.all(connection, {"account": account_id})
    ]


def remove_device(connection: Connection, account_id: int, lookup: str, at: datetime) -> bool:
    """Make a device's password worthless; False if there was none."""
    removed = _REMOVE.run(connection, {"account": account_id, "lookup": lookup}) > 0
    if removed:
        _CHANGED.run(connection, {"account": account_id, "at": micros(at)})
    return removed
