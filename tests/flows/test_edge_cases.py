"""Edge cases that no other file has a place for; docs/edge-cases.md and docs/decisions.md name them all."""

import pytest

from tests.flows.house import Network, original


@pytest.mark.edge("O12")
@pytest.mark.parametrize(
    ("to", "cc"),
    [
        (["bruno@beta.example"], ["Bruno@BETA.example"]),
        (["bruno@beta.example", '"Bruno" <bruno@beta.example>'], []),
        (["Tutti: bruno@beta.example;"], ["bruno@beta.example"]),
    ],
)
async def test_a_recipient_named_twice_is_one(network: Network, to: list[str], cc: list[str]) -> None:
    """However often, and in whatever spelling: one path, one envelope, one receipt, in the form of a primary one."""
    alfa, beta = network.providers
    await alfa.hand_in(original(to, cc), "bruno@beta.example", "Bruno@beta.example")
    await network.carry()
    [envelope] = [stored.certified for stored in beta.mailbox("bruno")]
    assert list(envelope.recipients) == ["bruno@beta.example"]
    [receipt] = [stored.certified for stored in alfa.mailbox("anna") if stored.kind == "delivery"]
    assert receipt.said("consegna") == "bruno@beta.example"
    assert receipt.original is not None
