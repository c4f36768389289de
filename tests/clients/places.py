"""Mailbox servers that programs are pointed at: ours in a lab, and Dovecot, which everybody knows."""

import imaplib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.dovecot import PASSWORD, Dovecot, require
from tests.dovecot import running as running_dovecot
from tests.lab.labs import running
from tests.throwaway import Throwaway

__all__ = ["Box", "Place", "ceralacca", "dovecot", "program", "told"]

BOXES = 40
FOLDERS = ("Sent", "Drafts", "Trash", "Junk", "Archive")


@dataclass(frozen=True)
class Box:
    """An empty mailbox, and where it is."""

    user: str
    password: str
    imaps: int
    ca_file: Path
    pop3s: int = 0  # of servers that tests here ask by POP3

    def imap(self) -> imaplib.IMAP4_SSL:
        """A session that is signed in; its answers may be long."""
        context = Throwaway(self.ca_file, self.ca_file).client()
        session = imaplib.IMAP4_SSL("localhost", self.imaps, ssl_context=context, timeout=60)
        session.login(self.user, self.password)
        return session


@dataclass
class Place:
    """A server with boxes that nobody has used yet."""

    name: str
    imaps: int
    ca_file: Path
    accounts: list[tuple[str, str]] = field(default_factory=list)
    pid: int = 0  # of our server
    pop3s: int = 0
    dovecot: Dovecot | None = None
    https: int = 0  # of our server

    def box(self) -> Box:
        user, password = self.accounts.pop()
        return Box(user, password, self.imaps, self.ca_file, self.pop3s)


@contextmanager
def ceralacca(folder: Path) -> Iterator[Place]:
    """The first provider of a lab."""
    with running(folder / "lab", "--providers", "1", "--accounts", str(BOXES)) as lab:
        accounts = [(account["address"], account["password"]) for account in lab.description["accounts"]]
        provider = lab.description["providers"][0]
        try:
            ca_file = Path(lab.description["ca_file"])
            ports = provider["ports"]
            yield Place(
                "ceralacca",
                ports["imaps"],
                ca_file,
                accounts,
                provider["pid"],
                ports["pop3s"],
                https=ports["https"],
            )
        finally:
            lab.stop()  # before anybody looks into the boxes: what tests put there is nothing to certify


@contextmanager
def dovecot(tls: Throwaway | None = None, *, location: str = "sdbox:~/sdbox") -> Iterator[Place]:
    """A Dovecot of its own; certificate and place of its mail as tests/dovecot.py has them."""
    require()
    users = [f"box{number}@dovecot.example" for number in range(BOXES)]
    with running_dovecot(users=users, folders=FOLDERS, location=location, tls=tls) as server:
        accounts = [(user, PASSWORD) for user in users]
        yield Place("dovecot", server.imaps, server.tls.certificate, accounts, pop3s=server.pop3s, dovecot=server)


def program(name: str) -> str:
    """Where a program is. Without it the test is left out, but never in CI."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def told(command: list[str | Path], *, prefix: str = "", seconds: float = 120, home: Path | None = None) -> str:
    """What a program writes; it must end well."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **({"HOME": str(home)} if home else {})}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=seconds, check=False)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, text
    return prefix + text
