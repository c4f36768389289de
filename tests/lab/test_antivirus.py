"""A lab whose providers scan with the real clamd: virus notices over real sockets, and a scanner that dies."""

import json
import os
import signal
import smtplib
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from gateway.lab.clamd import EICAR, LATE, clamd_program
from tests.lab.census import take_census
from tests.lab.labs import COMMAND, Lab, letter, running
from tests.lab.waiting import until
from tests.scanner import zipped

pytestmark = pytest.mark.lab
BETA = ["bruno@beta.example", "carla@beta.example", "nessuno@beta.example"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two providers that scan; the first one does not know every virus."""
    if clamd_program() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("clamd is not installed")
        pytest.skip("clamd is not installed (apt: clamav-daemon)")
    with running(tmp_path_factory.mktemp("scanning") / "lab", "--antivirus") as started:
        yield started


def with_virus(virus: bytes, *to: str) -> EmailMessage:
    message = letter("anna@alfa.example", to=to, subject="Con allegato")
    archive = zipped("b.zip", zipped("tabella.com", virus))
    message.add_attachment(archive, maintype="application", subtype="zip", filename="a.zip")
    return message


def command(lab: Lab, provider: str, *words: str) -> subprocess.CompletedProcess[str]:
    config = lab.provider(provider)["config_file"]
    return subprocess.run(
        [*COMMAND, *words, "--config", config], capture_output=True, text=True, check=False, timeout=60
    )


def health(lab: Lab, provider: str) -> tuple[int, dict[str, Any]]:
    url = f"https://localhost:{lab.provider(provider)['ports']['https']}/health"
    try:
        with urllib.request.urlopen(url, context=lab.context(), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer)


def scanner_of(lab: Lab, provider: str) -> int:
    """The process that listens on a provider's clamd socket."""
    folder = str(Path(lab.provider(provider)["clamd_socket"]).parent)
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"{folder}/clamd.conf".encode() in words:
            return int(file.parent.name)
    raise AssertionError("no clamd runs there")


@pytest.mark.req("VIR-01", "VIR-02")
def test_what_our_scanner_knows_is_not_accepted(lab: Lab, tmp_path: Path) -> None:
    message = with_virus(EICAR, "bruno@beta.example")
    msgid = lab.send(message)
    notice = lab.mailbox("anna@alfa.example").wait(lambda mail: mail.reference == msgid, "notice")
    assert notice.kind == "T3 non-acceptance, virus"
    assert "Eicar-Test-Signature" in notice.text
    kept = json.loads(command(lab, "alfa.example", "quarantine", "list", "--json").stdout)
    [one] = [one for one in kept if one["pec_msgid"] == notice.pec_msgid]
    assert one["kind"] == "submission"
    shown = command(lab, "alfa.example", "quarantine", "show", str(one["id"]))
    assert "intact: True" in shown.stdout
    file = tmp_path / "virus.eml"
    done = command(lab, "alfa.example", "quarantine", "export", str(one["id"]), str(file))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert msgid.encode() in file.read_bytes()
    again = command(lab, "alfa.example", "quarantine", "export", str(one["id"]), str(file))
    assert again.returncode != 0


@pytest.mark.req("VIR-04", "VIR-06", "VIR-07", "HDR-07")
def test_what_the_other_scanner_alone_knows_comes_back_from_there(lab: Lab) -> None:
    """Three recipients: three virus notices between the providers, three non-delivery notices to the user."""
    msgid = lab.send(with_virus(LATE, *BETA))
    sender = lab.mailbox("anna@alfa.example")
    for address in BETA:
        notice = sender.wait(
            lambda mail, address=address: mail.reference == msgid and mail.delivered_to == address,  # type: ignore[misc]
            f"notice about {address}",
        )
        assert notice.kind == "T8 non-delivery, virus"
        assert "Ceralacca-Lab-Virus" in notice.text
    service = [mail for mail in lab.service_mailbox("alfa.example").mails() if mail.reference == msgid]
    assert sorted(mail.kind for mail in service) == ["T5 take-charge", "T7 virus", "T7 virus", "T7 virus"]
    assert {str(mail.message["X-Mittente"]) for mail in service if mail.kind == "T7 virus"} == {"anna@alfa.example"}
    assert sorted(mail.kind for mail in sender.about(msgid)) == ["T1 acceptance", *["T8 non-delivery, virus"] * 3]
    assert not lab.mailbox("bruno@beta.example").about(msgid)
    [kept] = [
        one
        for one in json.loads(command(lab, "beta.example", "quarantine", "list", "--json").stdout)
        if one["pec_msgid"] == service[0].pec_msgid
    ]
    assert (kept["kind"], sorted(kept["recipients"])) == ("envelope", sorted(BETA))
    counts = take_census(lab, lab.folder.parent)
    assert counts["T7 virus"] >= 3
    assert counts["T8 non-delivery, virus"] >= 3


def test_infected_ordinary_mail_is_refused_at_the_door(lab: Lab) -> None:
    message = with_virus(EICAR, "bruno@beta.example")
    with smtplib.SMTP("localhost", lab.provider("beta.example")["ports"]["smtp"], timeout=60) as client:
        client.starttls(context=lab.context())
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(message, "dora@mail.example", ["bruno@beta.example"])
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (554, b"5.7.1")


def test_a_scanner_that_dies_puts_mail_off_until_it_is_back(lab: Lab) -> None:
    """The lab does not start it again; the operator does, and mail goes on by itself."""
    assert health(lab, "beta.example") == (200, health(lab, "beta.example")[1] | {"scanner": True})
    pid = scanner_of(lab, "beta.example")
    program = [os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if word]
    os.kill(pid, signal.SIGKILL)
    before = letter("anna@alfa.example", to=["carla@beta.example"], subject="Durante il guasto")
    msgid = lab.send(before)
    until(lambda: health(lab, "beta.example")[0] == 503 or None, "word of the outage")
    assert health(lab, "beta.example")[1]["scanner"] is False
    with lab.submission("bruno@beta.example") as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.send_message(letter("bruno@beta.example", to=["anna@alfa.example"], subject="x"))
    assert (refused.value.smtp_code, refused.value.smtp_error) == (
        451,
        b"4.7.0 The message cannot be checked for viruses now, try again later",
    )
    alarms = command(lab, "beta.example", "alarms")
    assert alarms.returncode == 1
    assert "scanner" in alarms.stdout
    assert not [mail for mail in lab.mailbox("anna@alfa.example").about(msgid) if mail.kind != "T1 acceptance"]
    restarted = subprocess.Popen(
        program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        delivery = lab.mailbox("anna@alfa.example").wait(
            lambda mail: mail.reference == msgid and mail.kind.startswith("T9"), "delivery receipt"
        )
        assert delivery.delivered_to == "carla@beta.example"
        until(lambda: health(lab, "beta.example")[0] == 200 or None, "word of the recovery")
        assert "scanner" not in command(lab, "beta.example", "alarms").stdout
    finally:
        restarted.terminate()
        restarted.wait(60)
