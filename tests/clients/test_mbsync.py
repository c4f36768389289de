"""mbsync keeps a Maildir and a box alike, whatever happens on either side."""

import mailbox
import os
from pathlib import Path

import pytest

from tests.clients.places import Box, program, told

MESSAGES = int(os.environ.get("CERALACCA_CLIENT_MESSAGES", "300"))


class Pair:
    """A box and its copy on disk."""

    def __init__(self, box: Box, folder: Path) -> None:
        self.box = box
        self.folder = folder
        self.config = folder / "mbsyncrc"
        self.config.write_text(
            f"""
IMAPAccount box
Host localhost
Port {box.imaps}
User {box.user}
Pass "{box.password}"
SSLType IMAPS
CertificateFile {box.ca_file}
Timeout 120

IMAPStore far
Account box

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX "Progetti %" Lavori
Create Both
Expunge Both
SyncState *
CopyArrivalDate yes
"""
        )
        self.config.chmod(0o600)
        (folder / "mail").mkdir()

    def sync(self) -> None:
        told([program("mbsync"), "--config", self.config, "--all"], seconds=600)

    def near(self, name: str = "INBOX") -> mailbox.Maildir:
        return mailbox.Maildir(self.folder / "mail" / name)

    def far(self, name: str = "INBOX") -> dict[bytes, set[str]]:
        """Subjects and flags as the server has them."""
        session = self.box.imap()
        assert session.select(f'"{name}"', readonly=True)[0] == "OK"
        found: dict[bytes, set[str]] = {}
        for piece in session.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(piece, tuple):
                flags = piece[0].split(b"FLAGS (")[1].split(b")")[0].decode().split()
                found[piece[1].strip().removeprefix(b"Subject: ")] = set(flags) - {"\\Recent"}
        session.logout()
        return found


@pytest.fixture
def pair(box: Box, tmp_path: Path) -> Pair:
    return Pair(box, tmp_path)


def letter(number: int) -> bytes:
    return f"From: a@b.example\r\nSubject: n{number}\r\n\r\n{'una riga ' * (number % 50)}\r\n".encode()


def near_state(box: mailbox.Maildir) -> dict[bytes, str]:
    return {str(message["Subject"]).encode(): message.get_flags() for message in box}


@pytest.mark.timeout(1_800)
def test_both_ways(pair: Pair) -> None:
    for number in range(MESSAGES):
        pair.near().add(letter(number).replace(b"\r\n", b"\n"))
    pair.sync()
    assert set(pair.far()) == {b"n%d" % number for number in range(MESSAGES)}

    session = pair.box.imap()  # the server's side changes: some are read, some go, some come
    session.select("INBOX")
    session.store("1:10", "+FLAGS.SILENT", "(\\Seen \\Flagged)")
    session.store("11:20", "+FLAGS.SILENT", "(\\Deleted)")
    session.expunge()
    for number in range(10):
        assert session.append("INBOX", "(\\Answered)", None, letter(MESSAGES + number))[0] == "OK"
    session.create('"Progetti 2026"')
    session.append('"Progetti 2026"', None, None, letter(7))
    session.logout()

    near = pair.near()  # and the side on disk, in other messages
    for key, message in list(near.items())[:]:
        if message["Subject"] in ("n100", "n101"):
            near.remove(key)
        if message["Subject"] == "n102":
            message.set_flags("FS")
            message.set_subdir("cur")
            near[key] = message
    lavori = mailbox.Maildir(pair.folder / "mail" / "Lavori", create=True)
    lavori.add(letter(8).replace(b"\r\n", b"\n"))

    pair.sync()
    pair.sync()
    far, near_now = pair.far(), near_state(pair.near())
    assert set(far) == set(near_now)
    assert len(far) == MESSAGES - 10 - 2 + 10
    assert not {b"n100", b"n101"} & set(far)
    assert far[b"n102"] == {"\\Flagged", "\\Seen"}
    letters = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R"}
    assert {subject: "".join(sorted(letters[flag] for flag in flags)) for subject, flags in far.items()} == near_now
    assert set(pair.far("Lavori")) == {b"n8"}
    assert set(near_state(pair.near("Progetti 2026"))) == {b"n7"}


def test_bytes_come_back_as_they_went(pair: Pair) -> None:
    golden = Path(__file__).parent.parent / "golden" / "envelope" / "plain" / "expected.eml"
    session = pair.box.imap()
    session.append("INBOX", None, None, golden.read_bytes())
    session.logout()
    pair.sync()
    (key,) = pair.near().keys()
    kept = pair.near().get_bytes(key)
    lines = [line for line in kept.split(b"\n") if not line.startswith(b"X-TUID: ")]  # mbsync's own mark
    assert b"\r\n".join(lines) == golden.read_bytes()
