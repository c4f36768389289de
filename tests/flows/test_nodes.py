"""Two processes of one provider over one PostgreSQL: what reaches both at once is done once."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.flows.outcomes import Accepted, Taken
from gateway.storage.engine import Storage
from tests.flows.house import CountedIds, Provider, original
from tests.flows.pens import Pen

BRUNO, CARLA = "bruno@beta.example", "carla@beta.example"
ROUNDS = 8


@pytest.fixture
def storages(postgresql_url: str) -> Iterator[tuple[Storage, Storage]]:
    opened = Storage.open(postgresql_url), Storage.open(postgresql_url)
    yield opened
    for each in opened:
        each.close()


def nodes(domain: str, storages: tuple[Storage, Storage]) -> tuple[Provider, Provider]:
    first = Provider(domain, storages[0])
    second = Provider(domain, storages[1], twin_of=first)
    second.ids = CountedIds("twin")
    second.issuer = type(second.issuer)(second.identity, Pen(domain).signer, second.ids)
    second.wire()
    return first, second


async def test_an_envelope_is_delivered_once(storages: tuple[Storage, Storage]) -> None:
    one, other = nodes("beta.example", storages)
    pen = Pen("alfa.example")
    for number in range(1, ROUNDS + 1):
        raw = pen.envelope(pen.facts([BRUNO, CARLA]))
        answers = await asyncio.gather(
            one.arrive(raw, BRUNO, CARLA), other.arrive(raw, CARLA, BRUNO), one.arrive(raw, CARLA), other.arrive(raw)
        )
        assert set(answers) == {Taken()}
        assert one.kinds("bruno") == one.kinds("carla") == ["envelope"] * number
    assert len([post for post in one.outbox() if post.row.kind == "delivery"]) == 2 * ROUNDS


async def test_a_submission_is_accepted_once(storages: tuple[Storage, Storage]) -> None:
    one, other = nodes("alfa.example", storages)
    for number in range(1, ROUNDS + 1):
        raw = original(msgid=f"<{number}@client.example>")
        outcomes = await asyncio.gather(one.hand_in(raw), other.hand_in(raw), one.hand_in(raw))
        assert len(set(outcomes)) == 1
        assert isinstance(outcomes[0], Accepted)
        assert one.kinds("anna") == ["acceptance", "sent"] * number
    assert len(one.outbox()) == ROUNDS


async def test_a_state_ends_once(storages: tuple[Storage, Storage]) -> None:
    """A delivery receipt and a non-delivery notice at the same moment: one of them is first."""
    one, other = nodes("alfa.example", storages)
    beta = Pen("beta.example")
    for number in range(1, ROUNDS + 1):
        outcome = await one.hand_in(original(msgid=f"<{number}@client.example>"))
        data = beta.facts([BRUNO], sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
        good, bad = beta.delivery(data, BRUNO), beta.non_delivery(data, BRUNO)
        to = "anna@alfa.example"
        await asyncio.gather(one.arrive(good, to), other.arrive(bad, to), other.arrive(good, to), one.arrive(bad, to))
        tracking = [row for row in one.register() if row.event == "tracking" and row.pec_msgid == outcome.pec_msgid]
        assert [row.detail for row in tracking] == [one.states(outcome.pec_msgid)[BRUNO]]
        assert sorted(one.kinds("anna")[-2:]) == ["delivery", "non-delivery"]
