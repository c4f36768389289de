"""Every operation and its rows in the register, each once: the table that docs/register.md tells in words."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.storage.register import Event, RegisterRow
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen, altered

ANNA, BRUNO, CARLA, NOBODY = "anna@alfa.example", "bruno@beta.example", "carla@beta.example", "nessuno@beta.example"
SERVICE = "posta-certificata@alfa.example"
STRANGER = "x@mail.example"
AGAIN = "it came before: nothing is done again"


Operation = Callable[[Network], Awaitable[Provider]]
"""Does it, and gives the provider whose register tells of it; what came before is cut off."""


def alfa(network: Network) -> Provider:
    return network.providers[0]


def beta(network: Network) -> Provider:
    return network.providers[1]


async def accepted(network: Network) -> Provider:
    await alfa(network).hand_in(original())
    return alfa(network)


async def handed_in_again(network: Network) -> Provider:
    for _ in range(2):
        await alfa(network).hand_in(original())
    return alfa(network)


async def not_accepted(network: Network) -> Provider:
    await alfa(network).hand_in(original(), "nascosto@beta.example")
    return alfa(network)


async def taken_over(network: Network) -> Provider:
    await alfa(network).hand_in(original())
    await network.step()
    return alfa(network)


async def answered(network: Network) -> Provider:
    await alfa(network).hand_in(original())
    await network.carry()
    return alfa(network)


async def refused_by_an_ordinary_server(network: Network) -> Provider:
    network.refused.add(STRANGER)
    await alfa(network).hand_in(original([STRANGER]), STRANGER)
    await network.step()
    return alfa(network)


async def an_envelope(network: Network) -> Provider:
    await beta(network).arrive(Pen().envelope(Pen().facts([BRUNO, NOBODY])), BRUNO, NOBODY)
    return beta(network)


async def an_envelope_twice(network: Network) -> Provider:
    pen = Pen()
    raw = pen.envelope(pen.facts([BRUNO]))
    await beta(network).arrive(raw, BRUNO)
    await beta(network).arrive(raw, BRUNO)
    return beta(network)


async def a_damaged_envelope(network: Network) -> Provider:
    pen = Pen()
    raw = pen.resealed(pen.envelope(pen.facts([BRUNO])), headers=altered("X-Trasporto", "X-Trasportato"))
    await beta(network).arrive(raw, BRUNO)
    return beta(network)


async def ordinary_mail(network: Network) -> Provider:
    await beta(network).arrive(original([BRUNO], sender=STRANGER), BRUNO, reverse_path=STRANGER)
    return beta(network)


async def ordinary_mail_for_nobody(network: Network) -> Provider:
    await beta(network).arrive(original([NOBODY], sender=STRANGER), NOBODY, reverse_path=STRANGER)
    return beta(network)


async def a_receipt_that_comes_again(network: Network) -> Provider:
    outcome = await alfa(network).hand_in(original())
    pen = Pen("beta.example")
    data = pen.facts([BRUNO], sender=ANNA, pec_msgid=outcome.pec_msgid)
    raw = pen.delivery(data, BRUNO)
    for _ in range(2):
        await alfa(network).arrive(raw, ANNA, reverse_path=pen.service_address)
    return alfa(network)


async def a_receipt_of_a_stranger_to_the_domain(network: Network) -> Provider:
    outcome = await alfa(network).hand_in(original())
    pen = Pen("gamma.example")
    data = pen.facts([BRUNO], sender=ANNA, pec_msgid=outcome.pec_msgid)
    await alfa(network).arrive(pen.delivery(data, BRUNO), ANNA, reverse_path=pen.service_address)
    return alfa(network)


async def no_answer_for_a_day(network: Network) -> Provider:
    await alfa(network).hand_in(original())
    alfa(network).clock.pass_(hours=12, minutes=1)
    await alfa(network).expire()
    alfa(network).clock.pass_(hours=11)
    await alfa(network).expire()
    return alfa(network)


ACCEPTED = [("submission", None), ("emission", "acceptance"), ("emission", "envelope")]
WRAPPED = [("emission", "anomaly"), ("delivery", "anomaly")]
TABLE: dict[Operation, list[tuple[str, str | None]]] = {
    accepted: ACCEPTED,
    handed_in_again: [*ACCEPTED, ("submission", AGAIN)],
    not_accepted: [("refusal", "Il destinatario nascosto@beta.example non compare"), ("emission", "non-acceptance")],
    taken_over: [*ACCEPTED, ("relay", "envelope")],
    answered: [
        *ACCEPTED,
        ("relay", "envelope"),
        ("reception", "take-charge"),
        ("delivery", f"take-charge to {SERVICE}"),
        ("tracking", "taken"),
        ("reception", "delivery"),
        ("delivery", f"delivery to {ANNA}"),
        ("tracking", "delivered"),
    ],
    refused_by_an_ordinary_server: [*ACCEPTED, ("failure", "550 no such user")],
    an_envelope: [
        ("reception", "envelope"),
        ("emission", "take-charge"),
        ("delivery", "envelope"),
        ("emission", "delivery"),
        ("failure", "envelope"),
        ("emission", "non-delivery"),
    ],
    an_envelope_twice: [
        ("reception", "envelope"),
        ("emission", "take-charge"),
        ("delivery", "envelope"),
        ("emission", "delivery"),
        ("reception", AGAIN),
    ],
    a_damaged_envelope: [("reception", "damaged: Message format not conformant"), *WRAPPED],
    ordinary_mail: [("reception", "ordinary mail: Signature missing or not authentic"), *WRAPPED],
    ordinary_mail_for_nobody: [],  # it was refused: nothing was taken
    a_receipt_that_comes_again: [
        *ACCEPTED,
        ("reception", "delivery"),
        ("delivery", f"delivery to {ANNA}"),
        ("tracking", "delivered"),
        ("reception", AGAIN),
    ],
    a_receipt_of_a_stranger_to_the_domain: [
        *ACCEPTED,
        ("reception", "delivery"),
        ("alarm", "delivery from a provider that does not manage the recipient"),
        ("delivery", f"delivery to {ANNA}"),
    ],
    no_answer_for_a_day: [
        *ACCEPTED,
        ("emission", "timeout"),
        ("emission", "timeout"),
        ("tracking", "timed-out"),
    ],
}


@pytest.mark.req("LOG-01", "LOG-03")
@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.__name__)
async def test_each_operation_has_its_rows(network: Network, operation: Operation) -> None:
    rows = (await operation(network)).register()
    expected = TABLE[operation]
    told = []
    for row, (_, said) in zip(rows, expected, strict=True):
        detail = row.detail if said is None else (row.detail or "")[: len(said)]
        told.append((row.event, detail))
    assert told == expected


@pytest.mark.req("LOG-01")
@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.__name__)
async def test_each_row_has_the_facts(network: Network, operation: Operation) -> None:
    """Sender, recipients, subject, Message-ID and instant always; the PEC msgid and provider where they are proven."""
    provider = await operation(network)
    for row in provider.register():
        assert row.at <= provider.clock.at
        assert row.sender in (ANNA, STRANGER, SERVICE)
        assert row.recipients
        assert row.subject in ("Perizia", "POSTA CERTIFICATA: Perizia")
        assert row.msgid
        proven = operation is not ordinary_mail
        assert (row.provider is not None) is proven
        assert (row.pec_msgid is not None) is (proven and operation is not a_damaged_envelope)


@pytest.mark.req("LOG-01")
async def test_no_message_is_made_without_its_id_in_the_register(network: Network) -> None:
    """Whatever the program itself wrote and filed or sent, once each: envelopes, receipts, notices, bounces."""
    network.refused.add(STRANGER)
    to = (BRUNO, NOBODY, "carla@alfa.example", STRANGER)
    await alfa(network).hand_in(original(to), *to)
    await network.carry()
    made = Counter(one for each in network.providers for row in each.register() for one in _made_by(row))
    filed = {
        stored.certified.message_id
        for each in network.providers
        for name in each.people
        for stored in each.mailbox(name)
        if stored.kind not in {"sent", "anomaly"}  # an anomaly envelope keeps the identifier of what is in it
    }
    assert filed <= set(made)
    assert set(made.values()) == {1}
    (failure,) = [row for row in alfa(network).register() if (row.event, row.recipients) == ("failure", (STRANGER,))]
    assert len(failure.related) == 1, "the bounce"


def _made_by(row: RegisterRow) -> tuple[str, ...]:
    """The other rows about a message name it once more: what was handed in, delivered, failed."""
    return row.related if row.event == "emission" else ()


def test_the_page_names_every_event() -> None:
    page = (Path(__file__).parents[2] / "docs" / "register.md").read_text()
    table = page.split("## What is registered")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `([a-z ]+)` \|", table, re.MULTILINE)) == sorted(event.value for event in Event)
