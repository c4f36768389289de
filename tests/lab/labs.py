"""Labs in processes of their own, as a program outside sees them: by lab.json and by sockets."""

import json
import os
import selectors
import signal
import smtplib
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any, BinaryIO

from tests.lab.boxes import Mailbox, MaildirBox
from tests.lab.census import summary, take_census

__all__ = ["COMMAND", "Account", "Lab", "alive", "letter", "running"]

COMMAND = (sys.executable, "-m", "gateway.cli")
START_SECONDS, STOP_SECONDS = 300, 180


@dataclass(frozen=True)
class Account:
    address: str
    password: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class Lab:
    """A lab that was started by ``running``."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process

    @property
    def file(self) -> Path:
        return self.folder / "lab.json"

    @property
    def description(self) -> dict[str, Any]:
        """What lab.json says now."""
        found: dict[str, Any] = json.loads(self.file.read_bytes())
        return found

    def provider(self, domain: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.description["providers"] if one["domain"] == domain)
        return found

    def account(self, address: str) -> Account:
        """An account, or a service account, by its address."""
        lab = self.description
        accounts = [*lab["accounts"], *(one["service_account"] for one in lab["providers"])]
        return Account(**next(one for one in accounts if one["address"] == address))

    def context(self) -> ssl.SSLContext:
        """What a client trusts that was given ``ca_file``."""
        return ssl.create_default_context(cafile=self.description["ca_file"])

    def mailbox(self, address: str) -> Mailbox:
        """The mailbox of an account or service account, over POP3S."""
        account = self.account(address)
        return Mailbox(
            address=address,
            password=account.password,
            port=self.provider(account.domain)["ports"]["pop3s"],
            context=self.context(),
        )

    def service_mailbox(self, domain: str) -> Mailbox:
        return self.mailbox(self.provider(domain)["service_account"]["address"])

    def mailboxes(self) -> list[Mailbox]:
        """All there are, service mailboxes too."""
        lab = self.description
        addresses = [one["address"] for one in lab["accounts"]]
        return [*map(self.mailbox, addresses), *(self.service_mailbox(one["domain"]) for one in lab["providers"])]

    def ordinary(self) -> MaildirBox:
        """What the ordinary server has filed."""
        return MaildirBox(Path(self.description["ordinary"]["maildir"]))

    @contextmanager
    def submission(self, sender: str, *, starttls: bool = False) -> Iterator[smtplib.SMTP]:
        """A session on which ``sender`` has signed in."""
        account = self.account(sender)
        ports = self.provider(account.domain)["ports"]
        client: smtplib.SMTP
        if starttls:
            client = smtplib.SMTP("localhost", ports["submission"], timeout=60)
            client.starttls(context=self.context())
        else:
            client = smtplib.SMTP_SSL("localhost", ports["submissions"], context=self.context(), timeout=60)
        with client:
            client.login(account.address, account.password)
            yield client

    def send(self, message: EmailMessage, *, starttls: bool = False) -> str:
        """Hand a message in for all it names in To and Cc; its Message-ID."""
        with self.submission(message["From"], starttls=starttls) as client:
            refused = client.send_message(message)
        assert not refused
        return str(message["Message-ID"])

    def stop(self) -> None:
        """Ctrl-C, and wait for the end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        assert self.process.wait(STOP_SECONDS) == 0


def letter(
    sender: str, *, to: Sequence[str], cc: Sequence[str] = (), subject: str, text: str = "ciao\n"
) -> EmailMessage:
    """A message as any mail program writes it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(to), subject
    if cc:
        message["Cc"] = ", ".join(cc)
    message["Message-ID"] = make_msgid(domain="client.example")
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    message.set_content(text)
    return message


@contextmanager
def running(folder: Path, *options: str, under: Sequence[str] = (), expect_stop: bool = True) -> Iterator[Lab]:
    """A lab in ``folder``, ready. It is stopped in order at the end, or dead when the test fails.

    Before it stops, OpenSSL sees every certified message that entered any of its mailboxes.

    Args:
        under: a command that runs it.
        expect_stop: whether it is to be stopped here, unless it was before.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.errors").open("wb") as errors:
        process = subprocess.Popen(
            [*under, *COMMAND, "lab", "--dir", str(folder), "--quiet", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            assert process.stdout is not None
            line = _line(process.stdout, START_SECONDS)
            told = (folder.parent / f"{folder.name}.errors").read_text()
            assert line == f"ready: {folder / 'lab.json'}\n", f"{line!r} {told}"
            lab = Lab(folder, process)
            yield lab
            if expect_stop and process.poll() is None:
                print(summary(take_census(lab, folder.parent)))
                lab.stop()
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        os.kill(pid, 0)
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def _line(stream: BinaryIO, seconds: float) -> str:
    """The first line a process writes, read as it comes."""
    os.set_blocking(stream.fileno(), False)
    got, deadline = b"", time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not got.endswith(b"\n") and (left := deadline - time.monotonic()) > 0:
            if selector.select(left):
                piece = os.read(stream.fileno(), 4096)
                if not piece:
                    break
                got += piece
    return got.decode()
