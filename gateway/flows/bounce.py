"""The delivery status notification for mail that an ordinary server refused (RFC 3462, RFC 3464)."""

from datetime import datetime
from email.utils import format_datetime

from receipts.octets import Octets
from receipts.scanner import scan_header

__all__ = ["bounce"]

MAX_RETURNED = 64 * 1024  # bytes of the header that are given back


def bounce(
    returned: Octets,
    *,
    at: datetime,
    host: str,
    postmaster: str,
    sender: str,
    recipient: str,
    status: str,
    explanation: tuple[str, str],
    diagnostic: str,
    arrived: datetime,
    token: str,
) -> Octets:
    """A notification about one recipient, to be sent under the null reverse path.

    Args:
        returned: the message; its header is given back, not its content.
        host: our host name.
        postmaster: whom the notification comes from.
        status: enhanced status code of the failure.
        explanation: what happened, in Italian and in English.
        diagnostic: the peer's reply or what stood in its place: printable ASCII.
        token: 32 hexadecimal digits, for message identifier and boundary.
    """
    boundary = f"ds{token}"
    domain = postmaster.rpartition("@")[2]
    italian, english = (_ascii(text) for text in explanation)
    sender, recipient = _ascii(sender), _ascii(recipient)
    lines = [
        f"Date: {format_datetime(at)}",
        f"From: {postmaster}",
        f"To: {sender}",
        "Subject: Messaggio non consegnato / Undelivered message",
        f"Message-ID: <{token}@{domain}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "Il messaggio non e' stato consegnato a questo indirizzo di posta ordinaria:",
        f"  {recipient}",
        f"Motivo: {italian}",
        "",
        "The message was not delivered to the address of ordinary mail above:",
        f"  {english}",
        "",
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns; {host}",
        f"Arrival-Date: {format_datetime(arrived)}",
        "",
        f"Final-Recipient: rfc822; {recipient}",
        "Action: failed",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; {_ascii(diagnostic)}",
        f"Last-Attempt-Date: {format_datetime(at)}",
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
        "",
    ]
    header = returned.slice(0, min(scan_header(returned).stop, MAX_RETURNED))
    return Octets.of("\r\n".join(lines).encode("ascii", "replace"), header, f"\r\n--{boundary}--\r\n".encode("ascii"))


def _ascii(text: str) -> str:
    return "".join(character if " " <= character <= "~" else "?" for character in text)
