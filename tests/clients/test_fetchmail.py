"""fetchmail takes all there is, once, over IMAP and over POP3."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.places import Box, program

MESSAGES = 20


@pytest.fixture
def full(box: Box) -> Box:
    session = box.imap()
    for number in range(MESSAGES):
        message = f"From: a@b.example\r\nSubject: n{number}\r\n\r\n.una riga\r\n".encode()
        assert session.append("INBOX", None, None, message)[0] == "OK"
    session.logout()
    return box


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_fetchmail(full: Box, protocol: str, tmp_path: Path) -> None:
    how = f"imap port {full.imaps}" if protocol == "imap" else f"pop3 port {full.pop3s} uidl"
    configuration = tmp_path / "fetchmailrc"
    taken = tmp_path / "taken"
    configuration.touch(0o600)
    configuration.write_text(
        f'poll localhost protocol {how} username "{full.user}" password "{full.password}" '
        f'ssl sslcertck sslcertfile "{full.ca_file}" keep mda "cat >> {taken}; echo >> {taken}"\n'
    )
    command = [program("fetchmail"), "--fetchmailrc", str(configuration), "--pidfile", str(tmp_path / "pid")]
    environment = {**os.environ, "FETCHMAILHOME": str(tmp_path), "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert taken.read_bytes().count(b"Subject: n") == MESSAGES
    again = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)
    assert again.returncode == 1, again.stdout + again.stderr  # nothing new
