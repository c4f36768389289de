"""Thunderbird, as a person uses it: from an address and a password to certified mail and its receipts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.places import Box
from tests.clients.thunderbird import Thunderbird, thunderbird
from tests.lab.labs import Lab, running
from tests.lab.waiting import until

pytestmark = [pytest.mark.desktop, pytest.mark.timeout(600)]

SENDER, RECIPIENT = "anna@alfa.example", "bruno@beta.example"


@dataclass
class Desk:
    """Thunderbird with a certified box at each of two providers, both set up from address and password alone."""

    lab: Lab
    thunderbird: Thunderbird
    told: dict[str, str]  # by address, what the assistant said it had found

    def box(self, address: str) -> Box:
        account = self.lab.account(address)
        port = self.lab.provider(account.domain)["ports"]["imaps"]
        return Box(account.address, account.password, port, Path(self.lab.description["ca_file"]))


def set_up(lab: Lab, program: Thunderbird, address: str, password: str, name: str) -> str:
    """Set a box up with the assistant; what it found by itself."""
    domain = address.rpartition("@")[2]
    https = lab.provider(domain)["ports"]["https"]
    program.prefer("mailnews.auto_config_url", f"https://localhost:{https}/v1.1/")
    program.hubOpen(name, address)
    program.picture(f"address-{domain}")
    found: str = program.hubFound()["text"]
    program.picture(f"found-{domain}")
    program.hubPassword(password)
    program.picture(f"password-{domain}")
    program.hubDone()
    program.picture(f"done-{domain}")
    program.hubClose()
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("thunderbird")
    with running(folder / "lab", "--providers", "2") as lab:
        with thunderbird(folder, Path(lab.description["ca_file"]), {}) as program:
            told = {
                address: set_up(lab, program, address, lab.account(address).password, address.partition("@")[0])
                for address in (SENDER, RECIPIENT)
            }
            yield Desk(lab, program, told)
        lab.stop()


def test_an_address_and_a_password_are_enough(desk: Desk) -> None:
    for address in (SENDER, RECIPIENT):
        ports = desk.lab.provider(address.rpartition("@")[2])["ports"]
        settings = desk.thunderbird.settings(address)
        assert settings["incoming"] == ["imap", "localhost", ports["imaps"], 3, address]  # 3: TLS from the first byte
        assert settings["outgoing"] == ["smtp", "localhost", ports["submissions"], 3, address]
        assert settings["email"] == address
        assert str(ports["imaps"]) in desk.told[address]


def test_every_folder_is_known_for_what_it_is(desk: Desk) -> None:
    folders = desk.thunderbird.folders(SENDER)
    assert folders == {
        "INBOX": ["Inbox"],
        "Ricevute": [],
        "Sent": ["Sent"],
        "Drafts": ["Drafts"],
        "Trash": ["Trash"],
        "Junk": ["Junk"],
        "Archive": ["Archive"],
    }
    settings = desk.thunderbird.settings(SENDER)
    assert (settings["sent"], settings["drafts"], settings["archive"]) == ("Sent", "Drafts", "Archive")


def test_a_certified_message_is_sent_and_its_receipts_are_seen_to_arrive(desk: Desk) -> None:
    program = desk.thunderbird
    program.show(SENDER, "Ricevute")
    program.send(SENDER, RECIPIENT, "Contratto", "Gentile Bruno,\n\necco il contratto.\n\nAnna\n")
    rows = program.sees("ACCETTAZIONE: Contratto", "CONSEGNA: Contratto")
    program.picture("receipts")
    assert sorted(row["subject"] for row in rows) == ["ACCETTAZIONE: Contratto", "CONSEGNA: Contratto"]
    receipt = program.read("CONSEGNA: Contratto", "daticert.xml", "postacert.eml")
    program.picture("receipt")
    assert receipt["signature"] == "Good signature"


def test_the_sent_message_is_there_once_and_shows_how_it_fares(desk: Desk) -> None:
    program = desk.thunderbird
    program.tag("$Delivered", "#008000")
    program.show(SENDER, "Sent")
    shown = [["$accepted", "$certified", "$delivered"]]
    until(lambda: [row["keywords"] for row in program.rows()] == shown, "state of the sent message")
    program.picture("sent")
    assert program.tags("Contratto") == ["$Delivered"]
    with desk.box(SENDER).imap() as session:
        session.select("Sent", readonly=True)
        assert session.search(None, "ALL")[1] == [b"1"]


def test_the_recipient_reads_it_with_all_that_certifies_it(desk: Desk) -> None:
    program = desk.thunderbird
    program.show(RECIPIENT, "INBOX")
    program.sees("POSTA CERTIFICATA: Contratto")
    message = program.read("POSTA CERTIFICATA: Contratto", "daticert.xml", "postacert.eml")
    program.picture("message")
    assert message["signature"] == "Good signature"
    assert dict(message["attached"]) == {"daticert.xml": "application/xml", "postacert.eml": "message/rfc822"}
    assert "ecco il contratto." in message["text"]
    with desk.box(RECIPIENT).imap() as session:
        session.select("INBOX", readonly=True)
        until(lambda: _noop(session) and session.search(None, "SEEN")[1] == [b"1"], "mark of a message that was read")


def _noop(session: Any) -> bool:
    return bool(session.noop()[0] == "OK")
