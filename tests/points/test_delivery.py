"""Who gets which form of delivery receipt: the whole table of spec section 6.1."""

import pytest

from gateway.points.delivery import Role, delivery_receipt_form, role_of
from receipts.wire import ReceiptForm

COMPLETE, BRIEF, CONCISE = ReceiptForm.COMPLETE, ReceiptForm.BRIEF, ReceiptForm.CONCISE


@pytest.mark.req("DP-12", "DP-14")
@pytest.mark.parametrize(
    ("requested", "role", "form"),
    [
        (COMPLETE, Role.PRIMARY, COMPLETE),
        (COMPLETE, Role.COPY, CONCISE),
        (BRIEF, Role.PRIMARY, BRIEF),
        (BRIEF, Role.COPY, CONCISE),
        (CONCISE, Role.PRIMARY, CONCISE),
        (CONCISE, Role.COPY, CONCISE),
    ],
)
def test_the_form_follows_what_was_asked_and_the_role(requested: ReceiptForm, role: Role, form: ReceiptForm) -> None:
    assert delivery_receipt_form(requested, role) is form


@pytest.mark.edge("E9")
@pytest.mark.req("DP-10", "DP-11")
@pytest.mark.parametrize(
    ("to", "cc", "role"),
    [
        ({"b@beta.example"}, set(), Role.PRIMARY),
        (set(), {"b@beta.example"}, Role.COPY),
        ({"b@beta.example"}, {"b@beta.example"}, Role.PRIMARY),
        (set(), set(), Role.PRIMARY),
        ({"x@beta.example"}, {"y@beta.example"}, Role.PRIMARY),
    ],
)
def test_only_a_recipient_in_cc_alone_is_a_copy(to: set[str], cc: set[str], role: Role) -> None:
    assert role_of("b@beta.example", to, cc) is role
