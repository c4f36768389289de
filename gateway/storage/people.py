"""The people of a box: who they are, what each may do there, and which device passwords are theirs (D35).

A box without people is its holder's alone. Each person signs in with the address of the box and a password that
belongs to this person in this box.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, select, true, update

from gateway.points.sharing import MAX_PEOPLE, Right
from gateway.storage.accounts import AccountRefused
from gateway.storage.statements import Row, Statement, among, insert_into, numbers
from gateway.storage.tables import account_passwords, accounts, box_people, person_passwords
from gateway.storage.values import clean, instant, micros

__all__ = [
    "NOT_SHARED",
    "Access",
    "Person",
    "Sharing",
    "add_person",
    "change_person",
    "give_password",
    "people_of",
    "person_named",
    "person_of_password",
    "remove_person",
    "right_of",
    "shared_among",
    "sharing_of",
    "standing",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who may act in a box that is not theirs alone."""

    id: int
    name: str
    right: Right
    account_id: int | None  # their own account, if they have one here
    active: bool  # False while that account is disabled
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Access:
    """What one password of a person opens."""

    person_id: int
    name: str
    right: Right


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who signs in to a box beside its holder."""

    shared: bool  # somebody may, whether there is a password yet or not
    by_password: Mapping[str, Access] = field(default_factory=dict)  # by its first characters
    shut: frozenset[str] = frozenset()  # passwords of people whose own account is disabled


NOT_SHARED = Sharing(shared=False)

_OWN = accounts.alias("own")
_ACTIVE = func.coalesce(_OWN.c.active, true())
_WITH_OWN = box_people.outerjoin(_OWN, _OWN.c.id == box_people.c.account_id)
_PASSWORDS = person_passwords.join(account_passwords, account_passwords.c.id == person_passwords.c.password_id)
_PERSON = (
    box_people.c.id,
    box_people.c.name,
    box_people.c.grade,
    box_people.c.account_id,
    _ACTIVE,
    box_people.c.created_at,
)
_PEOPLE = Statement(
    select(*_PERSON)
    .select_from(_WITH_OWN)
    .where(box_people.c.mailbox_id == bindparam("mailbox"))
    .order_by(box_people.c.name_key)
)
_NAMED = Statement(
    select(*_PERSON)
    .select_from(_WITH_OWN)
    .where(box_people.c.mailbox_id == bindparam("mailbox"), box_people.c.name_key == bindparam("called"))
)
_SHARING = Statement(
    select(box_people.c.id, box_people.c.name, box_people.c.grade, _ACTIVE, account_passwords.c.lookup)
    .select_from(_WITH_OWN.outerjoin(_PASSWORDS, person_passwords.c.person_id == box_people.c.id))
    .where(box_people.c.mailbox_id == bindparam("mailbox"))
)
_OPEN = and_(_ACTIVE, account_passwords.c.lookup.isnot(None))
_LIVE = _WITH_OWN.join(_PASSWORDS, person_passwords.c.person_id == box_people.c.id)
_RIGHT = Statement(
    select(box_people.c.grade)
    .select_from(_LIVE)
    .where(box_people.c.id == bindparam("person"), account_passwords.c.lookup == bindparam("device"), _OPEN)
)
_STANDING = Statement(
    among(
        box_people.c.id,
        lambda these: (
            select(box_people.c.id, account_passwords.c.lookup, box_people.c.grade)
            .select_from(_LIVE)
            .where(these, _OPEN)
        ),
    )
)
_SHARED = Statement(
    among(
        accounts.c.id,
        lambda these: (
            select(accounts.c.id).join(box_people, box_people.c.mailbox_id == accounts.c.mailbox_id).where(these)
        ),
    )
)
_OF_PASSWORD = Statement(
    select(box_people.c.name)
    .select_from(box_people.join(_PASSWORDS, person_passwords.c.person_id == box_people.c.id))
    .where(account_passwords.c.lookup == bindparam("device"))
)
_COUNT = Statement(select(func.count()).where(box_people.c.mailbox_id == bindparam("mailbox")))
_ADD = insert_into(box_people, returning="id")
_CHANGE = Statement(
    update(box_people)
    .where(box_people.c.id == bindparam("person"))
    .values(grade=bindparam("now"), changed_at=bindparam("at"))
)
_DROP_PASSWORDS = Statement(
    delete(account_passwords).where(
        account_passwords.c.id.in_(
            select(person_passwords.c.password_id).where(person_passwords.c.person_id == bindparam("person"))
        )
    )
)
_DROP = Statement(delete(box_people).where(box_people.c.id == bindparam("person")))
_GIVE = insert_into(person_passwords)


def people_of(connection: Connection, mailbox_id: int) -> list[Person]:
    """The people of a box, by name."""
    return [_person(row) for row in _PEOPLE.all(connection, {"mailbox": mailbox_id})]


def person_named(connection: Connection, mailbox_id: int, name: str) -> Person | None:
    """The person of this name, which is compared without regard to case."""
    row = _NAMED.one(connection, {"mailbox": mailbox_id, "called": _key(name)})
    return None if row is None else _person(row)


def sharing_of(connection: Connection, mailbox_id: int) -> Sharing:
    """Who signs in to a box beside its holder, as sign-in needs it: one question."""
    rows = _SHARING.all(connection, {"mailbox": mailbox_id})
    if not rows:
        return NOT_SHARED
    given = [row for row in rows if row[4] is not None]
    return Sharing(
        shared=True,
        by_password={row[4]: Access(row[0], row[1], Right(row[2])) for row in given if row[3]},
        shut=frozenset(row[4] for row in given if not row[3]),
    )


def right_of(connection: Connection, person_id: int, device: str) -> Right | None:
    """What a person may do now who signed in with this password; None: nothing any more."""
    row = _RIGHT.one(connection, {"person": person_id, "device": device})
    return None if row is None else Right(row[0])


def standing(connection: Connection, person_ids: Collection[int]) -> dict[tuple[int, str], Right]:
    """What these people may do now, by person and password; those who may do nothing are left out."""
    rows = _STANDING.all(connection, numbers(connection, person_ids))
    return {(row[0], row[1]): Right(row[2]) for row in rows}


def shared_among(connection: Connection, account_ids: Collection[int]) -> frozenset[int]:
    """Those of the accounts whose boxes have people."""
    return frozenset(account for (account,) in _SHARED.all(connection, numbers(connection, account_ids)))


def person_of_password(connection: Connection, device: str) -> str | None:
    """The name of the person whose password this is; None: it is the holder's."""
    row = _OF_PASSWORD.one(connection, {"device": device})
    return None if row is None else row[0]


def add_person(
    connection: Connection, mailbox_id: int, name: str, right: Right, at: datetime, *, account_id: int | None = None
) -> int:
    """Let a person into a box; their id.

    Raises:
        AccountRefused: the box has a person of this name, or as many as it may have.
    """
    if person_named(connection, mailbox_id, name) is not None:
        raise AccountRefused(f"{name} has access already")
    count = _COUNT.one(connection, {"mailbox": mailbox_id})
    if count is not None and count[0] >= MAX_PEOPLE:
        raise AccountRefused(f"a box has at most {MAX_PEOPLE} people")
    row = _ADD.one(
        connection,
        {
            "mailbox_id": mailbox_id,
            "name": clean(name),
            "name_key": _key(name),
            "account_id": account_id,
            "grade": right.value,
            "created_at": micros(at),
            "changed_at": micros(at),
        },
    )
    assert row is not None
    return int(row[0])


def change_person(connection: Connection, person_id: int, right: Right, at: datetime) -> None:
    """Give a person another right."""
    _CHANGE.run(connection, {"person": person_id, "now": right.value, "at": micros(at)})


def remove_person(connection: Connection, person_id: int) -> None:
    """Let a person into the box no longer; their passwords are worthless."""
    _DROP_PASSWORDS.run(connection, {"person": person_id})
    _DROP.run(connection, {"person": person_id})


def give_password(connection: Connection, person_id: int, password_id: int) -> None:
    """Say that a device password of the box is this person's."""
    _GIVE.run(connection, {"password_id": password_id, "person_id": person_id})


def _key(name: str) -> str:
    return clean(name).casefold()


def _person(row: Row | Any) -> Person:
    return Person(
        id=row[0],
        name=row[1],
        right=Right(row[2]),
        account_id=row[3],
        active=bool(row[4]),
        created_at=instant(row[5]),
    )
