"""Every reply, once, in the right form."""

import logging

import pytest

from gateway.drivers.antivirus import ScannerUnavailable
from gateway.flows.outcomes import (
    Accepted,
    NotAccepted,
    RecipientAnswer,
    Refusal,
    Refused,
    SignInFailure,
    Taken,
)
from gateway.smtp import replies
from gateway.smtp.replies import Reply
from receipts.errors import GatewayError, SigningUnavailable, TemporaryError

ALL = {
    name: value
    for name, value in [
        *vars(replies).items(),
        *((str(key), reply) for key, reply in replies.REFUSALS.items()),
        *((str(key), reply) for key, reply in replies.RECIPIENTS.items()),
    ]
    if isinstance(value, Reply)
}


@pytest.mark.parametrize("reply", ALL.values(), ids=ALL)
def test_code_and_enhanced_code_agree(reply: Reply) -> None:
    assert 200 <= reply.code < 600
    if reply.code == 354:
        assert reply.status == ""
    else:
        assert reply.status[0] == str(reply.code)[0]
        assert reply.status.count(".") == 2
    assert reply.text.isprintable()
    assert len(bytes(reply)) <= 512
    assert bytes(reply).endswith(b"\r\n")


def test_each_outcome_has_its_reply() -> None:
    assert str(replies.submitted(Accepted("1@alfa.example"))) == "250 2.6.0 <1@alfa.example> accepted"
    notice = "250 2.6.0 <1@alfa.example> not accepted, notice issued"
    assert str(replies.submitted(NotAccepted("1@alfa.example"))) == notice
    assert replies.arrived(Taken()).code == 250
    answers = {why: str(replies.arrived(Refused(why)))[:9] for why in Refusal}
    assert answers == {
        Refusal.UNKNOWN_RECIPIENT: "550 5.1.1",
        Refusal.INFECTED: "554 5.7.1",
        Refusal.LOOP: "554 5.4.6",
        Refusal.POLICY: "550 5.7.1",
        Refusal.MAILBOX_FULL: "452 4.2.2",
    }
    assert {answer: str(replies.recipient(answer))[:9] for answer in RecipientAnswer} == {
        RecipientAnswer.WELCOME: "250 2.1.5",
        RecipientAnswer.NOT_LOCAL: "550 5.7.1",
        RecipientAnswer.UNKNOWN_MAILBOX: "550 5.1.1",
        RecipientAnswer.FULL: "452 4.2.2",
        RecipientAnswer.APART: "452 4.5.3",
    }
    assert {failure: str(replies.sign_in_failed(failure))[:9] for failure in SignInFailure} == {
        SignInFailure.WRONG: "535 5.7.8",
        SignInFailure.NEEDS_DEVICE: "534 5.7.9",
        SignInFailure.CLOSED: "535 5.7.8",
        SignInFailure.BUSY: "454 4.7.0",
        SignInFailure.TOO_MANY: "454 4.7.0",
    }


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (TemporaryError("x"), replies.TROUBLE),
        (SigningUnavailable("x"), replies.TROUBLE),
        (ScannerUnavailable("x"), replies.NOT_SCREENED),
        (GatewayError("x"), replies.FAILED),
        (ValueError("x"), replies.TROUBLE),
    ],
)
def test_each_error_has_its_reply_and_its_detail_in_the_log_alone(
    error: Exception, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert replies.reply_for(error) is reply
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("220 mx ESMTP", "220 mx ESMTP"),
        ("250 OK", "250 2.0.0 OK"),
        ("501 Too many values", "501 5.5.4 Too many values"),
        ("535 5.7.8 no", "535 5.7.8 no"),
        ("334 VXNlcm5hbWU6", "334 VXNlcm5hbWU6"),
        ("354 go", "354 go"),
        ("nonsense", "nonsense"),
    ],
)
def test_aiosmtpd_gets_enhanced_codes(line: str, expected: str) -> None:
    assert replies.enhanced(line) == expected
