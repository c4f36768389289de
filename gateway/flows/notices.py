"""A word to an ordinary mailbox that something has come: that, where and when, and nothing of what it says."""

from datetime import datetime

from receipts.headers import CRLF, date, line, mailbox, unstructured

__all__ = ["arrival_notice"]

SUBJECT = "Nuovo messaggio nella casella {box} / New message in {box}"
TEXT = """\
Nella casella {box} e' arrivato un messaggio.
A message has arrived in the mailbox {box}.
"""


def arrival_notice(*, at: datetime, notice_address: str, box: str, to: str, token: str) -> bytes:
    """The notice; ``token`` is for its Message-ID."""
    return b"".join(
        (
            date(at),
            mailbox("From", notice_address),
            line("To", to),
            unstructured("Subject", SUBJECT.format(box=box)),
            line("Message-ID", f"<{token}@{notice_address.rpartition('@')[2]}>"),
            line("Auto-Submitted", "auto-generated"),  # RFC 3834 5
            line("MIME-Version", "1.0"),
            b"Content-Type: text/plain; charset=us-ascii" + CRLF,
            b"Content-Transfer-Encoding: 7bit" + CRLF + CRLF,
            TEXT.format(box=box).replace("\n", "\r\n").encode("ascii", "replace"),
        )
    )
