"""Receipts and notices refuse to be written without what they state."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from receipts.acceptance import acceptance_receipt
from receipts.daticert import read_daticert
from receipts.delivery import delivery_receipt
from receipts.facts import CertificationData, Deadline, Recipient
from receipts.notices import non_acceptance_notice, non_delivery_notice, virus_notice
from receipts.octets import Octets
from receipts.scanner import decode_body, scan
from receipts.takecharge import take_charge_receipt
from receipts.timeout import timeout_notice
from receipts.wire import CertificationType, ErrorKind, ReceiptForm, RecipientKind
from receipts.writer import Boundaries, Unsealed

COMMON: dict[str, Any] = {
    "service_address": "posta-certificata@alfa.example",
    "message_id": "fresh@alfa.example",
    "boundaries": Boundaries("0123456789abcdef" * 2),
}
FULL = CertificationData(
    type=CertificationType.ENVELOPE,
    error=ErrorKind.OTHER,
    sender="anna@alfa.example",
    recipients=(Recipient(address="bruno@beta.example", kind=RecipientKind.CERTIFIED),),
    reply_to="studio@alfa.example",
    subject="Perizia\r\nX-Ricevuta: falsa",
    provider="Alfa PEC",
    at=datetime(2025, 2, 3, 9, 41, 7, tzinfo=timezone(timedelta(hours=1))),
    pec_msgid="abc@alfa.example",
    msgid="<17@client.example>",
    receipt_form=ReceiptForm.BRIEF,
    delivered_to="bruno@beta.example",
    taken_for=("bruno@beta.example",),
    error_text="5.1.1 - Alfa PEC - indirizzo non valido",
)
ORIGINAL = Octets.of(b"Subject: S\r\n\r\nTesto.\r\n")


def stated(message: Unsealed) -> CertificationData:
    part = scan(message.content).children[1]
    return read_daticert(decode_body(part, message.content))


def test_each_kind_states_its_own_facts_only() -> None:
    bare = replace(
        FULL, subject=None, error=ErrorKind.NONE, receipt_form=None, delivered_to=None, taken_for=(), error_text=None
    )
    facts = replace(FULL, subject=None)
    assert stated(acceptance_receipt(facts, **COMMON)) == replace(bare, type=CertificationType.ACCEPTANCE)
    assert stated(take_charge_receipt(facts, to="posta-certificata@beta.example", **COMMON)) == replace(
        bare, type=CertificationType.TAKE_CHARGE, taken_for=FULL.taken_for
    )
    assert stated(non_acceptance_notice(facts, **COMMON)) == replace(
        bare, type=CertificationType.NON_ACCEPTANCE, error=ErrorKind.OTHER, error_text=FULL.error_text
    )
    assert stated(non_delivery_notice(facts, **COMMON)) == replace(
        bare,
        type=CertificationType.NON_DELIVERY,
        error=ErrorKind.OTHER,
        error_text=FULL.error_text,
        delivered_to=FULL.delivered_to,
    )
    assert stated(virus_notice(facts, to="posta-certificata@alfa.example", **COMMON)) == replace(
        bare,
        type=CertificationType.VIRUS,
        error=ErrorKind.VIRUS,
        error_text=FULL.error_text,
        delivered_to=FULL.delivered_to,
    )
    concise = delivery_receipt(facts, form=ReceiptForm.CONCISE, original=None, **COMMON)
    assert stated(concise) == replace(
        bare, type=CertificationType.DELIVERY, receipt_form=ReceiptForm.BRIEF, delivered_to=FULL.delivered_to
    )


@pytest.mark.req("XML-02")
@pytest.mark.parametrize(
    ("error", "said"),
    [(ErrorKind.NONE, ErrorKind.OTHER), (ErrorKind.NO_DOMAIN, ErrorKind.OTHER), (ErrorKind.VIRUS, ErrorKind.VIRUS)],
)
def test_a_non_acceptance_notice_is_about_a_virus_or_about_something_else(error: ErrorKind, said: ErrorKind) -> None:
    assert stated(non_acceptance_notice(replace(FULL, error=error), **COMMON)).error is said


@pytest.mark.req("XML-02")
@pytest.mark.parametrize("error", [ErrorKind.NO_RECIPIENT, ErrorKind.NO_DOMAIN, ErrorKind.VIRUS, ErrorKind.OTHER])
def test_a_non_delivery_notice_keeps_the_error(error: ErrorKind) -> None:
    assert stated(non_delivery_notice(replace(FULL, error=error), **COMMON)).error is error


@pytest.mark.edge("A4")
@pytest.mark.req("XML-02", "HDR-10")
@pytest.mark.parametrize("deadline", Deadline)
def test_a_timeout_notice_states_the_recipient_and_another_error_and_goes_to_the_sender(deadline: Deadline) -> None:
    notice = timeout_notice(FULL, deadline, **COMMON)
    said = stated(notice)
    assert (said.type, said.error, said.delivered_to) == (
        CertificationType.TIMEOUT,
        ErrorKind.OTHER,
        FULL.delivered_to,
    )
    assert (said.error_text, said.taken_for, said.receipt_form) == (FULL.error_text, (), None)
    assert b"\r\nTo: anna@alfa.example\r\n" in notice.headers


@pytest.mark.req("HDR-11")
def test_a_take_charge_receipt_goes_to_the_other_providers_service_mailbox() -> None:
    message = take_charge_receipt(FULL, to="posta-certificata@beta.example", **COMMON)
    assert b"\r\nTo: posta-certificata@beta.example\r\n" in message.headers
    assert b"anna@alfa.example" not in message.headers


@pytest.mark.req("HDR-11", "HDR-07")
def test_a_virus_notice_goes_to_the_other_providers_service_mailbox_and_names_the_sender() -> None:
    message = virus_notice(FULL, to="posta-certificata@beta.example", **COMMON)
    assert b"\r\nTo: posta-certificata@beta.example\r\n" in message.headers
    assert b"\r\nX-Mittente: anna@alfa.example\r\n" in message.headers


@pytest.mark.req("DP-29")
@pytest.mark.parametrize("form", ReceiptForm)
def test_all_forms_have_one_marker_and_one_prefix(form: ReceiptForm) -> None:
    message = delivery_receipt(replace(FULL, subject="S"), form=form, original=ORIGINAL, **COMMON)
    assert b"\r\nSubject: CONSEGNA: S\r\nX-Ricevuta: avvenuta-consegna\r\n" in message.headers
    assert stated(message).receipt_form is ReceiptForm.BRIEF


@pytest.mark.req("DP-14")
def test_a_concise_receipt_carries_no_original_even_if_given_one() -> None:
    message = delivery_receipt(FULL, form=ReceiptForm.CONCISE, original=ORIGINAL, **COMMON)
    assert len(scan(message.content).children) == 2


@pytest.mark.parametrize("form", [ReceiptForm.COMPLETE, ReceiptForm.BRIEF])
def test_a_receipt_that_needs_the_original_is_not_written_without(form: ReceiptForm) -> None:
    with pytest.raises(ValueError):
        delivery_receipt(FULL, form=form, original=None, **COMMON)


def test_what_a_kind_must_state_is_not_left_out() -> None:
    with pytest.raises(ValueError):
        delivery_receipt(replace(FULL, delivered_to=None), form=ReceiptForm.CONCISE, original=None, **COMMON)
    with pytest.raises(ValueError):
        take_charge_receipt(replace(FULL, taken_for=()), to="posta-certificata@beta.example", **COMMON)
    with pytest.raises(ValueError):
        non_acceptance_notice(replace(FULL, error_text=None), **COMMON)
    for lacking in ({"error_text": ""}, {"delivered_to": None}):
        with pytest.raises(ValueError):
            timeout_notice(replace(FULL, **lacking), Deadline.FIRST, **COMMON)
    for lacking in ({"error": ErrorKind.NONE}, {"error_text": ""}, {"delivered_to": None}):
        with pytest.raises(ValueError):
            non_delivery_notice(replace(FULL, **lacking), **COMMON)
    for lacking in ({"error_text": ""}, {"error_text": None}, {"delivered_to": None}):
        with pytest.raises(ValueError):
            virus_notice(replace(FULL, **lacking), to="posta-certificata@beta.example", **COMMON)


@pytest.mark.req("SEC-07")
def test_a_subject_of_another_provider_writes_no_field() -> None:
    message = acceptance_receipt(FULL, **COMMON)
    assert message.headers.count(b"\r\nX-Ricevuta: ") == 1
    assert b"\r\nSubject: ACCETTAZIONE: Perizia X-Ricevuta: falsa\r\n" in message.headers


@pytest.mark.req("HDR-02")
@pytest.mark.parametrize("msgid", [None, "17@client.example", "<a b@c>", "<a@b>\r\nX-Ricevuta: c", f"<{'a' * 901}>"])
def test_an_identifier_that_no_header_can_hold_is_left_out(msgid: str | None) -> None:
    message = acceptance_receipt(replace(FULL, msgid=msgid), **COMMON)
    assert b"Riferimento" not in message.headers
    assert message.headers.count(b"\r\nX-Ricevuta: ") == 1


def test_an_address_that_no_header_can_hold_is_refused() -> None:
    with pytest.raises(ValueError):
        acceptance_receipt(replace(FULL, sender="anna@alfa.example\r\nCc: tutti@alfa.example"), **COMMON)
    with pytest.raises(ValueError):
        acceptance_receipt(replace(FULL, sender="annà@alfa.example"), **COMMON)


@pytest.mark.req("AP-21", "AP-27")
def test_one_acceptance_receipt_lists_every_recipient_with_its_kind() -> None:
    recipients = tuple(
        Recipient(address=f"u{index}@beta.example", kind=list(RecipientKind)[index % 2]) for index in range(500)
    )
    message = acceptance_receipt(replace(FULL, recipients=recipients), **COMMON)
    assert stated(message).recipients == recipients
    text = decode_body(scan(message.content).children[0].children[0], message.content).decode("iso-8859-1")
    words = {RecipientKind.CERTIFIED: "posta certificata", RecipientKind.EXTERNAL: "posta ordinaria"}
    assert all(f'{each.address} ("{words[each.kind]}")' in text for each in recipients)
