"""The rows of the register: every fact that is asked for, unchanged ever after."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from gateway.storage import register
from gateway.storage.engine import Storage
from gateway.storage.register import Event, RegisterEntry

AT = datetime.now(UTC).replace(microsecond=123456)
ENTRY = RegisterEntry(
    event=Event.EMISSION,
    at=AT,
    pec_msgid="opec1.20260329@alfa.example",
    msgid="<1@client.example>",
    sender="anna@alfa.example",
    recipients=("bruno@beta.example", "carla@gamma.example"),
    subject="Perché no? \N{GRINNING FACE}",
    provider="Alfa PEC",
    related=("r1@alfa.example", "r2@alfa.example"),
    account="anna@alfa.example",
    detail="acceptance",
)


def appended(connection: Connection) -> None:
    register.append(connection, [ENTRY])


@pytest.mark.req("LOG-01")
async def test_a_row_keeps_every_fact_of_its_event(storage: Storage) -> None:
    await storage.write(appended)
    (row,) = await storage.read(lambda connection: register.rows_about(connection, "opec1.20260329@alfa.example"))
    assert row.event == "emission"
    assert row.pec_msgid == ENTRY.pec_msgid
    assert row.msgid == ENTRY.msgid
    assert row.at == ENTRY.at
    assert row.sender == ENTRY.sender
    assert row.recipients == ENTRY.recipients
    assert row.subject == ENTRY.subject
    assert row.related == ENTRY.related
    assert row.provider == ENTRY.provider
    assert row.account == ENTRY.account
    assert row.detail == ENTRY.detail


@pytest.mark.req("LOG-05")
async def test_the_time_of_a_row_is_that_of_its_transaction_to_the_microsecond(storage: Storage) -> None:
    rome = datetime.fromisoformat("2026-03-29T03:00:00.000001+02:00")
    await storage.write(
        lambda connection: register.append(connection, [RegisterEntry(event=Event.RECEPTION, at=rome, pec_msgid="x")])
    )
    (row,) = await storage.read(lambda connection: register.rows_about(connection, "x"))
    assert row.at == rome
    assert row.at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        RegisterEntry(event=Event.RECEPTION, at=AT.replace(tzinfo=None))


@pytest.mark.req("LOG-02")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE register SET subject = 'another'",
        "UPDATE register SET hash = hash",
        "DELETE FROM register",
        "DELETE FROM register WHERE event = 'emission'",
    ],
)
async def test_the_database_refuses_to_change_or_remove_a_row(storage: Storage, statement: str) -> None:
    await storage.write(appended)
    with pytest.raises(Exception, match="the register is"):
        await storage.write(lambda connection: connection.execute(text(statement)))
    (row,) = await storage.read(lambda connection: register.rows_about(connection, "opec1.20260329@alfa.example"))
    assert row.subject == ENTRY.subject


@pytest.mark.req("LOG-02")
async def test_the_register_cannot_be_emptied_at_once(storage: Storage) -> None:
    await storage.write(appended)
    if storage.dialect == "postgresql":
        with pytest.raises(Exception, match="30 months"):
            await storage.write(lambda connection: connection.execute(text("TRUNCATE register")))


@pytest.mark.req("LOG-02")
@pytest.mark.parametrize(("days", "kept"), [(900, 1), (930, 0)])
async def test_a_row_may_go_after_thirty_months(storage: Storage, days: int, kept: int) -> None:
    """30 months are 911 to 915 days."""
    entry = RegisterEntry(event=Event.DELIVERY, at=datetime.now(UTC) - timedelta(days=days), pec_msgid="old")
    await storage.write(lambda connection: register.append(connection, [entry]))
    removal = storage.write(lambda connection: connection.execute(text("DELETE FROM register")))
    if kept:
        with pytest.raises(Exception, match="30 months"):
            await removal
    else:
        await removal
    assert len(await storage.read(lambda connection: register.rows_about(connection, "old"))) == kept


@pytest.mark.req("LOG-03")
def test_reception_delivery_and_emission_are_events() -> None:
    assert {"reception", "delivery", "emission"} <= {event.value for event in Event}


@pytest.mark.parametrize("hostile", ["a\0b", "half \ud83d of a pair", "\r\nX-Ricevuta: accettazione", "x" * 100_000])
async def test_whatever_a_peer_writes_can_be_registered(storage: Storage, hostile: str) -> None:
    entry = RegisterEntry(event=Event.DEVIATION, at=AT, pec_msgid="h", subject=hostile, recipients=(hostile,))
    await storage.write(lambda connection: register.append(connection, [entry]))
    (row,) = await storage.read(lambda connection: register.rows_about(connection, "h"))
    assert row.subject is not None
    assert len(row.subject) == len(hostile)
    assert "\0" not in row.subject


def test_two_rows_that_differ_in_one_fact_have_different_hashes() -> None:
    """Also where the same text moves from one column to the next."""
    base = {"event": Event.ALARM, "at": AT}
    variants = [
        RegisterEntry(**base),
        RegisterEntry(**base, pec_msgid="x"),
        RegisterEntry(**base, msgid="x"),
        RegisterEntry(**base, sender="x"),
        RegisterEntry(**base, recipients=("x",)),
        RegisterEntry(**base, recipients=("x", "y")),
        RegisterEntry(**base, recipients=("x,y",)),
        RegisterEntry(**base, subject="x"),
        RegisterEntry(**base, provider="x"),
        RegisterEntry(**base, related=("x",)),
        RegisterEntry(**base, account="x"),
        RegisterEntry(**base, detail="x"),
        RegisterEntry(event=Event.RELAY, at=AT),
        RegisterEntry(event=Event.ALARM, at=AT + timedelta(microseconds=1)),
    ]
    assert len({entry.row["hash"] for entry in variants}) == len(variants)


@pytest.mark.req("LOG-02")
def test_a_person_is_hashed_where_there_is_one_and_other_rows_as_ever() -> None:
    """Rows of closed days were hashed before there was such a column."""
    before = json.dumps([ENTRY.row[name] for name in register.HASHED], ensure_ascii=False, separators=(",", ":"))
    assert ENTRY.row["hash"] == hashlib.sha256(before.encode()).digest()
    by_person = replace(ENTRY, person="Carla Neri")
    text_ = before.removesuffix("]") + ',"Carla Neri"]'
    assert by_person.row["hash"] == hashlib.sha256(text_.encode()).digest()


async def test_the_person_who_acted_comes_back(storage: Storage) -> None:
    await storage.write(lambda c: register.append(c, [replace(ENTRY, person="Carla Neri")]))
    (row,) = await storage.read(lambda c: register.rows_about(c, "opec1.20260329@alfa.example"))
    assert (row.account, row.person) == ("anna@alfa.example", "Carla Neri")
