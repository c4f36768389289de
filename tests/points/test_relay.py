from datetime import timedelta
from itertools import product

import pytest

from gateway.points.relay import Consequence, Pauses, consequence, error_kind, may_expire, pause, reason
from receipts.wire import ErrorKind, MessageKind

SENDER = "anna@alfa.example"


def test_a_refused_envelope_to_a_certified_recipient_ends_in_a_notice() -> None:
    assert consequence(MessageKind.ENVELOPE, certified=True, reverse_path=SENDER) is Consequence.NOTICE


def test_a_refused_envelope_to_an_ordinary_recipient_bounces() -> None:
    assert consequence(MessageKind.ENVELOPE, certified=False, reverse_path=SENDER) is Consequence.BOUNCE


@pytest.mark.parametrize("certified", [True, False])
def test_nothing_but_an_envelope_ever_causes_a_message(certified: bool) -> None:
    for kind in (*MessageKind, "ordinary"):
        if kind != MessageKind.ENVELOPE:
            assert consequence(kind, certified=certified, reverse_path=SENDER) is Consequence.ALARM


def test_null_path_mail_never_causes_a_message() -> None:
    for kind, certified in product((*MessageKind, "ordinary"), (True, False)):
        assert consequence(kind, certified=certified, reverse_path="") is Consequence.ALARM


def test_only_certified_envelopes_never_expire() -> None:
    assert not may_expire(MessageKind.ENVELOPE, certified=True)
    assert may_expire(MessageKind.ENVELOPE, certified=False)
    assert may_expire(MessageKind.DELIVERY, certified=True)


def test_pauses_grow_stray_and_end_at_a_quarter_of_an_hour() -> None:
    pauses = Pauses()
    for reached in (True, False):
        middle = [pause(pauses, attempts, 0.5, reached=reached) for attempts in range(40)]
        assert middle == sorted(middle)
        assert middle[-1] == timedelta(minutes=15)
    assert pause(pauses, 0, 0.5, reached=False) == timedelta(seconds=2)
    assert pause(pauses, 0, 0.5, reached=True) == timedelta(seconds=15)
    assert pause(pauses, 3, 0.0, reached=False) == timedelta(seconds=12)
    assert pause(pauses, 3, 1.0, reached=False) == timedelta(seconds=20)


def test_pauses_are_those_that_the_operator_sets() -> None:
    pauses = Pauses(put_off=timedelta(seconds=1), longest=timedelta(seconds=3))
    assert [pause(pauses, attempts, 0.5, reached=True) for attempts in range(4)] == [
        timedelta(seconds=seconds) for seconds in (1, 2, 3, 3)
    ]
    assert pause(pauses, 0, 0.5, reached=False) == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("status", "routed", "code", "kind"),
    [
        ("5.1.2", False, 0, ErrorKind.NO_DOMAIN),
        ("5.1.10", False, 556, ErrorKind.NO_DOMAIN),
        ("5.4.4", False, 0, ErrorKind.NO_DOMAIN),
        ("5.1.1", True, 550, ErrorKind.NO_RECIPIENT),
        ("5.7.1", True, 550, ErrorKind.OTHER),
        ("5.1.2", True, 554, ErrorKind.OTHER),
        ("5.3.4", True, 552, ErrorKind.OTHER),
    ],
)
def test_the_kind_of_error_tells_domains_from_mailboxes(status: str, routed: bool, code: int, kind: ErrorKind) -> None:
    assert error_kind(status, routed=routed, code=code) is kind


def test_the_detail_has_the_form_that_providers_agreed_on() -> None:
    assert reason("5.1.1", "Alfa PEC").italian == "5.1.1 - Alfa PEC - indirizzo non valido"
    assert reason("5.9.9", "Alfa PEC").english == "5.9.9 - Alfa PEC - refused by the recipient's server"
