"""A box from first day to last: created, set up in Thunderbird, used, exported, imported at another provider."""

import hashlib
import imaplib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.clients.places import Box, dovecot
from tests.clients.thunderbird import SECONDS, Thunderbird, set_up, thunderbird
from tests.lab.labs import COMMAND, Lab, letter, running
from tests.lab.waiting import until
from tests.throwaway import Throwaway

pytestmark = [pytest.mark.desktop, pytest.mark.timeout(1_800)]

OLD, NEW, PASSWORD = "dora@alfa.example", "dora@beta.example", "una parola segreta"
FRIEND = "bruno@beta.example"
SETTLED = {
    "INBOX": [["\\Flagged", "\\Seen", "in=20attesa"]],
    "Fatture citt&AOA-": [],
    "Fatture citt&AOA-/2026": [["$label1", "\\Seen"]],
    "Trash": [["\\Seen"]],
    "Drafts": [["\\Draft"]],
    "Sent": [["$Accepted", "$Certified", "$Delivered", "\\Seen"]],
    "Ricevute": [[], ["\\Seen"]],
    "Junk": [],
    "Archive": [],
}
"""What the box of the story holds in the end: folders, and the marks of their messages."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running(tmp_path_factory.mktemp("moving") / "lab", "--providers", "2") as started:
        yield started
        started.stop()


@pytest.fixture(scope="module")
def program(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thunderbird]:
    with thunderbird(tmp_path_factory.mktemp("thunderbird"), Path(lab.description["ca_file"])) as started:
        yield started


def command(lab: Lab, domain: str, *arguments: str, given: str = "") -> str:
    """``ceralacca`` at one of the providers, as its operator calls it."""
    config = lab.provider(domain)["config_file"]
    done = subprocess.run(
        [*COMMAND, *arguments, "--config", config], input=given + "\n", capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def created(lab: Lab, address: str) -> Box:
    domain = address.rpartition("@")[2]
    command(lab, domain, "account", "add", address, "--name", "Dora", given=PASSWORD)
    return Box(address, PASSWORD, lab.provider(domain)["ports"]["imaps"], Path(lab.description["ca_file"]))


@dataclass(frozen=True, order=True)
class Kept:
    """A message as a mailbox has it."""

    moment: tuple[int, ...]  # when it arrived
    digest: str
    flags: frozenset[str]


@dataclass(frozen=True)
class Folder:
    uses: frozenset[str]  # \\Sent and so on
    messages: tuple[Kept, ...]  # in order of arrival, as far as it can be told: a Maildir knows seconds


def contents(box: Box) -> dict[str, Folder]:
    """All of a box, by the names of its folders."""
    found: dict[str, Folder] = {}
    with box.imap() as session:
        for line in session.list()[1]:
            assert isinstance(line, bytes)
            listed = re.fullmatch(rb'\(([^)]*)\) "/" "?([^"]*)"?', line)
            assert listed, line
            attributes = frozenset(listed[1].decode().split()) - {"\\HasChildren", "\\HasNoChildren", "\\Subscribed"}
            number = session.select(b'"%b"' % listed[2], readonly=True)[1]
            messages = _messages(session) if number != [b"0"] else ()
            found[listed[2].decode()] = Folder(attributes, messages)
    return found


def _messages(session: imaplib.IMAP4_SSL) -> tuple[Kept, ...]:
    pieces = session.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
    return tuple(sorted(_kept(*piece) for piece in pieces if isinstance(piece, tuple)))


def _kept(answer: bytes, body: bytes) -> Kept:
    flags = re.search(rb"FLAGS \(([^)]*)\)", answer)
    moment = imaplib.Internaldate2tuple(answer)
    assert flags, answer
    assert moment, answer
    return Kept(tuple(moment), hashlib.sha256(body).hexdigest(), frozenset(flags[1].decode().split()) - {"\\Recent"})


def use(lab: Lab, program: Thunderbird, box: Box) -> None:
    """Everything that a person does with a certified box in its first days."""
    for number in (1, 2, 3):
        lab.send(letter(FRIEND, to=[OLD], subject=f"Fattura {number}", text=f"la fattura {number}\n"))
    program.show(OLD, "INBOX")
    program.sees(*(f"POSTA CERTIFICATA: Fattura {number}" for number in (1, 2, 3)))
    program.createFolder(OLD, "", "Fatture città")
    program.createFolder(OLD, "Fatture città", "2026")
    program.command("POSTA CERTIFICATA: Fattura 1", "cmd_tag1")
    program.command("POSTA CERTIFICATA: Fattura 1", "cmd_moveMessage", OLD, "Fatture città/2026")
    moved(program, box, "Fatture citt&AOA-/2026")
    program.command("POSTA CERTIFICATA: Fattura 2", "cmd_markAsFlagged")
    program.command("POSTA CERTIFICATA: Fattura 3", "cmd_deleteMessage")
    moved(program, box, "Trash")
    program.tag("In attesa", "#c00000")
    program.command("POSTA CERTIFICATA: Fattura 2", "cmd_tag6")
    program.draft(OLD, FRIEND, "Risposta", "Caro Bruno,\n")
    program.show(OLD, "Ricevute")
    program.send(OLD, FRIEND, "Ordine", "Caro Bruno,\n\nvorrei due sacchi di ceralacca.\n\nDora\n")
    program.sees("ACCETTAZIONE: Ordine", "CONSEGNA: Ordine")
    program.read("ACCETTAZIONE: Ordine", "daticert.xml")

    with suppress(AssertionError):  # the next line says what differs
        until(lambda: marks(box) == SETTLED, "end of it all on the server", seconds=SECONDS)
    assert marks(box) == SETTLED


def moved(program: Thunderbird, box: Box, folder: str) -> None:
    """Wait until the first message of a folder is there, and nothing more is on its way."""
    until(lambda: marks(box)[folder], f"message in {folder}", seconds=SECONDS)
    program.settle(box.user, "INBOX")


def marks(box: Box) -> dict[str, list[list[str]]]:
    """The marks of the messages of each folder, in no order."""
    return {name: sorted(sorted(one.flags) for one in folder.messages) for name, folder in contents(box).items()}


def test_nothing_differs_after_a_life_in_thunderbird_and_a_move(lab: Lab, program: Thunderbird, tmp_path: Path) -> None:
    box = created(lab, OLD)
    set_up(lab, program, OLD, PASSWORD, "Dora")
    use(lab, program, box)
    before = contents(box)
    tls = Throwaway(lab.folder / "tls.pem", lab.folder / "tls.key.pem")
    new = created(lab, NEW)
    with dovecot(tls, location="maildir:~/Maildir") as place:
        # What was exported is all there is: a Dovecot shows the files, and the other provider fetches from it.
        between = replace(place.box(), ca_file=box.ca_file)
        assert place.dovecot is not None
        files = place.dovecot.mail / between.user.partition("@")[0] / "Maildir"
        files.parent.mkdir()
        command(lab, "alfa.example", "export", OLD, "--to", str(files))
        given(files.parent, place.dovecot.owner)
        where = ("--imap", f"localhost:{between.imaps}", "--user", between.user, "--ca-file", str(box.ca_file))
        told = command(lab, "beta.example", "import", NEW, *where, given=between.password)
    assert "certified messages, valid: 5" in told
    assert contents(new) == before
    set_up(lab, program, NEW, PASSWORD, "Dora")
    assert program.folders(NEW) == program.folders(OLD)
    program.show(NEW, "Sent")
    assert [row["keywords"] for row in program.sees("Ordine")] == [["$accepted", "$certified", "$delivered"]]


def given(folder: Path, owner: str) -> None:
    """Dovecot's processes are those of another user where the tests run as root."""
    if os.geteuid() == 0:
        for file in [folder, *folder.rglob("*")]:
            shutil.chown(file, owner)
