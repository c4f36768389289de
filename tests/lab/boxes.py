"""Reading mailboxes from outside: over POP3S, or from the ordinary server's Maildir."""

import poplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.mail import CertifiedMail, read_mail
from tests.lab.waiting import until

__all__ = ["Mailbox", "MaildirBox"]


class Box:
    """Whatever holds messages."""

    def raw(self) -> list[bytes]:
        """Every message in it, oldest first, with CRLF."""
        raise NotImplementedError

    def mails(self) -> list[CertifiedMail]:
        """The certified messages in it."""
        return [mail for mail in map(read_mail, self.raw()) if mail is not None]

    def about(self, msgid: str) -> list[CertifiedMail]:
        """The certified messages that refer to a client's Message-ID."""
        return [mail for mail in self.mails() if mail.reference == msgid]

    def wait(self, wanted: Callable[[CertifiedMail], bool], what: str, *, seconds: float = 180) -> CertifiedMail:
        """The first certified message that is wanted, as soon as it is there."""
        return until(lambda: next(filter(wanted, self.mails()), None), f"{what} in {self}", seconds=seconds)


@dataclass(frozen=True)
class Mailbox(Box):
    """One mailbox, over POP3S."""

    address: str
    password: str
    port: int
    context: ssl.SSLContext

    def __str__(self) -> str:
        return self.address

    def raw(self) -> list[bytes]:
        box = poplib.POP3_SSL("localhost", self.port, context=self.context, timeout=60)
        try:
            box.user(self.address)
            box.pass_(self.password)
            return [_joined(box.retr(number + 1)[1]) for number in range(len(box.list()[1]))]
        finally:
            box.quit()


@dataclass(frozen=True)
class MaildirBox(Box):
    """A Maildir of files that hold messages as they came."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def raw(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted((self.folder / "new").iterdir())]


def _joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\r\n" for line in lines)
