"""Thunderbird, as a person uses it: from an address and a password to certified mail and its receipts."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.clients.places import Box, Place, dovecot
from tests.clients.thunderbird import SECONDS, Thunderbird, set_up, thunderbird
from tests.lab.labs import Lab, running
from tests.lab.waiting import until
from tests.throwaway import Throwaway

pytestmark = [pytest.mark.desktop, pytest.mark.timeout(1_800)]

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


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("thunderbird")
    with running(folder / "lab", "--providers", "2") as lab:
        with thunderbird(folder, Path(lab.description["ca_file"])) as program:
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


LETTERS = ("uno", "due", "tre", "quattro", "cinque", "sei", "sette")


@pytest.fixture
def dovecot_of_the_lab(desk: Desk) -> Iterator[Place]:
    """Thunderbird takes no certificate that is its own authority: it has that of the lab's servers."""
    tls = Throwaway(desk.lab.folder / "tls.pem", desk.lab.folder / "tls.key.pem")
    with dovecot(tls) as place:
        yield place


@pytest.fixture(params=["ours", "theirs"])
def everyday(request: pytest.FixtureRequest, desk: Desk) -> Box:
    """A box with seven letters that Thunderbird knows, at our server and at Dovecot."""
    if request.param == "ours":
        box = desk.box("carla@alfa.example")
    else:
        place: Place = request.getfixturevalue("dovecot_of_the_lab")
        box = replace(place.box(), ca_file=desk.box(SENDER).ca_file)
    with box.imap() as session:
        for number, name in enumerate(LETTERS, 1):
            text = (
                f"From: Carlo <carlo@beta.example>\r\nTo: {box.user}\r\nSubject: lettera {name}\r\n"
                f"Date: Tue, {number:02} Sep 2026 10:00:00 +0200\r\nMessage-ID: <{name}@beta.example>\r\n\r\n"
                f"il testo di {name}, in {number * 111} parole\r\n"
            )
            session.append("INBOX", None, f'"{number:02}-Sep-2026 10:00:00 +0200"', text.encode())
    desk.thunderbird.addAccount(box.user, box.password, box.imaps)
    return box


def test_everyday_acts_end_alike(desk: Desk, everyday: Box) -> None:
    """Thunderbird does things on its own copy first and tells the server a moment later; each is waited for."""
    program, box, user = desk.thunderbird, everyday, everyday.user

    def there(folder: str, **letters: set[str]) -> None:
        wanted = {f"lettera {name}": flags for name, flags in letters.items()}
        with suppress(AssertionError):  # the next line says what differs
            until(lambda: contents(box).get(folder) == wanted, f"{wanted} in {folder}", seconds=SECONDS)
        assert contents(box).get(folder) == wanted
        program.settle(user, "INBOX")

    program.show(user, "INBOX")
    program.sees(*(f"lettera {name}" for name in LETTERS))
    assert "il testo di uno" in program.read("lettera uno")["text"]
    program.command("lettera due", "cmd_markAsFlagged")
    program.command("lettera tre", "cmd_tag1")
    program.createFolder(user, "", "Fatture è 2026")
    program.createFolder(user, "Fatture è 2026", "Pagate & altro")
    program.command("lettera quattro", "cmd_moveMessage", user, "Fatture è 2026")
    there("Fatture &AOg- 2026", quattro={"\\Seen"})
    program.command("lettera uno", "cmd_copyMessage", user, "Fatture è 2026/Pagate & altro")
    there("Fatture &AOg- 2026/Pagate &- altro", uno={"\\Seen"})
    program.command("lettera cinque", "cmd_deleteMessage")
    there("Trash", cinque={"\\Seen"})
    program.command("lettera sei", "cmd_archive")
    there("Archive/2026", sei={"\\Seen"})
    program.command("lettera sette", "cmd_markAsJunk")
    program.command("lettera due", "cmd_markAsUnread")
    program.renameFolder(user, "Fatture è 2026", "Saldate")
    there("Saldate/Pagate &- altro", uno={"\\Seen"})
    there("Saldate", quattro={"\\Seen"})
    there("INBOX", uno={"\\Seen"}, due={"\\Flagged"}, tre={"\\Seen", "$label1"}, sette={"\\Seen", "Junk"})
    program.draft(user, "carlo@beta.example", "lettera otto", "Caro Carlo,\n")
    there("Drafts", otto={"\\Draft"})
    assert program.search(user, "INBOX", "Body", "333 parole") == ["lettera tre"]
    assert program.search(user, "INBOX", "Subject", "lettera u") == ["lettera uno"]
    assert set(contents(box)) - {"Ricevute"} == {
        *("INBOX", "Sent", "Drafts", "Trash", "Junk", "Archive", "Archive/2026", "Saldate", "Saldate/Pagate &- altro")
    }


def contents(box: Box) -> dict[str, dict[str, set[str]]]:
    """What is in each folder: subjects and their flags."""
    found: dict[str, dict[str, set[str]]] = {}
    with box.imap() as session:
        for line in session.list()[1]:
            assert isinstance(line, bytes)
            name = re.search(rb'"/" "?([^"]*)"?$', line)
            assert name, line
            number = session.select(b'"%b"' % name[1], readonly=True)[1]
            asked = "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
            pieces = session.fetch("1:*", asked)[1] if number != [b"0"] else []
            found[name[1].decode()] = {_subject(one[1]): _flags(one[0]) for one in pieces if isinstance(one, tuple)}
    return found


def _subject(header: bytes) -> str:
    return header.decode().removeprefix("Subject: ").strip()


def _flags(answer: bytes) -> set[str]:
    found = re.search(rb"FLAGS \(([^)]*)\)", answer)
    assert found, answer
    return set(found[1].decode().split()) - {"\\Recent"}


def _noop(session: Any) -> bool:
    return bool(session.noop()[0] == "OK")
