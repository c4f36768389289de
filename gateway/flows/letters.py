"""Letters of the service to a holder: ordinary messages, filed in the holder's own mailbox.

They say what a holder should know of the account. They certify nothing, so they carry no seal and none of the marks of
certified mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.flows.effects import Effects, stored_form
from gateway.storage.mailboxes import SERVICE
from receipts import headers
from receipts.octets import Octets
from receipts.writer import quoted_printable

__all__ = ["Letter", "Writer", "post"]


@dataclass(frozen=True, slots=True)
class Letter:
    """What is written, in the holder's language."""

    subject: str
    lines: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who writes: the provider's name and its postmaster."""

    name: str
    address: str

    def written(self, letter: Letter, to: str, *, at: datetime, token: str) -> Octets:
        """The letter as a message.

        Args:
            token: 32 hexadecimal digits, for the message identifier.
        """
        domain = self.address.rpartition("@")[2]
        body = "".join(f"{line}\r\n" for line in letter.lines).encode("utf-8", "replace")
        return Octets.of(
            b"".join(
                (
                    headers.date(at),
                    headers.mailbox("From", self.address, self.name),
                    headers.mailbox("To", to),
                    headers.unstructured("Subject", headers.visible(letter.subject)),
                    headers.line("Message-ID", f"<{token}@{domain}>"),
                    headers.line("Auto-Submitted", "auto-generated"),  # RFC 3834: no vacation notice answers it
                    headers.line("MIME-Version", "1.0"),
                    headers.line("Content-Type", "text/plain; charset=utf-8"),
                    headers.line("Content-Transfer-Encoding", "quoted-printable"),
                    b"\r\n",
                    quoted_printable(body),
                )
            )
        )


def post(effects: Effects, mailbox_id: int, letter: Octets) -> None:
    """Put a written letter into a mailbox."""
    effects.file(mailbox_id, stored_form(letter, ""), kind=SERVICE)
