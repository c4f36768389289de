"""The people of a box and their passwords."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select

from gateway.points.sharing import MAX_PEOPLE, Right
from gateway.storage import accounts, devices, people
from gateway.storage.accounts import AccountRefused
from gateway.storage.people import Access
from gateway.storage.tables import person_passwords
from tests.storage.conftest import AT, Place


def shared(place: Place, connection: Connection) -> dict[str, int]:
    """Carla, who may send with two passwords, and Bruno, whose own account is here, with one."""
    box = place.anna.mailbox_id
    found = {
        "Carla": people.add_person(connection, box, "Carla Neri", Right.SEND, AT),
        "Bruno": people.add_person(
            connection, box, "bruno@pec.alfa.example", Right.READ, AT, account_id=place.bruno.id
        ),
    }
    for number, name in enumerate(("Carla", "Carla", "Bruno")):
        lookup = f"{number:08}"
        added = devices.add_device(connection, place.anna.id, label=name, lookup=lookup, digest=b"x", at=AT)
        people.give_password(connection, found[name], added)
    devices.add_device(connection, place.anna.id, label="own", lookup="anna0000", digest=b"x", at=AT)
    return found


async def test_a_box_without_people_is_not_shared(place: Place) -> None:
    found = await place.storage.read(lambda c: people.sharing_of(c, place.anna.mailbox_id))
    assert found == people.NOT_SHARED
    assert await place.storage.read(lambda c: people.shared_among(c, [place.anna.id, place.bruno.id])) == frozenset()


async def test_a_person_without_a_password_makes_it_shared(place: Place) -> None:
    await place.storage.write(lambda c: people.add_person(c, place.anna.mailbox_id, "Carla", Right.READ, AT))
    found = await place.storage.read(lambda c: people.sharing_of(c, place.anna.mailbox_id))
    assert (found.shared, found.by_password) == (True, {})
    assert await place.storage.read(lambda c: people.shared_among(c, [place.anna.id, place.bruno.id])) == {
        place.anna.id
    }


async def test_each_password_is_a_person_s_or_the_holder_s(place: Place) -> None:
    ids = await place.storage.write(lambda c: shared(place, c))
    found = await place.storage.read(lambda c: people.sharing_of(c, place.anna.mailbox_id))
    carla = Access(ids["Carla"], "Carla Neri", Right.SEND)
    bruno = Access(ids["Bruno"], "bruno@pec.alfa.example", Right.READ)
    assert found.by_password == {"00000000": carla, "00000001": carla, "00000002": bruno}
    assert found.shut == frozenset()
    kept = await place.storage.read(lambda c: devices.devices_of(c, place.anna.id))
    assert [one.person for one in kept] == ["Carla Neri", "Carla Neri", "bruno@pec.alfa.example", None]
    names = [await place.storage.read(lambda c, d=d: people.person_of_password(c, d)) for d in ("00000001", "anna0000")]  # type: ignore[misc]
    assert names == ["Carla Neri", None]


async def test_standing_follows_what_happens(place: Place) -> None:
    ids = await place.storage.write(lambda c: shared(place, c))
    later = AT + timedelta(hours=1)

    async def standing() -> dict[tuple[int, str], Right]:
        return await place.storage.read(lambda c: people.standing(c, [*ids.values(), 999]))

    carla, bruno = ids["Carla"], ids["Bruno"]
    assert await standing() == {
        (carla, "00000000"): Right.SEND,
        (carla, "00000001"): Right.SEND,
        (bruno, "00000002"): Right.READ,
    }
    await place.storage.write(lambda c: people.change_person(c, bruno, Right.MANAGE, later))
    assert await place.storage.read(lambda c: people.right_of(c, bruno, "00000002")) is Right.MANAGE
    await place.storage.write(lambda c: devices.remove_device(c, place.anna.id, "00000000", later))
    assert await place.storage.read(lambda c: people.right_of(c, carla, "00000000")) is None
    await place.storage.write(lambda c: accounts.set_active(c, place.bruno.id, later, active=False))
    assert await standing() == {(carla, "00000001"): Right.SEND}
    assert await place.storage.read(lambda c: people.right_of(c, bruno, "00000002")) is None
    found = await place.storage.read(lambda c: people.sharing_of(c, place.anna.mailbox_id))
    assert (set(found.by_password), found.shut) == ({"00000001"}, {"00000002"})


async def test_who_is_removed_leaves_nothing_to_sign_in_with(place: Place) -> None:
    ids = await place.storage.write(lambda c: shared(place, c))
    await place.storage.write(lambda c: people.remove_person(c, ids["Carla"]))
    kept = await place.storage.read(lambda c: devices.devices_of(c, place.anna.id))
    assert [one.lookup for one in kept] == ["00000002", "anna0000"]
    left = await place.storage.read(lambda c: c.execute(select(func.count()).select_from(person_passwords)).scalar())
    assert left == 1
    assert [one.name for one in await place.storage.read(lambda c: people.people_of(c, place.anna.mailbox_id))] == [
        "bruno@pec.alfa.example"
    ]


async def test_a_name_is_there_once_in_a_box_whatever_its_case(place: Place) -> None:
    box = place.anna.mailbox_id
    await place.storage.write(lambda c: people.add_person(c, box, "Carla Neri", Right.READ, AT))
    with pytest.raises(AccountRefused, match="has access already"):
        await place.storage.write(lambda c: people.add_person(c, box, "CARLA NERI", Right.SEND, AT))
    await place.storage.write(lambda c: people.add_person(c, place.bruno.mailbox_id, "Carla Neri", Right.READ, AT))
    found = await place.storage.read(lambda c: people.person_named(c, box, "carla neri"))
    assert found is not None
    assert (found.name, found.right) == ("Carla Neri", Right.READ)


async def test_a_box_has_only_so_many_people(place: Place) -> None:
    box = place.anna.mailbox_id

    def crowd(connection: Connection) -> None:
        for number in range(MAX_PEOPLE):
            people.add_person(connection, box, f"p{number}", Right.READ, AT)

    await place.storage.write(crowd)
    with pytest.raises(AccountRefused, match="at most 100 people"):
        await place.storage.write(lambda c: people.add_person(c, box, "one more", Right.READ, AT))
