"""What a receipt speaks of, and what it may change."""

from datetime import UTC, datetime

import pytest

from gateway.points.tracking import CHANGES, FINAL, RecipientState, reported_on
from receipts.facts import CertificationData, Recipient
from receipts.wire import CertificationType, MessageKind, RecipientKind

DATA = CertificationData(
    type=CertificationType.DELIVERY,
    sender="anna@alfa.example",
    recipients=tuple(Recipient(address=f"{name}@beta.example", kind=RecipientKind.CERTIFIED) for name in "abc"),
    reply_to="anna@alfa.example",
    subject=None,
    provider="Beta PEC",
    at=datetime(2026, 3, 2, tzinfo=UTC),
    pec_msgid="1@alfa.example",
    delivered_to="a@beta.example",
    taken_for=("b@beta.example", "c@beta.example"),
)


@pytest.mark.parametrize("kind", [kind for kind in MessageKind if kind is not MessageKind.TAKE_CHARGE])
def test_a_receipt_speaks_of_the_one_it_was_delivered_to(kind: MessageKind) -> None:
    assert reported_on(kind, DATA) == ("a@beta.example",)


def test_a_take_charge_receipt_speaks_of_those_it_covers() -> None:
    assert reported_on(MessageKind.TAKE_CHARGE, DATA) == ("b@beta.example", "c@beta.example")


@pytest.mark.req("TIM-14")
def test_nothing_leads_out_of_an_end() -> None:
    for to, from_states in CHANGES.values():
        assert FINAL.isdisjoint(from_states)
        assert to not in from_states
        assert RecipientState.EXTERNAL not in from_states


def test_a_take_charge_receipt_that_comes_late_takes_nothing_back() -> None:
    assert CHANGES[MessageKind.TAKE_CHARGE] == (RecipientState.TAKEN, frozenset({RecipientState.ACCEPTED}))
