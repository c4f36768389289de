"""The branch table of the incoming point, and who may certify whom."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from gateway.points import incoming
from gateway.points.incoming import DECISIONS, Action, ArrivalKind, Scan, arrival_kind
from providers.directory import ProviderRecord
from receipts.facts import CertificationData, Recipient
from receipts.wire import CertificationType, MessageKind, RecipientKind

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
ALFA = ProviderRecord(
    name="Alfa PEC",
    unit=None,
    certificates=(),
    mail_receipt="posta-certificata@alfa.example",
    managed_domains=frozenset({"alfa.example", "studio.example"}),
    ldif_url=None,
    description=None,
)


def envelope_data(sender: str = "anna@alfa.example", at: datetime = AT) -> CertificationData:
    return CertificationData(
        type=CertificationType.ENVELOPE,
        sender=sender,
        recipients=(Recipient(address="bruno@beta.example", kind=RecipientKind.CERTIFIED),),
        reply_to=sender,
        subject="x",
        provider="Alfa PEC",
        at=at,
        pec_msgid="1@alfa.example",
    )


def test_every_arrival_has_a_decision() -> None:
    assert set(DECISIONS) == set(product(ArrivalKind, Scan))


@pytest.mark.req("IP-15", "DP-04")
def test_only_a_clean_or_infected_correct_envelope_earns_a_take_charge_receipt() -> None:
    earning = {arrival for (arrival, _), actions in DECISIONS.items() if Action.ISSUE_TAKE_CHARGE in actions}
    assert earning == {ArrivalKind.TRANSPORT_ENVELOPE}


@pytest.mark.req("IP-13")
@pytest.mark.parametrize("kind", [*MessageKind, None])
@pytest.mark.parametrize("conforms", [True, False])
def test_without_a_proven_origin_anything_is_ordinary_mail(kind: MessageKind | None, conforms: bool) -> None:
    assert arrival_kind(proven=False, kind=kind, conforms=conforms) is ArrivalKind.ORDINARY_MAIL


@pytest.mark.parametrize(
    ("kind", "conforms", "arrival"),
    [
        (MessageKind.ENVELOPE, True, ArrivalKind.TRANSPORT_ENVELOPE),
        (MessageKind.ENVELOPE, False, ArrivalKind.DAMAGED),
        (None, True, ArrivalKind.DAMAGED),
        (MessageKind.ANOMALY, True, ArrivalKind.DAMAGED),
        (MessageKind.TAKE_CHARGE, True, ArrivalKind.SERVICE_RECEIPT),
        (MessageKind.VIRUS, True, ArrivalKind.SERVICE_RECEIPT),
        (MessageKind.DELIVERY, True, ArrivalKind.RECEIPT),
        (MessageKind.NON_DELIVERY, True, ArrivalKind.RECEIPT),
        (MessageKind.TIMEOUT, True, ArrivalKind.RECEIPT),
        (MessageKind.DELIVERY, False, ArrivalKind.DAMAGED),
    ],
)
def test_a_proven_message_is_what_its_signed_data_say(
    kind: MessageKind | None, conforms: bool, arrival: ArrivalKind
) -> None:
    assert arrival_kind(proven=True, kind=kind, conforms=conforms) is arrival


@pytest.mark.req("IP-07", "IP-08")
@pytest.mark.parametrize(
    ("data", "reverse_path", "fault"),
    [
        (envelope_data(), "anna@alfa.example", None),
        (envelope_data(), "anna@ALFA.example", None),
        (envelope_data(), "carla@alfa.example", incoming.WRONG_SENDER),
        (envelope_data(), "", incoming.WRONG_SENDER),
        (envelope_data(sender="anna@gamma.example"), "anna@gamma.example", incoming.WRONG_DOMAIN),
        (envelope_data(sender="anna@sub.alfa.example"), "anna@sub.alfa.example", incoming.WRONG_DOMAIN),
        (envelope_data(at=AT - WEEK), "anna@alfa.example", None),
        (envelope_data(at=AT - WEEK - timedelta(seconds=1)), "anna@alfa.example", incoming.TOO_OLD),
        (envelope_data(at=AT + timedelta(hours=1)), "anna@alfa.example", None),
        (envelope_data(at=AT + timedelta(hours=1, seconds=1)), "anna@alfa.example", incoming.IN_THE_FUTURE),
    ],
)
def test_an_envelope_must_be_for_this_transaction(data: CertificationData, reverse_path: str, fault: object) -> None:
    assert incoming.transaction_fault(data, ALFA, reverse_path, at=AT, max_age=WEEK, max_ahead=HOUR) == fault


@pytest.mark.req("IP-07")
def test_a_recipient_must_stand_among_the_signed_ones() -> None:
    assert incoming.address_fault(envelope_data(), "BRUNO@Beta.Example") is None
    assert incoming.address_fault(envelope_data(), "dora@beta.example") == incoming.NOT_ADDRESSED


@pytest.mark.req("IP-08")
def test_a_signer_reports_only_on_the_domains_it_manages() -> None:
    assert incoming.may_report_on("x@Studio.example", ALFA)
    assert not incoming.may_report_on("x@beta.example", ALFA)
