"""How holders sign in: by which protocols they may, and when, from where and with which password they did (D16)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update

from gateway.storage.statements import Statement, insert_ignoring, insert_into
from gateway.storage.tables import account_terms, last_sign_ins, sign_in_places
from gateway.storage.values import clean, instant, micros

__all__ = ["CHOSEN", "DEFAULT_TERMS", "LastUse", "SignInTerms", "Use", "last_uses", "record", "set_terms", "terms_of"]

CHOSEN: Final = ""
"""Stands for the password that the holder chose, where a device's has its first characters."""
_PLACES_KEPT: Final = 200  # of one account; the one used longest ago makes room


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInTerms:
    """What an account allows."""

    protocols: frozenset[str] | None = None  # None: all there are, and those to come
    devices_only: bool = False


DEFAULT_TERMS: Final = SignInTerms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One successful sign-in."""

    account_id: int
    lookup: str
    protocol: str
    address: str  # network address of the other end
    network: str  # what counts as one place
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUse:
    """When a password was used last, from where and by which protocol."""

    at: datetime
    address: str
    protocol: str


_TERMS = Statement(
    select(account_terms.c.protocols, account_terms.c.devices_only).where(
        account_terms.c.account_id == bindparam("account")
    )
)
_DROP_TERMS = Statement(delete(account_terms).where(account_terms.c.account_id == bindparam("account")))
_ADD_TERMS = insert_into(account_terms)
_LAST = Statement(
    select(last_sign_ins.c.lookup, last_sign_ins.c.at, last_sign_ins.c.address, last_sign_ins.c.protocol).where(
        last_sign_ins.c.account_id == bindparam("account")
    )
)
_ADD_LAST = insert_ignoring(last_sign_ins)
_MOVE_LAST = Statement(
    update(last_sign_ins)
    .where(
        last_sign_ins.c.account_id == bindparam("account"),
        last_sign_ins.c.lookup == bindparam("used"),
        last_sign_ins.c.at <= bindparam("moment"),
    )
    .values(at=bindparam("moment"), address=bindparam("peer"), protocol=bindparam("by"))
)
_PLACES = Statement(
    select(sign_in_places.c.network)
    .where(sign_in_places.c.account_id == bindparam("account"))
    .order_by(sign_in_places.c.last_at.desc())
)
_ADD_PLACE = insert_ignoring(sign_in_places)
_MOVE_PLACE = Statement(
    update(sign_in_places)
    .where(sign_in_places.c.account_id == bindparam("account"), sign_in_places.c.network == bindparam("place"))
    .values(last_at=bindparam("moment"))
)
_DROP_PLACE = Statement(
    delete(sign_in_places).where(
        sign_in_places.c.account_id == bindparam("account"), sign_in_places.c.network == bindparam("place")
    )
)


def terms_of(connection: Connection, account_id: int) -> SignInTerms:
    row = _TERMS.one(connection, {"account": account_id})
    if row is None:
        return DEFAULT_TERMS
    return SignInTerms(protocols=frozenset(row[0].split()) if row[0] else None, devices_only=bool(row[1]))


def set_terms(connection: Connection, account_id: int, terms: SignInTerms) -> None:
    """An empty set of protocols is refused: an account that nobody may use is disabled instead.

    Raises:
        ValueError: see above.
    """
    if terms.protocols is not None and not terms.protocols:
        raise ValueError("no protocol is left")
    _DROP_TERMS.run(connection, {"account": account_id})
    if terms != DEFAULT_TERMS:
        protocols = " ".join(sorted(terms.protocols or ()))
        row = {"account_id": account_id, "protocols": protocols, "devices_only": terms.devices_only}
        _ADD_TERMS.run(connection, row)


def last_uses(connection: Connection, account_id: int) -> dict[str, LastUse]:
    """By the password's first characters, or ``CHOSEN``."""
    rows = _LAST.all(connection, {"account": account_id})
    return {row[0]: LastUse(at=instant(row[1]), address=row[2], protocol=row[3]) for row in rows}


def record(connection: Connection, uses: Iterable[Use]) -> list[Use]:
    """Keep when and where passwords were used; those uses that came from a place new to an account that has others."""
    surprising = []
    for use in uses:
        _keep_last(connection, use)
        known = [network for (network,) in _PLACES.all(connection, {"account": use.account_id})]
        if use.network not in known:
            _make_room(connection, use.account_id, known)
            if known:
                surprising.append(use)
        _keep_place(connection, use)
    return surprising


def _keep_last(connection: Connection, use: Use) -> None:
    at = micros(use.at)
    where = {"address": clean(use.address), "protocol": use.protocol}
    _ADD_LAST.run(connection, {"account_id": use.account_id, "lookup": use.lookup, "at": at, **where})
    moved = {"account": use.account_id, "used": use.lookup, "moment": at}
    _MOVE_LAST.run(connection, moved | {"peer": where["address"], "by": where["protocol"]})


def _keep_place(connection: Connection, use: Use) -> None:
    at, network = micros(use.at), clean(use.network)
    _ADD_PLACE.run(connection, {"account_id": use.account_id, "network": network, "first_at": at, "last_at": at})
    _MOVE_PLACE.run(connection, {"account": use.account_id, "place": network, "moment": at})


def _make_room(connection: Connection, account_id: int, known: Sequence[str]) -> None:
    for network in known[_PLACES_KEPT - 1 :]:
        _DROP_PLACE.run(connection, {"account": account_id, "place": network})
