"""Forwarding: a new ordinary message with the delivered one attached, never the delivered one itself (D34).

An envelope that travelled on would earn receipts from the next provider. What is forwarded comes from the provider's
notice address under the null reverse path, says that a machine sent it, and bears a mark by which it is never
forwarded again.
"""

from datetime import datetime

from gateway.points.ordinary import LOOP_MARK
from receipts.headers import CRLF, date, line, mailbox, unstructured, visible
from receipts.octets import Octets
from receipts.writer import is_clear, is_seven_bit

__all__ = ["forwarded"]

PREFIX = "Fwd: "
LONGEST_SUBJECT = 500  # characters

TEXT = """\
Messaggio inoltrato automaticamente dalla casella {box}.
Il messaggio originale, come consegnato, e' allegato: valgono le firme
e i dati che contiene, non questa busta.

Message forwarded automatically from the mailbox {box}.
The message as it was delivered is attached: what counts are the
signatures and data in it, not this cover.
"""


def forwarded(
    delivered: Octets,
    *,
    at: datetime,
    notice_address: str,
    box: str,
    to: str,
    subject: str | None,
    token: str,
) -> Octets | None:
    """The message that leaves; None if the token stands in the delivered one, so that another must be taken.

    Args:
        delivered: the message as it lies in the mailbox.
        notice_address: whom it comes from.
        box: the mailbox's own address.
        subject: of the delivered message, decoded.
        token: 32 hexadecimal digits, for message identifier and boundary.
    """
    if not is_clear(token, delivered):
        return None
    boundary = f"fw{token}".encode("ascii")
    encoding = b"7bit" if is_seven_bit(delivered) else b"8bit"
    head = (
        date(at),
        mailbox("From", notice_address),
        line("To", to),
        unstructured("Subject", visible(subject or "")[:LONGEST_SUBJECT].strip(), prefix=PREFIX),
        line("Message-ID", f"<{token}@{notice_address.rpartition('@')[2]}>"),
        line("Auto-Submitted", "auto-generated"),  # RFC 3834 5
        line(LOOP_MARK, box),
        line("MIME-Version", "1.0"),
        b'Content-Type: multipart/mixed;\r\n boundary="' + boundary + b'"' + CRLF,
        b"Content-Transfer-Encoding: " + encoding + CRLF,
        CRLF,
        b"--" + boundary + CRLF,
        b"Content-Type: text/plain; charset=us-ascii" + CRLF + CRLF,
        TEXT.format(box=box).replace("\n", "\r\n").encode("ascii", "replace"),
        CRLF + b"--" + boundary + CRLF,
        b'Content-Type: message/rfc822; name="messaggio.eml"' + CRLF,
        b'Content-Disposition: attachment; filename="messaggio.eml"' + CRLF,
        b"Content-Transfer-Encoding: " + encoding + CRLF + CRLF,
    )
    return Octets.of(b"".join(head), delivered, CRLF + b"--" + boundary + b"--" + CRLF)
