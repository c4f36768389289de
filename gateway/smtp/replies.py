"""Every SMTP reply, once, with its source: code, enhanced code (RFC 3463) and what the other end may know.

The other end gets the general text; the log gets the detail. RFC numbers stand where a reply is prescribed,
D-numbers where a decision of this program chose it.
"""

import logging
from collections.abc import Mapping

from gateway.flows.outcomes import (
    Accepted,
    NotAccepted,
    ReceiveOutcome,
    RecipientAnswer,
    Refusal,
    RightWithdrawn,
    SignInFailure,
    SubmitOutcome,
    Taken,
)
from gateway.points.screening import NotScreened
from receipts.errors import GatewayError, TemporaryError
from receipts.records import record

__all__ = ["Reply", "arrived", "bare", "enhanced", "recipient", "reply_for", "sign_in_failed", "submitted"]

log = logging.getLogger(__name__)


@record()
class Reply:
    """One reply of one line. ``status`` is the enhanced code; greetings and HELO replies have none (RFC 2034 4)."""

    code: int
    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.status} {self.text}" if self.status else f"{self.code} {self.text}"

    def __bytes__(self) -> bytes:
        return f"{self}\r\n".encode("ascii", "replace")

    @property
    def good(self) -> bool:
        return self.code < 400


# The session
OK = Reply(250, "2.0.0", "OK")  # RFC 5321 4.1.1.5, 4.1.1.9
BYE = Reply(221, "2.0.0", "Goodbye")  # RFC 5321 4.1.1.10
HELP = Reply(214, "2.0.0", "RFC 5321; write to postmaster")  # RFC 5321 4.1.1.8
CANNOT_VERIFY = Reply(252, "2.5.0", "Send some mail, it will be tried")  # RFC 5321 3.5.3
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")  # RFC 5321 4.2.4
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognized")  # RFC 5321 4.2.4
BAD_ARGUMENT = Reply(501, "5.5.4", "Syntax error in arguments")  # RFC 5321 4.2.2
HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO first")  # RFC 5321 4.1.4
OUT_OF_ORDER = Reply(503, "5.5.1", "Bad sequence of commands")  # RFC 5321 4.1.4
NESTED_MAIL = Reply(503, "5.5.1", "A transaction is open already")  # RFC 5321 4.1.1.2
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")  # RFC 5321 3.3, RFC 2920 3.1

# Lines (D11)
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")  # RFC 5321 4.5.3.1.4
LINE_NOT_ASCII = Reply(500, "5.5.2", "Commands are ASCII")  # RFC 5321 2.4
LINE_NOT_CRLF = Reply(500, "5.5.2", "Lines end with CRLF; goodbye")  # RFC 5321 2.3.8; the session ends
TALKS_FIRST = Reply(554, "5.5.1", "You spoke before the greeting; goodbye")  # RFC 5321 4.3.1; the session ends

# The transaction
SENDER_OK = Reply(250, "2.1.0", "Sender OK")  # RFC 5321 4.1.1.2
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")  # RFC 5321 4.1.1.3
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")  # RFC 5321 4.1.1.4
BAD_PATH = Reply(501, "5.1.3", "Address not understood")  # RFC 5321 4.1.2
BAD_SENDER_PATH = Reply(501, "5.1.7", "Address not understood")  # RFC 5321 4.1.2
NOT_ASCII_PATH = Reply(553, "5.6.7", "Addresses beyond ASCII are not supported")  # RFC 6531 3.5
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognized")  # RFC 5321 4.1.1.11
TOO_BIG = Reply(552, "5.3.4", "Message too big")  # D14; RFC 1870 6.1
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")  # D14; RFC 5321 4.5.3.1.10
NOT_YOUR_ADDRESS = Reply(553, "5.7.1", "MAIL FROM is not an address of your account")  # D13
NOT_A_SENDER = Reply(550, "5.7.1", "This account may not submit messages")  # D33
NO_RIGHT_TO_SEND = Reply(550, "5.7.1", "You have no right to send from this box")  # D35
MESSAGE_BAD_LINES = Reply(554, "5.6.0", "Message holds bare CR, bare LF or NUL")  # D11
MESSAGE_LONG_LINE = Reply(554, "5.6.0", "Message holds a line over 1000 bytes")  # D11; RFC 5321 4.5.3.1.6
BUSY_MEMORY = Reply(452, "4.3.1", "Too many messages under way, try again later")  # D17
NO_ROOM = Reply(452, "4.3.1", "Out of room, try again later")  # D17: outbox size, free disk
TOO_MUCH_MAIL = Reply(450, "4.7.1", "This account sends too much, try again later")  # D17
TROUBLE = Reply(451, "4.3.0", "Try again later")  # style; RFC 5321 4.2.2
NOT_SCREENED = Reply(451, "4.7.0", "The message cannot be checked for viruses now, try again later")
FAILED = Reply(554, "5.0.0", "Transaction failed")  # RFC 5321 4.2.2
KEPT = Reply(250, "2.0.0", "Decided and kept")  # design, promise 1

SOURCE_ROUTE = Reply(550, "5.7.1", "Source routes are refused")  # D7; RFC 5321 appendix C

# Chunks (RFC 3030)
BAD_CHUNK = Reply(501, "5.5.4", "Syntax: BDAT size [LAST]")  # RFC 3030 2
CHUNK_OUT_OF_ORDER = Reply(503, "5.5.1", "BDAT out of order")  # RFC 3030 2

# Encryption
TLS_READY = Reply(220, "2.0.0", "Ready to start TLS")  # RFC 3207 4
TLS_ALREADY = Reply(503, "5.5.1", "TLS is on")  # RFC 3207 4.2
TLS_INJECTION = Reply(554, "5.7.0", "Nothing may follow STARTTLS; goodbye")  # D11; the session ends
TLS_FIRST = Reply(530, "5.7.0", "Say STARTTLS first")  # RFC 3207 4
TLS_NEEDED_TO_SIGN_IN = Reply(538, "5.7.11", "Encryption is required to sign in")  # RFC 4954 6

# Signing in (RFC 4954)
SIGNED_IN = Reply(235, "2.7.0", "Welcome")  # RFC 4954 6
SIGN_IN_FIRST = Reply(530, "5.7.0", "Sign in first")  # RFC 4954 6
SIGNED_IN_ALREADY = Reply(503, "5.5.1", "You are signed in")  # RFC 4954 4
SIGN_IN_FAILED = Reply(535, "5.7.8", "User name or password wrong")  # RFC 4954 6
SIGN_IN_ABORTED = Reply(501, "5.7.0", "Sign-in aborted")  # RFC 4954 4
SIGN_IN_BAD_SYNTAX = Reply(501, "5.5.2", "Sign-in answer not understood")  # RFC 4954 4
NO_SUCH_MECHANISM = Reply(504, "5.5.4", "Mechanism not supported")  # RFC 4954 4
SIGN_IN_LATER = Reply(454, "4.7.0", "Too many sign-ins, try again later")  # D16
SIGN_IN_UNAVAILABLE = Reply(454, "4.7.0", "Sign-in not possible now, try again later")  # RFC 4954 6

# Endings
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections, try again later")  # D17
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, goodbye")  # D17
TOO_SLOW = Reply(421, "4.4.2", "Timeout, goodbye")  # RFC 5321 4.5.3.2
SESSION_TOO_LONG = Reply(421, "4.4.2", "Session too long, goodbye")  # D17
SHUTTING_DOWN = Reply(421, "4.3.2", "Shutting down, try again later")  # RFC 5321 3.8
SESSION_REVOKED = Reply(421, "4.7.0", "Your session was ended")  # D16

RECIPIENTS: Mapping[RecipientAnswer, Reply] = {
    RecipientAnswer.WELCOME: RECIPIENT_OK,
    RecipientAnswer.NOT_LOCAL: Reply(550, "5.7.1", "Relaying denied"),  # D7
    RecipientAnswer.UNKNOWN_MAILBOX: Reply(550, "5.1.1", "No such mailbox here"),  # D7
    RecipientAnswer.FULL: Reply(452, "4.2.2", "Mailbox full"),  # D13
    RecipientAnswer.APART: Reply(452, "4.5.3", "Send to this recipient by itself"),  # RFC 5321 4.5.3.1.10
}

REFUSALS: Mapping[Refusal, Reply] = {
    Refusal.UNKNOWN_RECIPIENT: Reply(550, "5.1.1", "No such mailbox here"),  # D7
    Refusal.INFECTED: Reply(554, "5.7.1", "Message refused: it carries a virus"),  # D7
    Refusal.LOOP: Reply(554, "5.4.6", "Too many hops"),  # D8
    Refusal.POLICY: Reply(550, "5.7.1", "Ordinary mail is not taken here"),  # D7
    Refusal.MAILBOX_FULL: Reply(452, "4.2.2", "Mailbox full"),  # D13
}

SIGN_IN_FAILURES: Mapping[SignInFailure, Reply] = {
    SignInFailure.WRONG: SIGN_IN_FAILED,
    SignInFailure.NEEDS_DEVICE: Reply(534, "5.7.9", "This account needs a device password: ask your provider for one"),
    SignInFailure.CLOSED: Reply(535, "5.7.8", "This account is not used by SMTP"),
    SignInFailure.BUSY: SIGN_IN_LATER,
    SignInFailure.TOO_MANY: SIGN_IN_LATER,
}

ERRORS: Mapping[type[GatewayError], Reply] = {
    NotScreened: NOT_SCREENED,
    RightWithdrawn: NO_RIGHT_TO_SEND,
    TemporaryError: TROUBLE,
    GatewayError: FAILED,
}

STATUS_OF_CODE: Mapping[int, str] = {
    221: "2.0.0",
    235: "2.7.0",
    250: "2.0.0",
    454: "4.7.0",
    500: "5.5.2",
    501: "5.5.4",
    502: "5.5.1",
    503: "5.5.1",
    504: "5.5.4",
    538: "5.7.11",
}
"""Enhanced codes for the replies that aiosmtpd words by itself and leaves without one."""


def recipient(answer: RecipientAnswer) -> Reply:
    return RECIPIENTS[answer]


def submitted(outcome: SubmitOutcome) -> Reply:
    """250 either way: the decision is kept (D13)."""
    match outcome:
        case Accepted(pec_msgid):
            return Reply(250, "2.6.0", f"<{pec_msgid}> accepted")
        case NotAccepted(pec_msgid):
            return Reply(250, "2.6.0", f"<{pec_msgid}> not accepted, notice issued")


def arrived(outcome: ReceiveOutcome) -> Reply:
    return KEPT if isinstance(outcome, Taken) else REFUSALS[outcome.why]


def sign_in_failed(failure: SignInFailure) -> Reply:
    return SIGN_IN_FAILURES[failure]


def reply_for(error: BaseException) -> Reply:
    """The reply to an error of a flow, which is logged here with its detail and without any content.

    What is no GatewayError is a bug: the peer tries again and no mail is lost.
    """
    for kind, reply in ERRORS.items():
        if isinstance(error, kind):
            log.warning("transaction ended", extra={"reply": str(reply)}, exc_info=error)
            return reply
    log.error("transaction failed on a bug", exc_info=error)
    return TROUBLE


def enhanced(line: str) -> str:
    """A reply line with its enhanced code: as it is if it has one, else the usual one for its code."""
    code, separator, text = line.partition(" ")
    status = STATUS_OF_CODE.get(int(code), "") if code.isdigit() and separator else ""
    if not status or text[:2] in {"2.", "4.", "5."}:
        return line
    return f"{code} {status} {text}"


def bare(code: int, text: str) -> Reply:
    """A reply that carries no enhanced code: the greeting and the answer to HELO."""
    return Reply(code, "", text)
