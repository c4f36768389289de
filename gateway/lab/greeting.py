"""The message that a lab sends by itself, over the same sockets as any mail program."""

import email.utils
import smtplib
import ssl
from email.message import EmailMessage

from gateway.lab.plan import AccountPlan
from gateway.lab.running import Lab

__all__ = ["SUBJECT", "NotSent", "send_greeting"]

SUBJECT = "Il primo messaggio certificato"
TEXT = "Questo messaggio viaggia fra due gestori di posta certificata.\n"
PATIENCE_SECONDS = 30


class NotSent(RuntimeError):
    """The provider did not take the message; the text says why."""


def send_greeting(running: Lab) -> None:
    """Send a message from the first provider's first account to the second provider's second.

    Raises:
        NotSent: see above.
    """
    sender, recipient = _pair(running)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender.address, recipient.address, SUBJECT
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain="lab.example")
    message.set_content(TEXT)
    port = running.plan.providers[0].ports["submissions"]
    context = ssl.create_default_context(cafile=str(running.layout.ca_file))
    try:
        with smtplib.SMTP_SSL("localhost", port, context=context, timeout=PATIENCE_SECONDS) as client:
            client.login(sender.address, sender.password)
            client.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"the first message was not sent: {error}") from error


def _pair(running: Lab) -> tuple[AccountPlan, AccountPlan]:
    """Of different providers, and of different names, where there are such."""
    first, last = running.plan.providers[0], running.plan.providers[min(1, len(running.plan.providers) - 1)]
    return first.accounts[0], last.accounts[min(1, len(last.accounts) - 1)]
