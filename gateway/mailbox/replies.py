"""Every POP3 reply once, with its source."""

from typing import Final

from gateway.flows.outcomes import SignInFailure
from gateway.mailbox.grammar import Malformed

__all__ = [
    "ASK",
    "BAD_AUTH",
    "BUSY",
    "CANCELLED",
    "CLEAR",
    "FAILED",
    "FAREWELL",
    "GREETING",
    "IN_USE",
    "KEPT",
    "LONG",
    "MALFORMED",
    "NO_MESSAGE",
    "NO_RIGHT",
    "OK",
    "REFUSED",
    "RIGHTS_CHANGED",
    "SHUTDOWN",
    "SIGNED_OUT",
    "STILL_OK",
    "TIMEOUT",
    "TLS_ALREADY",
    "TLS_GO",
    "TOO_MANY_BAD",
    "USER",
    "UTF8",
    "WRONG_STATE",
    "capabilities",
    "ok",
]

GREETING: Final = b"+OK Ceralacca POP3 ready\r\n"  # RFC 1939 section 4; no APOP, so no time stamp
OK: Final = b"+OK\r\n"
USER: Final = b"+OK send PASS\r\n"  # RFC 1939 section 7: the same for users that do not exist
UTF8: Final = b"+OK messages come as they lie in the box\r\n"  # RFC 6856 2; in either mode (docs/mailboxes.md)
ASK: Final = b"+ \r\n"  # RFC 5034 section 4
TLS_GO: Final = b"+OK begin TLS\r\n"  # RFC 2595 section 4
FAREWELL: Final = b"+OK bye\r\n"
STILL_OK: Final = b"+OK marks removed\r\n"

NO_MESSAGE: Final = b"-ERR no such message\r\n"
NO_RIGHT: Final = b"-ERR [SYS/PERM] you have no right to delete in this box\r\n"  # D35
WRONG_STATE: Final = b"-ERR not now\r\n"
TLS_ALREADY: Final = b"-ERR TLS is on already\r\n"  # RFC 2595 section 4
CLEAR: Final = b"-ERR [SYS/PERM] say STLS first: passwords travel under TLS only\r\n"  # RFC 2595 2.4; SEC-02
BAD_AUTH: Final = b"-ERR [SYS/PERM] the mechanism is PLAIN\r\n"
CANCELLED: Final = b"-ERR sign-in given up\r\n"  # RFC 5034 section 4: the client said "*"
IN_USE: Final = b"-ERR [IN-USE] another session has this mailbox open\r\n"  # RFC 2449 section 8.1.2
FAILED: Final = b"-ERR [SYS/TEMP] try again later\r\n"  # RFC 3206 section 4
KEPT: Final = b"-ERR [SYS/TEMP] the messages could not be deleted\r\n"  # RFC 1939 section 6
LONG: Final = b"-ERR line too long\r\n"
TIMEOUT: Final = b"-ERR [SYS/TEMP] too slow\r\n"
TOO_MANY_BAD: Final = b"-ERR too many mistakes\r\n"
BUSY: Final = b"-ERR [SYS/TEMP] too many connections\r\n"
SHUTDOWN: Final = b"-ERR [SYS/TEMP] the server stops\r\n"
SIGNED_OUT: Final = b"-ERR [AUTH] the account is closed\r\n"
RIGHTS_CHANGED: Final = b"-ERR [AUTH] your rights in this box have changed, sign in again\r\n"  # D35

MALFORMED: Final = {why: b"-ERR %s\r\n" % why.value.encode("ascii") for why in Malformed}
REFUSED: Final = {
    SignInFailure.WRONG: b"-ERR [AUTH] user name or password wrong\r\n",  # RFC 3206 section 5
    SignInFailure.NEEDS_DEVICE: b"-ERR [AUTH] this account needs a device password: ask your provider for one\r\n",
    SignInFailure.CLOSED: b"-ERR [AUTH] this account is not used by POP3\r\n",
    SignInFailure.BUSY: FAILED,
    SignInFailure.TOO_MANY: b"-ERR [SYS/TEMP] too many failures, try again later\r\n",
}

_ALWAYS: Final = (
    b"TOP",  # RFC 1939 section 7
    b"UIDL",
    b"RESP-CODES",  # RFC 2449 section 6.4
    b"AUTH-RESP-CODE",  # RFC 3206 section 6
    b"PIPELINING",  # RFC 2449 section 6.6
    b"EXPIRE NEVER",  # RFC 2449 section 6.7
    b"IMPLEMENTATION Ceralacca",
)


def ok(text: str) -> bytes:
    return b"+OK %s\r\n" % text.encode("ascii")


def capabilities(*, tls: bool) -> bytes:
    """What works on this connection (RFC 2449 section 5): sign-in only under TLS, STLS only before it."""
    now = (b"USER", b"SASL PLAIN", b"UTF8 USER") if tls else (b"STLS", b"UTF8")  # RFC 6856 section 2
    return b"".join(b"%s\r\n" % line for line in (b"+OK", *now, *_ALWAYS, b"."))
