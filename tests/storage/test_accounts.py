"""Domains, mailboxes, aliases, accounts and what proves a password."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from gateway.storage import accounts, devices, domains
from gateway.storage.accounts import AccountRefused, BoxKind, NewAccount
from tests.storage.conftest import AT, Place

LATER = AT + timedelta(hours=1)


async def mailbox(place: Place, address: str) -> accounts.MailboxRef | None:
    return await place.storage.read(lambda connection: accounts.mailbox_of(connection, address))


@pytest.mark.parametrize(
    "spelling", ["anna@alfa.example", "ANNA@ALFA.EXAMPLE", "Anna@Alfa.example", '"anna"@alfa.example']
)
async def test_an_address_is_found_however_it_is_spelled(place: Place, spelling: str) -> None:
    found = await mailbox(place, spelling)
    assert found is not None
    assert (found.id, found.address, found.kind) == (place.anna.mailbox_id, "Anna@alfa.example", BoxKind.USER)
    account = await place.storage.read(lambda connection: accounts.account_by_address(connection, spelling))
    assert account == place.anna


@pytest.mark.parametrize(
    "address",
    ["anna@pec.alfa.example", "anna@beta.example", "anna", "", "@alfa.example", "a\0nna@alfa.example", "\ud800@x"],
)
async def test_other_addresses_have_no_mailbox(place: Place, address: str) -> None:
    assert await mailbox(place, address) is None


@pytest.mark.parametrize(
    "address", ["postmaster@alfa.example", "Abuse@pec.alfa.example", "POSTMASTER@PEC.alfa.example"]
)
async def test_postmaster_and_abuse_of_every_domain_go_to_the_operator(place: Place, address: str) -> None:
    found = await mailbox(place, address)
    assert found is not None
    assert (found.kind, found.address) == (BoxKind.OPERATOR, "postmaster@alfa.example")


@pytest.mark.parametrize("address", ["postmaster@beta.example", "abuse@x.alfa.example"])
async def test_those_of_other_domains_do_not(place: Place, address: str) -> None:
    assert await mailbox(place, address) is None


async def test_an_alias_leads_to_its_mailbox_and_is_no_account(place: Place) -> None:
    await place.storage.write(
        lambda connection: accounts.add_alias(connection, "Annina@pec.alfa.example", place.anna.mailbox_id, AT)
    )
    found = await mailbox(place, "annina@PEC.alfa.example")
    assert found is not None
    assert found.id == place.anna.mailbox_id
    keys = await place.storage.read(lambda connection: accounts.addresses_of(connection, place.anna.mailbox_id))
    assert keys == {"anna@alfa.example", "annina@pec.alfa.example"}
    assert await place.storage.read(lambda c: accounts.account_by_address(c, "annina@pec.alfa.example")) is None


async def test_several_addresses_are_looked_up_at_once(place: Place) -> None:
    asked = ["ANNA@alfa.example", "nobody@alfa.example", "bruno@pec.alfa.example"]
    found = await place.storage.read(lambda connection: accounts.mailboxes_of(connection, asked))
    assert {address: box.id for address, box in found.items()} == {
        "ANNA@alfa.example": place.anna.mailbox_id,
        "bruno@pec.alfa.example": place.bruno.mailbox_id,
    }


@pytest.mark.parametrize(
    "address",
    ["anna@ALFA.example", "annina@alfa.example", "abuse@alfa.example", "postmaster@pec.alfa.example", "x@beta.example"],
)
async def test_an_address_is_given_once(place: Place, address: str) -> None:
    await place.storage.write(
        lambda connection: accounts.add_alias(connection, "annina@alfa.example", place.anna.mailbox_id, AT)
    )
    with pytest.raises(AccountRefused):
        await place.storage.write(lambda c: accounts.add_account(c, NewAccount(address=address, at=AT)))
    with pytest.raises(AccountRefused):
        await place.storage.write(lambda c: accounts.add_alias(c, address, place.bruno.mailbox_id, AT))
    assert len(await place.storage.read(accounts.list_accounts)) == 3


async def test_a_domain_is_added_once(place: Place) -> None:
    assert not await place.storage.write(lambda connection: domains.add_domain(connection, "alfa.example", AT))
    assert await place.storage.read(domains.local_domains) == {"alfa.example", "pec.alfa.example"}


async def test_credentials_hold_password_devices_and_addresses(place: Place) -> None:
    def prepare(connection: Connection) -> None:
        accounts.set_password(connection, place.anna.id, "first hash", AT)
        accounts.set_password(connection, place.anna.id, "second hash", LATER)
        for lookup in ("aaaaaaaa", "bbbbbbbb"):
            devices.add_device(connection, place.anna.id, label=lookup, lookup=lookup, digest=b"d" * 32, at=AT)

    await place.storage.write(prepare)
    found = await place.storage.read(lambda connection: accounts.credentials_of(connection, "ANNA@alfa.example"))
    assert found is not None
    assert found.password == "second hash"
    assert found.devices == {"aaaaaaaa": b"d" * 32, "bbbbbbbb": b"d" * 32}
    assert found.addresses == {"anna@alfa.example"}
    assert found.account.changed_at == LATER
    assert "hash" not in repr(found)
    assert "dddd" not in repr(found)
    await place.storage.write(lambda c: devices.remove_device(c, place.anna.id, "aaaaaaaa", LATER + timedelta(1)))
    after = await place.storage.read(lambda connection: accounts.credentials_of(connection, "anna@alfa.example"))
    assert after is not None
    assert list(after.devices) == ["bbbbbbbb"]
    assert after.account.changed_at == LATER + timedelta(1)


async def test_a_device_of_one_is_not_removed_by_another(place: Place) -> None:
    await place.storage.write(
        lambda c: devices.add_device(c, place.anna.id, label="phone", lookup="aaaaaaaa", digest=b"d" * 32, at=AT)
    )
    assert not await place.storage.write(lambda c: devices.remove_device(c, place.bruno.id, "aaaaaaaa", AT))
    (left,) = await place.storage.read(lambda connection: devices.devices_of(connection, place.anna.id))
    assert (left.label, left.lookup, left.created_at) == ("phone", "aaaaaaaa", AT)


async def test_an_account_that_is_disabled_keeps_its_mailbox(place: Place) -> None:
    await place.storage.write(lambda c: accounts.set_active(c, place.anna.id, LATER, active=False))
    both = (place.anna.id, place.bruno.id, 999)
    assert await place.storage.read(lambda c: accounts.active_among(c, both)) == {place.bruno.id}
    found = await mailbox(place, "anna@alfa.example")
    assert found is not None
    assert found.active
    account = await place.storage.read(lambda connection: accounts.account_by_address(connection, "anna@alfa.example"))
    assert account is not None
    assert (account.active, account.changed_at) == (False, LATER)
