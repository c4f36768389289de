"""What happens to messages that travel through a whole lab: exactly the receipts that RFC 6109 asks for."""

import smtplib
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab.boxes import Mailbox
from tests.lab.census import KINDS_OF_THIS_RELEASE, summary, take_census
from tests.lab.labs import Lab, letter
from tests.lab.mail import CertifiedMail
from tests.lab.tracing import FINAL, standing
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

SENDER = "anna@alfa.example"
FIRST, COPY, NEIGHBOUR = "anna@beta.example", "bruno@beta.example", "bruno@alfa.example"
UNKNOWN, ORDINARY, NOBODY = "nessuno@beta.example", "amico@mail.example", "nobody@mail.example"
ELSEWHERE = "qualcuno@altrove.example"


class Sent(NamedTuple):
    """A message that was handed in, and what is wanted of it."""

    msgid: str
    subject: str


def answers(box: Mailbox, sent: Sent, count: int) -> list[CertifiedMail]:
    """All certified messages about ``sent`` once there are ``count``."""
    return until(lambda: found if len(found := box.about(sent.msgid)) >= count else None, f"{count} answers")


def report(mail: CertifiedMail) -> tuple[str, str | None]:
    return mail.kind, mail.delivered_to if mail.kind != "T1 acceptance" else None


def attached(message: EmailMessage) -> EmailMessage:
    message.add_attachment(b"%PDF-1.4 fattura", maintype="application", subtype="pdf", filename="fattura.pdf")
    return message


def asking(message: EmailMessage, form: str) -> EmailMessage:
    message["X-TipoRicevuta"] = form
    return message


@pytest.fixture(scope="module")
def five(lab: Lab) -> Sent:
    """A message to five: two of the other provider, one of the same, one that does not exist, one ordinary."""
    message = letter(SENDER, to=[FIRST, NEIGHBOUR, UNKNOWN, ORDINARY], cc=[COPY], subject="Cinque destinatari")
    return Sent(lab.send(attached(message)), "Cinque destinatari")


@pytest.fixture(scope="module")
def answered(lab: Lab, five: Sent) -> list[CertifiedMail]:
    """What its sender has got: acceptance, three delivery receipts, one non-delivery notice."""
    return answers(lab.mailbox(SENDER), five, 5)


@pytest.mark.req("AP-27", "RC-07", "DP-07", "EN-16")
def test_the_sender_gets_exactly_the_receipts_that_are_due(answered: list[CertifiedMail]) -> None:
    assert Counter(map(report, answered)) == Counter(
        [
            ("T1 acceptance", None),
            ("T9 delivery, complete", FIRST),
            ("T9 delivery, concise", COPY),
            ("T9 delivery, complete", NEIGHBOUR),
            ("T10 non-delivery", UNKNOWN),
        ]
    )


@pytest.mark.req("AP-20", "MID-06")
def test_all_speak_of_the_same_message_and_the_same_recipients(answered: list[CertifiedMail]) -> None:
    assert len({mail.pec_msgid for mail in answered}) == 1
    for mail in answered:
        assert mail.data is not None
        kinds = {one.text: one.get("tipo") for one in mail.data.iterfind("intestazione/destinatari")}
        assert kinds == {**dict.fromkeys([FIRST, COPY, NEIGHBOUR, UNKNOWN], "certificato"), ORDINARY: "esterno"}


def test_the_notice_of_non_delivery_says_why(answered: list[CertifiedMail]) -> None:
    (notice,) = (mail for mail in answered if mail.kind == "T10 non-delivery")
    assert notice.data is not None
    assert notice.data.get("errore") == "no-dest"
    assert notice.value("dati/errore-esteso") == "5.1.1 - Beta PEC - indirizzo non valido"
    assert "5.1.1 - Beta PEC - indirizzo non valido" in notice.text


@pytest.mark.req("RC-08", "RC-09", "DP-08", "HDR-11")
def test_take_charge_receipts_go_to_the_service_mailbox_one_a_transaction(
    lab: Lab, five: Sent, answered: list[CertifiedMail]
) -> None:
    receipts = until(
        lambda: found if len(found := lab.service_mailbox("alfa.example").about(five.msgid)) >= 2 else None,
        "two take-charge receipts",
    )
    assert {mail.kind for mail in receipts} == {"T5 take-charge"}
    assert sorted(sorted(mail.taken_for) for mail in receipts) == [[FIRST, COPY, UNKNOWN], [NEIGHBOUR]]
    assert {str(mail.message["To"]) for mail in receipts} == {"posta-certificata@alfa.example"}


@pytest.mark.req("EN-14", "DP-02", "AP-22")
def test_everybody_who_exists_has_the_same_envelope_once(lab: Lab, five: Sent, answered: list[CertifiedMail]) -> None:
    boxes = [*map(lab.mailbox, (FIRST, COPY, NEIGHBOUR)), lab.ordinary()]
    found = [until(lambda box=box: box.about(five.msgid), f"envelope in {box}") for box in boxes]
    assert [[mail.kind for mail in mails] for mails in found] == [["T4 envelope"]] * 4
    sealed = {mail.raw[mail.raw.index(b"\r\nX-Trasporto: posta-certificata\r\n") :] for (mail,) in found}
    assert len(sealed) == 1
    (envelope,) = found[0]
    assert envelope.return_path == f"<{SENDER}>"
    assert envelope.pec_msgid == answered[0].pec_msgid


def test_there_is_one_final_state_for_each_certified_recipient(
    lab: Lab, five: Sent, answered: list[CertifiedMail]
) -> None:
    states = {address: row["state"] for address, row in standing(lab, "alfa.example", five.msgid).items()}
    delivered = dict.fromkeys([FIRST, COPY, NEIGHBOUR], "delivered")
    assert states == {**delivered, UNKNOWN: "failed", ORDINARY: "external"}
    assert len([state for state in states.values() if state in FINAL]) == 4


@pytest.mark.parametrize(
    ("address", "status"), [(NOBODY, "5.1.1"), (ELSEWHERE, "5.1.2")], ids=["no mailbox", "outside the lab"]
)
def test_what_an_ordinary_recipient_refuses_comes_back_in_an_anomaly_envelope(
    lab: Lab, address: str, status: str
) -> None:
    subject = f"Respinto {status}"
    msgid = lab.send(letter(SENDER, to=[FIRST, address], subject=subject))
    box = lab.mailbox(SENDER)
    anomaly = box.wait(lambda mail: mail.kind == "T6 anomaly" and msgid in mail.raw.decode("latin-1"), "anomaly")
    bounce = anomaly.original
    assert bounce is not None
    report_part = next(part for part in bounce.walk() if part.get_content_type() == "message/delivery-status")
    fields = [block for block in report_part.get_payload() if not isinstance(block, str)]
    (about,) = (block for block in fields if "Final-Recipient" in block)
    assert about["Final-Recipient"] == f"rfc822; {address}"
    assert (about["Action"], str(about["Status"])) == ("failed", status)
    assert "dati non sono stati certificati" in " ".join(anomaly.text.split())
    answers(box, Sent(msgid, subject), 2)
    assert {mail.kind for mail in box.about(msgid)} == {"T1 acceptance", "T9 delivery, complete"}
    assert standing(lab, "alfa.example", msgid)[address]["state"] == "external"


@pytest.mark.parametrize(
    ("asked", "primary"),
    [("completa", "complete"), ("breve", "brief"), ("sintetica", "concise"), ("altro", "complete")],
)
@pytest.mark.req("DP-10", "DP-12")
def test_the_form_of_the_receipt_is_what_the_sender_asked_and_concise_for_copies(
    lab: Lab, asked: str, primary: str
) -> None:
    sender = "carla@beta.example"
    message = letter(sender, to=["anna@alfa.example"], cc=["bruno@alfa.example"], subject=f"Forma {asked}")
    sent = Sent(lab.send(asking(attached(message), asked)), "")
    found = answers(lab.mailbox(sender), sent, 3)
    assert {report(mail) for mail in found} == {
        ("T1 acceptance", None),
        (f"T9 delivery, {primary}", "anna@alfa.example"),
        ("T9 delivery, concise", "bruno@alfa.example"),
    }
    names = {part.get_filename() for mail in found for part in mail.message.walk()}
    assert ("fattura.pdf" in names) is (primary == "complete")
    assert ("fattura.pdf.hash" in names) is (primary == "brief")


@pytest.mark.req("AP-17")
def test_a_faulty_message_earns_a_notice_and_goes_to_nobody(lab: Lab) -> None:
    message = letter(SENDER, to=[FIRST], subject="Con copia nascosta")
    msgid = str(message["Message-ID"])
    with lab.submission(SENDER) as client:
        client.mail(SENDER)
        client.rcpt(FIRST)
        client.rcpt(COPY)  # stands neither in To nor in Cc
        code, text = client.data(message.as_bytes(policy=SMTP))
    assert (code, text[:6]) == (250, b"2.6.0 ")
    (notice,) = lab.mailbox(SENDER).about(msgid)
    assert notice.kind == "T2 non-acceptance"
    assert COPY in (notice.value("dati/errore-esteso") or "")
    # what is handed in later arrives, and this has still not
    later = lab.send(letter(SENDER, to=[FIRST, COPY], subject="Dopo"))
    answers(lab.mailbox(SENDER), Sent(later, "Dopo"), 3)
    assert [box.about(msgid) for box in map(lab.mailbox, (FIRST, COPY))] == [[], []]


@pytest.mark.req("IP-10")
@pytest.mark.parametrize("secured", [False, True], ids=["in clear", "STARTTLS"])
def test_mail_of_an_ordinary_server_arrives_in_an_anomaly_envelope(lab: Lab, secured: bool) -> None:
    message = letter(ORDINARY, to=[FIRST], subject=f"Posta ordinaria {secured}")
    with smtplib.SMTP("localhost", lab.provider("beta.example")["ports"]["smtp"], timeout=60) as client:
        client.ehlo("mail.example")
        assert client.has_extn("starttls")
        if secured:
            client.starttls(context=lab.context())
        client.send_message(message)
    anomaly = lab.mailbox(FIRST).wait(
        lambda mail: mail.subject == f"ANOMALIA MESSAGGIO: {message['Subject']}", "anomaly envelope"
    )
    assert anomaly.message["From"].addresses[0].display_name == f"Per conto di: {ORDINARY}"
    assert anomaly.return_path == f"<{ORDINARY}>"


@pytest.mark.req("QOS-01")
def test_fifty_recipients_are_possible(lab: Lab) -> None:
    sender = "carla@alfa.example"
    to = [f"persona{number}@beta.example" for number in range(49)] + ["carla@beta.example"]
    sent = Sent(lab.send(letter(sender, to=to, subject="A cinquanta")), "")
    found = answers(lab.mailbox(sender), sent, 51)
    assert Counter(mail.kind for mail in found) == {
        "T1 acceptance": 1,
        "T9 delivery, complete": 1,
        "T10 non-delivery": 49,
    }


@pytest.fixture
def every_kind(lab: Lab, answered: list[CertifiedMail]) -> None:
    """At least one message of each kind has arrived, whatever other tests have run."""
    brief = lab.send(asking(letter(SENDER, to=[FIRST], subject="Breve"), "breve"))
    bounced = lab.send(letter(SENDER, to=[NOBODY], subject="Respinto"))
    refused = letter(SENDER, to=[FIRST], subject="Da un altro")
    with lab.submission(SENDER) as client:
        client.sendmail(SENDER, [COPY], refused.as_bytes(policy=SMTP))
    box = lab.mailbox(SENDER)
    box.wait(lambda mail: mail.reference == brief and mail.kind == "T9 delivery, brief", "brief receipt")
    box.wait(lambda mail: mail.kind == "T6 anomaly" and bounced in mail.raw.decode("latin-1"), "anomaly envelope")


@pytest.mark.req("SIG-01")
def test_openssl_verifies_every_certified_message_and_no_kind_is_missing(
    lab: Lab, every_kind: None, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    counts = take_census(lab, tmp_path)
    record_property("shown at the end", summary(counts))
    assert [kind for kind in KINDS_OF_THIS_RELEASE if not counts[kind]] == []
