"""What a message leaves in the registers of both its providers (RFC 6109 section 2.3)."""

import pytest

from gateway.flows.outcomes import Accepted
from gateway.storage import chain
from gateway.storage.register import RegisterRow
from tests.flows.house import Network, original

BRUNO, NOBODY = "bruno@beta.example", "nobody@beta.example"


async def travelled(network: Network) -> tuple[str, list[RegisterRow], list[RegisterRow]]:
    """Send a message to a mailbox and to none; its id and both registers' rows about it."""
    alfa, beta = network.providers
    outcome = await alfa.hand_in(original([BRUNO, NOBODY]), BRUNO, NOBODY)
    assert isinstance(outcome, Accepted)
    alfa.clock.pass_(seconds=90)
    await network.carry()
    return outcome.pec_msgid, alfa.register(), beta.register()


def emitted(rows: list[RegisterRow]) -> list[str | None]:
    return sorted(row.detail or "" for row in rows if row.event == "emission")


@pytest.mark.req("LOG-03")
async def test_reception_delivery_and_every_receipt_are_registered(network: Network) -> None:
    _, at_alfa, at_beta = await travelled(network)
    assert {"submission", "relay", "reception", "delivery", "tracking"} <= {row.event for row in at_alfa}
    assert emitted(at_alfa) == ["acceptance", "envelope"]
    assert {"reception", "delivery", "failure"} <= {row.event for row in at_beta}
    assert emitted(at_beta) == ["delivery", "non-delivery", "take-charge"]


@pytest.mark.req("LOG-01")
async def test_every_row_names_the_message_its_people_and_what_came_of_it(network: Network) -> None:
    pec_msgid, at_alfa, at_beta = await travelled(network)
    rows = at_alfa + at_beta
    assert {row.pec_msgid for row in rows} == {pec_msgid}
    assert {row.sender for row in rows} == {"anna@alfa.example", "posta-certificata@beta.example"}
    for row in (row for row in rows if row.event != "relay"):  # a hand-over of bytes: the id leads to the rest
        assert row.msgid == "<17@client.example>", row
        assert row.sender == "anna@alfa.example", row
        assert row.subject == "Perizia", row
        assert row.provider in {"Alfa PEC", "Beta PEC"}, row
        assert row.recipients, row
        assert set(row.recipients) <= {BRUNO, NOBODY}, row
        assert row.related or row.event != "emission", row
    made = {related for row in rows if row.event == "emission" for related in row.related}
    assert len(made) == 5, "two at alfa, three at beta, each with an id of its own"
    assert pec_msgid in made


@pytest.mark.req("LOG-05")
async def test_rows_bear_the_instant_of_their_transaction(network: Network) -> None:
    alfa, _ = network.providers
    began = alfa.clock.at
    _, at_alfa, at_beta = await travelled(network)
    assert {row.at for row in at_alfa if row.event in {"submission", "emission"}} == {began}
    assert {row.at for row in at_beta} == {alfa.clock.at}


@pytest.mark.req("LOG-02")
async def test_the_registers_are_whole_afterwards(network: Network) -> None:
    await travelled(network)
    for provider in network.providers:
        at = provider.clock.at
        linked = provider.storage.write_now(lambda connection, at=at: chain.link(connection, "node-1", at))
        audit = provider.storage.read_now(chain.verify)
        assert audit.whole
        assert (audit.links, audit.unlinked) == (linked, [])
        assert linked == len(provider.register())
