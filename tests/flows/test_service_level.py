"""What a service level can count on: the answer to a submission is there when the submission is, and so is delivery."""

import pytest

from tests.flows.credentials import START
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen


@pytest.mark.req("QOS-05")
async def test_the_acceptance_is_there_when_the_submission_is_answered(alfa: Provider) -> None:
    """Whatever term is agreed with the holder: none of it is used up after the last byte came in."""
    await alfa.hand_in(original())
    receipt = next(stored for stored in alfa.mailbox("anna") if stored.kind == "acceptance")
    submission = next(row for row in alfa.register() if row.event == "submission")
    assert submission.at == START
    assert receipt.certified.message_id in submission.related


@pytest.mark.req("QOS-07")
async def test_sent_is_handed_in_and_delivered_is_in_the_mailbox_unread(network: Network) -> None:
    alfa, beta = network.providers
    outcome = await alfa.hand_in(original())
    assert alfa.states(outcome.pec_msgid) == {"bruno@beta.example": "accepted"}
    await network.carry()
    assert [stored.pec_msgid for stored in beta.mailbox("bruno")] == [outcome.pec_msgid]
    assert alfa.states(outcome.pec_msgid) == {"bruno@beta.example": "delivered"}


@pytest.mark.req("QOS-07")
async def test_what_is_not_in_the_mailbox_is_not_delivered(beta: Provider, pen: Pen) -> None:
    await beta.arrive(pen.envelope(pen.facts(["nessuno@beta.example"])), "nessuno@beta.example")
    assert [post.row.kind for post in beta.outbox()] == ["take-charge", "non-delivery"]
