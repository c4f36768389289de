"""Real programs send from an account of the lab: swaks, and smtplib on both submission ports."""

import os
import shutil
import smtplib
import subprocess

import pytest

from tests.lab.labs import Lab, letter

pytestmark = pytest.mark.lab


def swaks(lab: Lab, sender: str, recipient: str, msgid: str, *options: str) -> subprocess.CompletedProcess[str]:
    account = lab.account(sender)
    provider = lab.provider(account.domain)
    return subprocess.run(
        [
            *("swaks", "--server", provider["host"], "--tls-verify", "--tls-ca-path", lab.description["ca_file"]),
            *("--auth-user", account.address, "--auth-password", account.password),
            *("--from", sender, "--to", recipient, "--header", f"Message-Id: {msgid}", *options),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("port", ["submission", "submissions"])
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_swaks_sends_and_its_receipts_come_back(lab: Lab, port: str, method: str) -> None:
    if shutil.which("swaks") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("swaks is not installed")
        pytest.skip("swaks is not installed (apt: swaks)")
    msgid = f"<swaks.{port}.{method}@client.example>"
    where = ["--port", str(lab.provider("alfa.example")["ports"][port])]
    secured = "--tls" if port == "submission" else "--tls-on-connect"
    done = swaks(lab, "anna@alfa.example", "carla@beta.example", msgid, *where, secured, "--auth", method)
    assert done.returncode == 0, done.stdout
    sender = lab.mailbox("anna@alfa.example")
    delivery = sender.wait(lambda mail: mail.reference == msgid and mail.kind.startswith("T9"), "delivery receipt")
    assert delivery.delivered_to == "carla@beta.example"
    assert {mail.kind for mail in sender.about(msgid)} == {"T1 acceptance", "T9 delivery, complete"}


def test_swaks_with_a_wrong_password_sends_nothing(lab: Lab) -> None:
    if shutil.which("swaks") is None:
        pytest.skip("swaks is not installed (apt: swaks)")
    port = lab.provider("alfa.example")["ports"]["submissions"]
    where = ["--port", str(port), "--tls-on-connect", "--auth-password", "wrong"]
    done = swaks(lab, "anna@alfa.example", "carla@beta.example", "<never@client.example>", *where)
    assert done.returncode == 28  # authentication failed
    assert "535 5.7.8" in done.stdout


@pytest.mark.parametrize("starttls", [True, False], ids=["STARTTLS", "TLS"])
def test_smtplib_sends_and_its_receipts_come_back(lab: Lab, starttls: bool) -> None:
    message = letter("bruno@beta.example", to=["carla@alfa.example"], subject="Da smtplib: è già qui")
    msgid = lab.send(message, starttls=starttls)
    lab.mailbox("bruno@beta.example").wait(
        lambda mail: mail.reference == msgid and mail.kind.startswith("T9"), "delivery receipt"
    )
    envelope = lab.mailbox("carla@alfa.example").wait(
        lambda mail: mail.reference == msgid and mail.kind == "T4 envelope", "envelope"
    )
    assert envelope.subject == "POSTA CERTIFICATA: Da smtplib: è già qui"


def test_nobody_sends_as_somebody_else(lab: Lab) -> None:
    message = letter("bruno@alfa.example", to=["carla@beta.example"], subject="x")
    with lab.submission("anna@alfa.example") as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.send_message(message)
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (553, b"5.7.1")


def test_a_service_account_reads_and_cannot_send(lab: Lab) -> None:
    lab.service_mailbox("alfa.example").raw()
    address = "posta-certificata@alfa.example"
    with lab.submission(address) as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.sendmail(
            address, ["anna@beta.example"], letter(address, to=["anna@beta.example"], subject="x").as_bytes()
        )
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (550, b"5.7.1")
