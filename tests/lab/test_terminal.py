"""The lab in a terminal: what a person sees is what the mailboxes hold."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.lab.greeting import SUBJECT
from tests.lab.census import take_census
from tests.lab.labs import COMMAND, Lab, alive, letter
from tests.lab.mail import CertifiedMail
from tests.lab.terminal import Terminal, terminal
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

TITLE = re.compile(r'^"(?P<subject>.*)" from (?P<sender>\S+)$')
EVENT = re.compile(r"● (accepted|taken in charge|delivered|not delivered|timed out|refused)")
SENDER, RECIPIENT = "anna@alfa.example", "bruno@beta.example"


class Row(NamedTuple):
    """One recipient's line of the timeline."""

    subject: str
    sender: str
    recipient: str
    events: tuple[str, ...]
    accepted_at: str  # hh:mm:ss


class Screened(NamedTuple):
    """A lab that is shown in a terminal."""

    lab: Lab
    shown: Terminal

    def rows(self) -> list[Row]:
        return list(rows_of(self.shown.screen()))

    def row(self, subject: str, *events: str) -> Row:
        """The row of the one recipient of this message, once it shows these events and no others."""

        def probe() -> Row | None:
            return next((row for row in self.rows() if row.subject == subject and row.events == events), None)

        try:
            return until(probe, f"row of {subject!r} with {events}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.shown.history()}") from None


def rows_of(screen: str) -> Iterator[Row]:
    lines = screen.splitlines()
    title = None
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if found := TITLE.match(line):
            title = found
        elif title is not None and line.startswith("  ") and (events := EVENT.findall(line)):
            time = re.search(r"\d\d:\d\d:\d\d", below)
            yield Row(*title.group("subject", "sender"), line.split()[0], tuple(events), time.group() if time else "")


class Attached(Lab):
    """A lab that somebody else started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screened]:
    folder = tmp_path_factory.mktemp("screened")
    with terminal([*COMMAND, "lab", "--dir", str(folder / "lab")], folder) as shown:
        lab = Attached(folder / "lab")
        shown.wait_for("Certified messages")
        pids = [one["pid"] for one in lab.description["providers"]]
        yield Screened(lab, shown)
        if lab.file.exists():
            take_census(lab, folder)
        shown.press("C-c")
        assert shown.status() == 0
        assert not any(map(alive, pids))


def test_it_sends_a_message_by_itself_and_draws_its_story(screened: Screened) -> None:
    row = screened.row(SUBJECT, "accepted", "taken in charge", "delivered")
    assert (row.sender, row.recipient) == (SENDER, RECIPIENT)
    story = screened.shown.screen().partition(f'"{SUBJECT}"')[2].partition('\n"')[0]  # up to the next message
    times = re.findall(r"\+\d+\.\d{3} s", story)
    assert len(times) == 2


def test_it_names_accounts_passwords_and_ports(screened: Screened) -> None:
    seen = screened.shown.history()
    for account in screened.lab.description["accounts"]:
        assert re.search(rf"{re.escape(account['address'])} +{re.escape(account['password'])}\n", seen)
    for provider in screened.lab.description["providers"]:
        ports = provider["ports"]
        assert f"SMTP {ports['submissions']} (TLS), {ports['submission']} (STARTTLS)" in seen
        assert f"IMAP {ports['imaps']}, POP3 {ports['pop3s']} (TLS)" in seen
    assert str(screened.lab.file) in seen.replace("\n", "")


def test_its_rows_are_what_the_mailboxes_of_both_sides_hold(screened: Screened) -> None:
    lab = screened.lab
    msgid = lab.send(letter("carla@beta.example", to=["anna@alfa.example"], subject="Controprova"))
    row = screened.row("Controprova", "accepted", "taken in charge", "delivered")
    greeted = screened.row(SUBJECT, "accepted", "taken in charge", "delivered")
    for shown, is_it in ((row, lambda mail: mail.reference == msgid), (greeted, is_greeting)):
        kinds = {mail.kind: mail for mail in lab.mailbox(shown.sender).mails() if is_it(mail)}
        assert set(kinds) == {"T1 acceptance", "T9 delivery, complete"}
        assert kinds["T1 acceptance"].value("dati/data/ora") == shown.accepted_at
        assert kinds["T9 delivery, complete"].delivered_to == shown.recipient
        taken = [mail for mail in lab.service_mailbox(shown.sender.partition("@")[2]).mails() if is_it(mail)]
        assert [mail.taken_for for mail in taken] == [[shown.recipient]]
        arrived = [mail.kind for mail in lab.mailbox(shown.recipient).mails() if is_it(mail)]
        assert arrived == ["T4 envelope"]


def is_greeting(mail: CertifiedMail) -> bool:
    return mail.subject.endswith(SUBJECT)


def test_while_the_other_provider_stands_still_a_message_is_accepted_and_nothing_more(screened: Screened) -> None:
    lab = screened.lab
    beta = lab.provider("beta.example")["pid"]
    os.kill(beta, signal.SIGSTOP)
    try:
        lab.send(letter(SENDER, to=[RECIPIENT], subject="Beta dorme"))
        screened.row("Beta dorme", "accepted")
        # what goes another way is not held up, and still nothing more is shown of the first
        lab.send(letter(SENDER, to=["carla@alfa.example"], subject="Alfa veglia"))
        screened.row("Alfa veglia", "accepted", "taken in charge", "delivered")
        assert screened.row("Beta dorme", "accepted").recipient == RECIPIENT
        block = screened.shown.screen().partition('"Beta dorme"')[2].partition('"Alfa veglia"')[0]
        assert "accepted" in block
        assert not re.search("taken|charge|deliver", block)
    finally:
        os.kill(beta, signal.SIGCONT)
    screened.row("Beta dorme", "accepted", "taken in charge", "delivered")


def test_what_was_refused_is_said(screened: Screened) -> None:
    message = letter(SENDER, to=[RECIPIENT], subject="Senza tutti")
    with screened.lab.submission(SENDER) as client:
        client.send_message(message, to_addrs=[RECIPIENT, "carla@beta.example"])
    screened.shown.wait_for('"Senza tutti" from anna@alfa.example\n  ● refused')


def test_a_provider_that_dies_is_told_of(screened: Screened) -> None:
    os.kill(screened.lab.provider("beta.example")["pid"], signal.SIGKILL)
    screened.shown.wait_for("Beta PEC was killed by SIGKILL; starting it again")
    screened.shown.wait_for(r"Beta PEC answers again, process \d+")


@pytest.mark.parametrize("columns", [80, 132])
def test_ctrl_c_stops_everything_in_order(tmp_path: Path, columns: int) -> None:
    folder = tmp_path / "lab"
    with terminal([*COMMAND, "lab", "--dir", str(folder)], tmp_path, columns=columns, lines=24) as shown:
        shown.wait_for("● delivered")
        processes = [one["pid"] for one in json.loads((folder / "lab.json").read_bytes())["providers"]]
        assert all(map(alive, processes))
        shown.press("C-c")
        assert shown.status() == 0
        assert "stopped" in shown.screen()
        assert "Traceback" not in shown.history()
    assert not any(map(alive, processes))
    assert not (folder / "lab.json").exists()
