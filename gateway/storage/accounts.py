"""Who is here: mailboxes with their aliases, accounts and their passwords."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, true, union_all, update

from gateway.storage import folders
from gateway.storage.statements import Statement, insert_into
from gateway.storage.subaddresses import base_of
from gateway.storage.tables import account_passwords, accounts, aliases, domains, mailboxes
from gateway.storage.values import clean, instant, micros
from receipts.errors import GatewayError
from receipts.identifiers import address_key, domain_of
from receipts.records import record

__all__ = [
    "ROLE_LOCAL_PARTS",
    "Account",
    "AccountRefused",
    "BoxKind",
    "Credentials",
    "MailboxRef",
    "NewAccount",
    "account_by_address",
    "account_by_id",
    "active_among",
    "add_account",
    "add_alias",
    "addresses_of",
    "credentials_of",
    "list_accounts",
    "mailbox_of",
    "mailboxes_of",
    "operator_mailbox",
    "refuse_unless_free",
    "remove_alias",
    "set_active",
    "set_password",
]

ROLE_LOCAL_PARTS: Final = frozenset({"postmaster", "abuse"})
"""Always accepted in every domain of ours; they lead to the operator's mailbox (D33)."""


class BoxKind(StrEnum):
    USER = "user"
    SERVICE = "service"  # receives take-charge receipts and virus notices; no submission
    OPERATOR = "operator"  # postmaster and abuse; no submission


class AccountRefused(GatewayError):
    """An account, alias or domain cannot be made so; the text says why, for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to be made, with a mailbox of its own."""

    address: str
    at: datetime
    kind: BoxKind = BoxKind.USER
    display_name: str = ""
    language: str = "it"
    password: str | None = field(default=None, repr=False)  # its argon2id hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who can sign in."""

    id: int
    address: str
    kind: BoxKind
    mailbox_id: int
    display_name: str
    language: str
    active: bool
    created_at: datetime
    changed_at: datetime


@record(kw_only=True)
class MailboxRef:
    """Where the mail of an address goes."""

    id: int
    address: str  # the mailbox's own, which may differ from the one asked for
    kind: BoxKind
    active: bool
    used: int  # bytes of what counts against its quota
    quota: int | None  # its own; None: the provider's default; 0: none
    has_rules: bool
    store: str | None = None  # the server that keeps what comes; None: we do


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What sign-in needs to know of an account."""

    account: Account
    addresses: frozenset[str]  # address keys of its mailbox: its own and the aliases
    password: str | None = field(repr=False)  # argon2id hash of the chosen password
    devices: Mapping[str, bytes] = field(repr=False)  # digests of device passwords by lookup id


_DOMAIN = Statement(select(domains.c.id, domains.c.store).where(domains.c.name == bindparam("name")))
_ACCOUNT_COLUMNS = (
    accounts.c.id,
    accounts.c.address,
    accounts.c.kind,
    accounts.c.mailbox_id,
    accounts.c.display_name,
    accounts.c.language,
    accounts.c.active,
    accounts.c.created_at,
    accounts.c.changed_at,
)
_ACCOUNT = Statement(select(*_ACCOUNT_COLUMNS).where(accounts.c.address_key == bindparam("key")))
_BY_ID = Statement(select(*_ACCOUNT_COLUMNS).where(accounts.c.id == bindparam("account")))
_ACCOUNTS = Statement(select(*_ACCOUNT_COLUMNS).order_by(accounts.c.address_key))
_PASSWORDS = Statement(
    select(account_passwords.c.hash, account_passwords.c.lookup, account_passwords.c.digest).where(
        account_passwords.c.account_id == bindparam("account")
    )
)
_BOX_COLUMNS = (
    mailboxes.c.id,
    mailboxes.c.address,
    mailboxes.c.kind,
    mailboxes.c.active,
    mailboxes.c.used_bytes,
    mailboxes.c.quota_bytes,
    mailboxes.c.has_rules,
    mailboxes.c.store,
)
_MAILBOX = Statement(
    union_all(
        select(*_BOX_COLUMNS).where(mailboxes.c.address_key == bindparam("key")),
        select(*_BOX_COLUMNS).join(aliases).where(aliases.c.address_key == bindparam("key")),
    )
)
_OPERATOR = Statement(
    select(*_BOX_COLUMNS).where(mailboxes.c.kind == BoxKind.OPERATOR.value).order_by(mailboxes.c.id).limit(1)
)
_KEYS = Statement(
    union_all(
        select(mailboxes.c.address_key).where(mailboxes.c.id == bindparam("mailbox")),
        select(aliases.c.address_key).where(aliases.c.mailbox_id == bindparam("mailbox")),
    )
)
_ADD_MAILBOX = insert_into(mailboxes, returning="id")
_ADD_ACCOUNT = insert_into(accounts, returning="id")
_ADD_ALIAS = insert_into(aliases)
_DROP_ALIAS = Statement(
    delete(aliases).where(aliases.c.address_key == bindparam("key"), aliases.c.mailbox_id == bindparam("mailbox"))
)
_ADD_PASSWORD = insert_into(account_passwords, returning="id")
_CHANGED = Statement(update(accounts).where(accounts.c.id == bindparam("account")).values(changed_at=bindparam("at")))
_IS_ACTIVE = Statement(select(accounts.c.id).where(accounts.c.id == bindparam("account"), accounts.c.active == true()))
_ACTIVE = Statement(
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(active=bindparam("active"), changed_at=bindparam("at"))
)
_DROP_PASSWORD = Statement(
    delete(account_passwords).where(
        account_passwords.c.account_id == bindparam("account"), account_passwords.c.lookup.is_(None)
    )
)


def add_account(connection: Connection, new: NewAccount) -> Account:
    """Make an account and its mailbox.

    Raises:
        AccountRefused: its domain is not ours, its address is taken, or it is one of the operator's.
    """
    key = address_key(new.address)
    refuse_unless_free(connection, new.address, operator=new.kind is BoxKind.OPERATOR)
    at = micros(new.at)
    shared = {"address": new.address, "address_key": key, "kind": new.kind.value, "active": True, "created_at": at}
    counters = {"uid_validity": at // 1_000_000, "last_uid": 0, "modseq": 1, "used_bytes": 0}
    policy = {
        "quota_bytes": None,
        "quota_told": 0,
        "receipts_in_inbox": new.kind is not BoxKind.USER,  # they are all that the service's own box is for
        "has_rules": False,
        "notice_address": None,
        "told_about": 0,
        "store": _store_of(connection, new),
    }
    mailbox = _ADD_MAILBOX.one(connection, shared | counters | policy)
    assert mailbox is not None
    folders.add_first_folders(connection, mailbox[0], new.language)
    own = {
        "mailbox_id": mailbox[0],
        "display_name": clean(new.display_name),
        "language": new.language,
        "changed_at": at,
    }
    row = _ADD_ACCOUNT.one(connection, shared | own)
    assert row is not None
    if new.password is not None:
        set_password(connection, row[0], new.password, new.at)
    found = account_by_address(connection, new.address)
    assert found is not None
    return found


def add_alias(connection: Connection, address: str, mailbox_id: int, at: datetime) -> None:
    """Let mail for ``address`` go into a mailbox, whose holder may write as it.

    Raises:
        AccountRefused: its domain is not ours, its address is taken, or it is one of the operator's.
    """
    refuse_unless_free(connection, address)
    _ADD_ALIAS.run(
        connection,
        {
            "address_key": address_key(address),
            "address": address,
            "mailbox_id": mailbox_id,
            "created_at": micros(at),
        },
    )


def remove_alias(connection: Connection, address: str, mailbox_id: int) -> bool:
    """Take an alias away from a mailbox; False if it has none of this name."""
    return _DROP_ALIAS.run(connection, {"key": address_key(address), "mailbox": mailbox_id}) > 0


def account_by_address(connection: Connection, address: str) -> Account | None:
    row = _ACCOUNT.one(connection, {"key": address_key(clean(address))})
    return _account(row) if row else None


def account_by_id(connection: Connection, account_id: int) -> Account | None:
    row = _BY_ID.one(connection, {"account": account_id})
    return _account(row) if row else None


def active_among(connection: Connection, account_ids: Collection[int]) -> frozenset[int]:
    """Those of the accounts that may be signed in."""
    return frozenset(each for each in account_ids if _IS_ACTIVE.one(connection, {"account": each}))


def list_accounts(connection: Connection) -> list[Account]:
    return [_account(row) for row in _ACCOUNTS.all(connection, {})]


def credentials_of(connection: Connection, address: str) -> Credentials | None:
    """The account that signs in by this address, with what proves a password right."""
    account = account_by_address(connection, address)
    if account is None:
        return None
    password: str | None = None
    devices: dict[str, bytes] = {}
    for chosen, lookup, digest in _PASSWORDS.all(connection, {"account": account.id}):
        if lookup is None:
            password = chosen
        else:
            devices[lookup] = bytes(digest)
    return Credentials(
        account=account,
        addresses=addresses_of(connection, account.mailbox_id),
        password=password,
        devices=devices,
    )


def mailbox_of(connection: Connection, address: str) -> MailboxRef | None:
    """The mailbox of an address: its own, by alias or subaddress, or the operator's for postmaster and abuse."""
    key = address_key(clean(address))
    row = _MAILBOX.one(connection, {"key": key})
    if row is None and (base := base_of(connection, key)) is not None:
        row = _MAILBOX.one(connection, {"key": base})
    if row is not None:
        return _mailbox(row)
    if key.rpartition("@")[0] in ROLE_LOCAL_PARTS and _DOMAIN.one(connection, {"name": domain_of(key)}):
        return operator_mailbox(connection)
    return None


def mailboxes_of(connection: Connection, addresses: Sequence[str]) -> dict[str, MailboxRef]:
    """The mailboxes of those addresses that have one, by the addresses as they were given."""
    found = {address: mailbox_of(connection, address) for address in addresses}
    return {address: mailbox for address, mailbox in found.items() if mailbox is not None}


def operator_mailbox(connection: Connection) -> MailboxRef | None:
    row = _OPERATOR.one(connection, {})
    return _mailbox(row) if row else None


def addresses_of(connection: Connection, mailbox_id: int) -> frozenset[str]:
    """Address keys that lead to a mailbox by name: its own and its aliases."""
    return frozenset(key for (key,) in _KEYS.all(connection, {"mailbox": mailbox_id}))


def set_password(connection: Connection, account_id: int, password: str, at: datetime) -> None:
    """Replace the chosen password; ``password`` is its argon2id hash."""
    _DROP_PASSWORD.run(connection, {"account": account_id})
    row = {"label": "", "hash": password, "lookup": None, "digest": None, "created_at": micros(at)}
    _ADD_PASSWORD.one(connection, row | {"account_id": account_id})
    _CHANGED.run(connection, {"account": account_id, "at": micros(at)})


def set_active(connection: Connection, account_id: int, at: datetime, *, active: bool) -> None:
    """Let an account sign in, or no longer; its mailbox goes on receiving."""
    _ACTIVE.run(connection, {"account": account_id, "active": active, "at": micros(at)})


def refuse_unless_free(connection: Connection, address: str, *, operator: bool = False) -> None:
    """Raise AccountRefused if no account or alias may have this address."""
    key, domain = address_key(address), domain_of(address)
    if not _DOMAIN.one(connection, {"name": domain}):
        raise AccountRefused(f"{domain or address} is not a domain of this provider")
    if not operator and key.rpartition("@")[0] in ROLE_LOCAL_PARTS:
        raise AccountRefused(f"{address} belongs to the operator")
    if _MAILBOX.one(connection, {"key": key}):
        raise AccountRefused(f"{address} exists already")


def _store_of(connection: Connection, new: NewAccount) -> str | None:
    """Where the domain of a new account keeps its boxes; those of service and operator are always here."""
    if new.kind is not BoxKind.USER:
        return None
    row = _DOMAIN.one(connection, {"name": domain_of(new.address)})
    store: str | None = None if row is None else row[1]
    return store


def _account(row: tuple[Any, ...]) -> Account:
    return Account(
        id=row[0],
        address=row[1],
        kind=BoxKind(row[2]),
        mailbox_id=row[3],
        display_name=row[4],
        language=row[5],
        active=bool(row[6]),
        created_at=instant(row[7]),
        changed_at=instant(row[8]),
    )


def _mailbox(row: tuple[Any, ...]) -> MailboxRef:
    return MailboxRef(
        id=row[0],
        address=row[1],
        kind=BoxKind(row[2]),
        active=bool(row[3]),
        used=row[4],
        quota=row[5],
        has_rules=bool(row[6]),
        store=row[7],
    )
