"""Roundcube in a real browser: certified mail at two providers of ours, and everyday things there and at Dovecot."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.clients.filters import filters
from tests.clients.places import Box
from tests.clients.roundcube import Roundcube, require_filters, roundcube
from tests.clients.webmail import Webmail, chromium, webmail
from tests.lab.labs import Lab, letter, running
from tests.lab.waiting import until

pytestmark = [pytest.mark.desktop, pytest.mark.timeout(1_800)]

ANNA, BRUNO = "anna@alfa.example", "bruno@beta.example"
LETTERS = ("uno", "due", "tre", "quattro")


@dataclass
class Desk:
    """Two providers, and Anna at the window of hers."""

    lab: Lab
    roundcube: Roundcube
    window: Webmail

    def sessions(self, address: str) -> Box:
        account = self.lab.account(address)
        port = self.lab.provider(account.domain)["ports"]["imaps"]
        return Box(address, account.password, port, Path(self.lab.description["ca_file"]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("roundcube")
    with running(folder / "lab", "--providers", "2", "--accounts", "2") as lab:
        ports = lab.provider("alfa.example")["ports"]
        ca_file = Path(lab.description["ca_file"])
        with (
            roundcube(
                folder / "served",
                imaps=ports["imaps"],
                submissions=ports["submissions"],
                ca_file=ca_file,
                managesieve=ports["managesieve"],
            ) as served,
            webmail(browser, served.url) as window,
        ):
            window.sign_in(ANNA, lab.account(ANNA).password)
            yield Desk(lab, served, window)
            assert served.errors == ""


def test_every_folder_is_known_for_what_it_is(desk: Desk) -> None:
    assert desk.window.folders() == {
        "Inbox": "inbox",
        "Drafts": "drafts",
        "Sent": "sent",
        "Junk": "junk",
        "Trash": "trash",
        "Archive": "",
        "Ricevute": "",  # it has no pictures of its own for these
    }


def test_the_room_in_the_box_is_shown(desk: Desk) -> None:
    assert "/ 4.7 GB" in desk.window.quota()


def test_a_certified_message_is_read_with_what_certifies_it(desk: Desk) -> None:
    subject = "Verbale dell’assemblea"
    desk.lab.send(letter(BRUNO, to=[ANNA], subject=subject, text="Il testo del verbale.\n"))
    desk.lab.mailbox(ANNA).wait(lambda mail: mail.subject.endswith(subject), "envelope")
    window = desk.window
    window.open("Inbox")
    window.waits_for(f"POSTA CERTIFICATA: {subject}")
    assert window.marks(subject) == {"unread", "attachment"}
    read = window.read(subject)
    assert read.subject == f"POSTA CERTIFICATA: {subject}"
    assert "posta-certificata@beta.example" in read.headers
    assert "Il messaggio originale è incluso in allegato." in read.text
    assert "Il testo del verbale." in read.text  # of the message inside, shown below
    assert read.attachments == ("daticert.xml", "postacert.eml", "Digital Signature")
    original = window.read_inside("postacert.eml")
    assert subject in original
    assert BRUNO in original
    assert "Il testo del verbale." in original
    window.back()
    assert window.marks(subject) == {"attachment"}


def test_a_message_is_sent_and_its_receipts_are_seen_to_arrive(desk: Desk) -> None:
    window, subject = desk.window, "Disdetta del contratto n. 12"
    window.send(BRUNO, subject, "Scritto nella finestra.\nCordiali saluti")
    window.open("Ricevute")
    window.waits_for(f"ACCETTAZIONE: {subject}")
    window.waits_for(f"CONSEGNA: {subject}")
    receipt = window.read(f"CONSEGNA: {subject}")
    assert "è stato consegnato nella casella di destinazione" in receipt.text
    assert receipt.attachments == ("daticert.xml", "postacert.eml", "Digital Signature")
    window.back()
    arrived = desk.lab.mailbox(BRUNO).wait(lambda mail: mail.subject.endswith(subject), "envelope")
    assert "Scritto nella finestra." in str(arrived.original)


def test_what_was_sent_is_in_sent_once(desk: Desk) -> None:
    """Roundcube puts a copy there, as the gateway has done before."""
    window, subject = desk.window, "Una volta sola"
    window.send(BRUNO, subject, "x")
    desk.lab.mailbox(ANNA).wait(lambda mail: mail.subject == f"CONSEGNA: {subject}", "delivery receipt")
    window.open("Sent")
    window.waits_for(subject)
    assert window.subjects().count(subject) == 1
    session = desk.sessions(ANNA).imap()
    assert session.select("Sent", readonly=True)[0] == "OK"

    def state() -> bool:
        session.noop()
        (found,) = session.search(None, "SUBJECT", f'"{subject}"')[1]
        assert len(found.split()) == 1
        return b"$Delivered" in session.fetch(found.decode(), "(FLAGS)")[1][0]

    until(state, "$Delivered on the message in Sent")
    session.logout()


def test_who_is_refused_is_told_so(desk: Desk, browser: Browser) -> None:
    """In the window without a reason; that is in Roundcube's own log."""
    with webmail(browser, desk.roundcube.url) as window:
        assert window.refused(BRUNO, "wrong") == "Login failed."
    log = desk.roundcube.folder / "logs" / "errors.log"
    assert "user name or password wrong" in log.read_text()
    log.unlink()


def test_a_filter_made_in_the_window_is_followed_until_it_is_switched_off(desk: Desk) -> None:
    require_filters()
    window, folder = desk.window, "Già visti"
    session = desk.sessions(ANNA).imap()
    for command in (session.create, session.subscribe):
        assert command('"Gi&AOA- visti"')[0] == "OK"  # as it travels (RFC 3501 5.1.3)
    session.logout()

    def arrives(subject: str, where: str) -> None:
        desk.lab.send(letter(BRUNO, to=[ANNA], subject=subject))
        window.open(where)
        window.waits_for(f"POSTA CERTIFICATA: {subject}")

    with filters(window.page) as editor:
        assert editor.shown() == {}
        editor.make("Perizie", subject="perizia", folder=folder)
        assert editor.shown() == {"Perizie": True}
    arrives("Perizia n. 1", folder)
    with filters(window.page) as editor:
        editor.change_subject("Perizie", "parere “urgente”")
    arrives("Parere “urgente” n. 2", folder)
    arrives("Perizia n. 3", "Inbox")
    with filters(window.page) as editor:
        editor.switch("Perizie")
        assert editor.shown() == {"Perizie": False}
    arrives("Parere “urgente” n. 4", "Inbox")
    with filters(window.page) as editor:
        assert editor.shown() == {"Perizie": False}
        editor.delete("Perizie")
        assert editor.shown() == {}


def test_a_filter_that_cannot_be_is_refused_and_the_line_that_is_wrong_is_marked(desk: Desk) -> None:
    require_filters()
    with filters(desk.window.page) as editor:
        editor.make("Ricorsi", subject="ricorso", folder="Archive")
        assert editor.try_to_mark("Via", "Deleted") == "Unable to save filter. Server error occurred."
        assert editor.shown() == {"Ricorsi": True}
    with filters(desk.window.page) as editor:
        said, marked = editor.try_to_write('keep;\nreject "no";\nstop;\n')
        assert (said, marked) == ("Unable to save filter. Server error occurred.", ['reject "no";'])
    with filters(desk.window.page) as editor:
        assert editor.shown() == {"Ricorsi": True}  # what was there is there
    log = desk.roundcube.folder / "logs" / "errors.log"
    assert "Deleted: no mark that a script may set" in log.read_text()
    log.unlink()


@pytest.fixture
def everyday(browser: Browser, box: Box, tmp_path: Path) -> Iterator[Webmail]:
    """Somebody at a box with four letters, at each of the two servers."""
    session = box.imap()
    for number, name in enumerate(LETTERS):
        text = f"From: Carlo <carlo@beta.example>\r\nSubject: lettera {name}\r\n\r\nil testo di {name}\r\n"
        session.append("INBOX", None, f'"0{number + 1}-Mar-2026 10:11:12 +0000"', text.encode())
    session.logout()
    with (
        roundcube(tmp_path / "served", imaps=box.imaps, submissions=None, ca_file=box.ca_file) as served,
        webmail(browser, served.url) as window,
    ):
        window.sign_in(box.user, box.password)
        yield window
        assert served.errors == ""


def test_everyday_acts_end_alike(everyday: Webmail, box: Box) -> None:
    """Read, marked, searched, moved, deleted, deleted for ever: then Roundcube and the server say the same."""
    window = everyday
    assert sorted(window.subjects()) == sorted(f"lettera {name}" for name in LETTERS)
    uses = {use: name for name, use in window.folders().items() if use}
    assert uses == {"inbox": "Inbox", "drafts": "Drafts", "sent": "Sent", "junk": "Junk", "trash": "Trash"}

    assert window.read("lettera uno").text.strip() == "il testo di uno"
    window.back()
    assert window.search("due") == ["lettera due"]
    window.open("Inbox")
    assert len(window.subjects()) == len(LETTERS)
    window.mark("lettera due", "flag", {"flagged"})
    window.mark("lettera uno", "unread", {"unread"})
    window.move("lettera tre", "Archive")
    window.delete("lettera quattro")
    assert sorted(window.subjects()) == ["lettera due", "lettera uno"]
    window.open("Trash")
    assert window.subjects() == ["lettera quattro"]
    window.open("Archive")
    assert window.subjects() == ["lettera tre"]
    expected = {
        "INBOX": {"lettera uno": set(), "lettera due": {"\\Seen", "\\Flagged"}},
        "Archive": {"lettera tre": {"\\Seen"}},
        "Trash": {"lettera quattro": {"\\Seen"}},
    }
    until(lambda: contents(box) == expected, f"box that holds {expected}")


def contents(box: Box) -> dict[str, dict[str, set[str]]]:
    """What the server has in the folders that are not empty: subjects, each with its flags."""
    session, found = box.imap(), {}
    for folder in ("INBOX", "Archive", "Trash", "Drafts", "Sent", "Junk"):
        assert session.select(folder, readonly=True)[0] == "OK"
        if session.search(None, "ALL")[1][0]:
            answer = session.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
            found[folder] = {
                piece[1].decode().strip().removeprefix("Subject: "): set(
                    piece[0].split(b"FLAGS (")[1].split(b")")[0].decode().split()
                )
                - {"\\Recent"}
                for piece in answer
                if isinstance(piece, tuple)
            }
    session.logout()
    return found
