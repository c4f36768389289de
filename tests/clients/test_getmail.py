"""getmail takes a box into a Maildir, each message once and byte for byte, over POP3 and over IMAP."""

import mailbox
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.places import Box, program

MESSAGES = 4
DELIVER = "cat > mail/tmp/$$ && mv mail/tmp/$$ mail/new/ && sleep 1"
"""Getmail 6.18 may not notice that what delivers has ended, if that is over before it begins to wait, and gives up
after a minute; so it is not over at once. Its own delivery into Maildirs has that fault too, at any server."""
RETRIEVERS = {"pop3": "SimplePOP3SSLRetriever", "imap": "SimpleIMAPSSLRetriever"}


def letter(number: int) -> bytes:
    return b"From: a@b.example\r\nSubject: n%d\r\n\r\n.una riga\r\n" % number + b"altre righe\r\n" * number


@dataclass(frozen=True)
class Fetching:
    """getmail, set up for one box."""

    box: Box
    folder: Path

    def run(self) -> str:
        """What it says."""
        command = [program("getmail"), "--getmaildir", str(self.folder), "--rcfile", str(self.folder / "getmailrc")]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            cwd=self.folder,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def taken(self) -> list[bytes]:
        """Messages in the Maildir, with the line ends of the wire and without the fields that getmail writes."""
        maildir = mailbox.Maildir(self.folder / "mail", create=False)
        raw = (maildir.get_bytes(key).replace(b"\n", b"\r\n") for key in maildir.iterkeys())
        return sorted(re.sub(rb"^(Return-Path|X-getmail-[a-z-]+): .*\r\n", b"", one, flags=re.MULTILINE) for one in raw)


@pytest.fixture(params=list(RETRIEVERS))
def fetching(box: Box, request: pytest.FixtureRequest, tmp_path: Path) -> Fetching:
    program("getmail")
    session = box.imap()
    for number in range(MESSAGES):
        assert session.append("INBOX", None, None, letter(number))[0] == "OK"
    session.logout()
    mailbox.Maildir(tmp_path / "mail", create=True)
    settings = tmp_path / "getmailrc"
    settings.touch(0o600)
    settings.write_text(
        f"""
[retriever]
type = {RETRIEVERS[request.param]}
server = localhost
port = {box.pop3s if request.param == "pop3" else box.imaps}
username = {box.user}
password = {box.password}
ca_certs = {box.ca_file}
timeout = 60
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "{DELIVER}")
allow_root_commands = true
[options]
read_all = false
delete = false
delivered_to = false
received = false
"""
    )
    return Fetching(box, tmp_path)


def test_getmail(fetching: Fetching) -> None:
    fetching.run()
    assert fetching.taken() == sorted(map(letter, range(MESSAGES)))
    session = fetching.box.imap()
    assert session.append("INBOX", None, None, letter(MESSAGES))[0] == "OK"
    session.logout()
    assert "1 messages" in fetching.run()
    assert fetching.taken() == sorted(map(letter, range(MESSAGES + 1))), "each once, and the new one"
