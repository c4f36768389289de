"""Mail that no program should have to read: submitted, and arriving as ordinary mail."""

import secrets
import time
from pathlib import Path

import pytest

from tests.hostile.boxes import Inbox
from tests.hostile.mail import BODIES, HEADERS, Body
from tests.hostile.talk import Answer, Talk
from tests.lab.labs import Lab
from tests.lab.mail import openssl_verifies

pytestmark = pytest.mark.lab

SENDER, RECIPIENT, STRANGER = "anna@alfa.example", "anna@beta.example", "qualcuno@mail.example"
ANSWER_SECONDS = 20
"""A message of at most 3 MB is decided in this time, on a busy machine too."""


def by_name(cases: dict[str, Body]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def submit(lab: Lab, message: bytes) -> Answer:
    account, ports = lab.account(SENDER), lab.provider("alfa.example")["ports"]
    with Talk(ports["submissions"], context=lab.context()) as talk:
        talk.greeted().signed_in(account.address, account.password).begin(SENDER, [RECIPIENT])
        began = time.monotonic()
        answer = talk.data(message)
        assert time.monotonic() - began < ANSWER_SECONDS
        return answer


def deliver(lab: Lab, message: bytes) -> Answer:
    with Talk(lab.provider("alfa.example")["ports"]["smtp"]) as talk:
        talk.greeted().begin(STRANGER, [SENDER])
        began = time.monotonic()
        answer = talk.chunk(message)
        assert time.monotonic() - began < ANSWER_SECONDS
        return answer


def good_header(token: str, form: str) -> str:
    return (
        f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nMessage-ID: <{token}@client.example>\r\nX-TipoRicevuta: {form}\r\n"
        "MIME-Version: 1.0\r\n"
    )


@pytest.mark.parametrize("form", ["completa", "breve"])
@by_name(BODIES)
def test_a_strange_body_travels_and_is_answered(lab: Lab, case: Body, form: str, tmp_path: Path) -> None:
    token = secrets.token_hex(8)
    answer = submit(lab, (good_header(token, form) + case(token)).encode("latin-1"))
    assert answer.code == 250
    assert answer.text.endswith("> accepted")
    receipt = Inbox(lab, SENDER).wait(
        lambda raw: b"X-Ricevuta: avvenuta-consegna" in raw and token.encode() in raw, "delivery receipt"
    )
    arrived = Inbox(lab, RECIPIENT).wait(lambda raw: token.encode() in raw, "envelope")
    assert b"\r\nX-Trasporto: posta-certificata\r\n" in arrived
    for sealed in (receipt, arrived):
        openssl_verifies(sealed, lab.description["email_ca_file"], tmp_path)


@pytest.mark.req("AP-10")
@by_name(HEADERS)
def test_a_header_that_is_none_is_not_accepted(lab: Lab, case: Body) -> None:
    token = secrets.token_hex(8)
    answer = submit(lab, (good_header(token, "completa") + case(token)).encode("latin-1"))
    assert answer.code == 250
    pec_msgid, _, outcome = answer.text.removeprefix("2.6.0 <").partition("> ")
    assert outcome == "not accepted, notice issued"
    notice = Inbox(lab, SENDER).wait(lambda raw: pec_msgid.encode() in raw, "notice")
    assert b"\r\nX-Ricevuta: non-accettazione\r\n" in notice
    assert len(notice) < 100_000


@by_name(BODIES | HEADERS)
def test_strange_mail_from_outside_arrives_in_an_anomaly_envelope(lab: Lab, case: Body, tmp_path: Path) -> None:
    token = secrets.token_hex(8)
    message = (f"From: {STRANGER}\r\nTo: {SENDER}\r\n" + case(token)).encode("latin-1")
    answer = deliver(lab, message)
    assert (answer.code, answer.text[:5]) == (250, "2.0.0")
    arrived = Inbox(lab, SENDER).wait(lambda raw: token.encode() in raw, "anomaly envelope")
    assert b"\r\nX-Trasporto: errore\r\n" in arrived[:1_500_000]
    assert message in arrived, "what arrived is inside, byte for byte"
    openssl_verifies(arrived, lab.description["email_ca_file"], tmp_path)


@pytest.mark.parametrize(
    "message", [b"", b"\r\n", b"\r\n\r\n", b"x", b".", b"no mail at all\r\n" * 1_000, b"\xff" * 900]
)
def test_what_is_no_mail_arrives_in_an_anomaly_envelope(lab: Lab, message: bytes) -> None:
    inbox = Inbox(lab, SENDER)
    inbox.all()
    assert deliver(lab, message).code == 250
    arrived = inbox.wait(lambda raw: b"X-Trasporto: errore" in raw, "anomaly envelope")
    assert message in arrived


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_refused(lab: Lab, seed: int) -> None:
    """Bare CR, bare LF and NUL are no lines of mail (D11)."""
    message = b"From: a@mail.example\r\n\r\n" + secrets.token_bytes(50_000) + b"\n\0\r."
    answer = deliver(lab, message)
    assert (answer.code, answer.text[:5]) == (554, "5.6.0")
