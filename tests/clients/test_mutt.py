"""mutt in a terminal: the index, a message, a flag that the server keeps."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.places import Box, program
from tests.lab.waiting import until


class Terminal:
    """A program in tmux."""

    def __init__(self, folder: Path, command: str) -> None:
        self._tmux = [program("tmux"), "-S", str(folder / "tmux")]
        self._run("new-session", "-d", "-x", "120", "-y", "40", command)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, timeout=60, check=False)
        return done.stdout.decode("utf-8", "replace")

    @property
    def screen(self) -> str:
        return self._run("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def shows(self, text: str) -> None:
        until(lambda: text in self.screen, f"{text!r} on the screen")

    def end(self) -> None:
        self._run("kill-server")


@pytest.fixture
def mutt(box: Box, tmp_path: Path) -> Iterator[Terminal]:
    session = box.imap()
    for name in ("uno", "due", "tre"):
        text = f"From: Carlo <carlo@beta.example>\r\nSubject: lettera {name}\r\n\r\nil testo di {name}\r\n"
        session.append("INBOX", None, None, text.encode())
    session.logout()
    settings = tmp_path / "muttrc"
    settings.touch(0o600)
    settings.write_text(
        f"""
set folder="imaps://localhost:{box.imaps}/" spoolfile="imaps://localhost:{box.imaps}/INBOX"
set imap_user="{box.user}" imap_pass="{box.password}"
set ssl_ca_certificates_file="{box.ca_file}" certificate_file="{tmp_path}/certificates"
set sort=mailbox-order mail_check=1 timeout=1 imap_idle=yes
set delete=yes quit=yes move=no header_cache="" wait_key=no
"""
    )
    terminal = Terminal(tmp_path, f"TERM=screen {program('mutt')} -F {settings}")
    yield terminal
    terminal.end()


def test_a_person_reads_and_deletes(mutt: Terminal, box: Box) -> None:
    mutt.shows("lettera tre")
    mutt.press("1", "Enter")
    mutt.press("Enter")
    mutt.shows("il testo di uno")
    session = box.imap()
    session.select("INBOX")
    session.append("INBOX", None, None, b"Subject: lettera nuova\r\n\r\nx\r\n")
    mutt.press("i")
    mutt.shows("lettera nuova")
    mutt.press("2", "Enter")
    mutt.press("d")
    mutt.press("$")

    def subjects() -> list[bytes]:
        session.noop()
        return [
            piece[1].strip()
            for piece in session.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
            if isinstance(piece, tuple)
        ]

    until(lambda: len(subjects()) == 3, "deletion on the server")
    assert b"Subject: lettera due" not in subjects()
    assert b"\\Seen" in session.fetch("1", "(FLAGS)")[1][0]
