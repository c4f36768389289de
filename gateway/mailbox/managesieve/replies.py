"""Every ManageSieve reply once, with its source (RFC 5804)."""

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.flows.outcomes import SignInFailure
from gateway.flows.scripts import Refusal
from gateway.mailbox.managesieve.grammar import Malformed
from gateway.points.sieve.errors import ScriptRefused
from gateway.points.sieve.names import MAX_SCRIPTS
from gateway.points.sieve.script import EXTENSIONS

__all__ = [
    "ASK_PASSWORD",
    "ASK_USER",
    "BAD_AUTH",
    "BUSY",
    "CANCELLED",
    "CLEAR",
    "CONTINUE",
    "FAILED",
    "FAILED_FOR_GOOD",
    "FAREWELL",
    "LONG",
    "MALFORMED",
    "NOT_NOW",
    "NO_CREDENTIALS",
    "OK",
    "REFUSED",
    "REFUSED_SCRIPTS",
    "RIGHTS_CHANGED",
    "SHUTDOWN",
    "SIGNED_OUT",
    "TIMEOUT",
    "TLS_GO",
    "TOO_LARGE",
    "TOO_MANY_BAD",
    "TOO_MANY_FAILURES",
    "capabilities",
    "listing",
    "noted",
    "script",
    "warned",
    "wrong",
]

OK: Final = b"OK\r\n"
TLS_GO: Final = b'OK "Begin TLS."\r\n'  # 2.2
CONTINUE: Final = b'""\r\n'  # 2.1: an empty challenge
ASK_USER: Final = b'"VXNlcm5hbWU6"\r\n'  # "Username:", which is all that ever defined this mechanism
ASK_PASSWORD: Final = b'"UGFzc3dvcmQ6"\r\n'  # "Password:"
FAREWELL: Final = b'OK "Bye."\r\n'

CLEAR: Final = b'NO (ENCRYPT-NEEDED) "Say STARTTLS first: passwords travel under TLS only."\r\n'  # 1.3
NOT_NOW: Final = b'NO "Not now."\r\n'
BAD_AUTH: Final = b'NO "The mechanisms are PLAIN and LOGIN."\r\n'
NO_CREDENTIALS: Final = b'NO "No credentials."\r\n'
CANCELLED: Final = b'NO "Sign-in given up."\r\n'
FAILED: Final = b'NO (TRYLATER) "Try again later."\r\n'
TOO_LARGE: Final = b'NO (QUOTA/MAXSIZE) "The script is too large."\r\n'

BUSY: Final = b'BYE (TRYLATER) "Too many connections."\r\n'
SHUTDOWN: Final = b'BYE (TRYLATER) "The server stops."\r\n'
LONG: Final = b'BYE "Command too long."\r\n'
TIMEOUT: Final = b'BYE "Too slow."\r\n'
FAILED_FOR_GOOD: Final = b'BYE (TRYLATER) "Try again later."\r\n'
TOO_MANY_BAD: Final = b'BYE "Too many mistakes."\r\n'
TOO_MANY_FAILURES: Final = b'BYE "Too many failed sign-ins."\r\n'
SIGNED_OUT: Final = b'BYE "The account is closed."\r\n'
RIGHTS_CHANGED: Final = b'BYE "Your rights in this box have changed, sign in again."\r\n'  # D35

MALFORMED: Final = {why: b'NO "%s."\r\n' % why.value.capitalize().encode("ascii") for why in Malformed}
REFUSED: Final = {
    SignInFailure.WRONG: b'NO "User name or password wrong."\r\n',
    SignInFailure.NEEDS_DEVICE: b'NO "This account needs a device password: ask your provider for one."\r\n',
    SignInFailure.CLOSED: b'NO "This account is not used by ManageSieve."\r\n',
    SignInFailure.BUSY: FAILED,
    SignInFailure.TOO_MANY: b'NO (TRYLATER) "Too many failures, try again later."\r\n',
}
REFUSED_SCRIPTS: Final = {
    Refusal.MISSING: b'NO (NONEXISTENT) "There is no such script."\r\n',
    Refusal.EXISTS: b'NO (ALREADYEXISTS) "There is such a script already."\r\n',
    Refusal.ACTIVE: b'NO (ACTIVE) "The script is active."\r\n',
    Refusal.TOO_MANY: b'NO (QUOTA/MAXSCRIPTS) "A mailbox has at most %d scripts."\r\n' % MAX_SCRIPTS,
    Refusal.TOO_LARGE: TOO_LARGE,
    Refusal.NAME: b'NO "No script can be called so."\r\n',
    Refusal.FORBIDDEN: b'NO "You may not change the filters of this box."\r\n',
}


def capabilities(*, tls: bool, owner: str | None) -> bytes:
    """What works on this connection (1.7): sign-in only under TLS, STARTTLS only before it."""
    lines = [
        b'"IMPLEMENTATION" "Ceralacca"',
        b'"SIEVE" ' + _quoted(" ".join(EXTENSIONS)),
        b'"NOTIFY" "mailto"',
        b'"MAXREDIRECTS" "1"',  # one forward for each message and box (D34)
        b'"SASL" ' + (b'"PLAIN LOGIN"' if tls else b'""'),
        *(() if tls else (b'"STARTTLS"',)),
        *(() if owner is None else (b'"OWNER" ' + _quoted(owner),)),
        b'"VERSION" "1.0"',
    ]
    return b"".join(line + b"\r\n" for line in lines) + OK


def listing(names: Iterable[tuple[str, bool]]) -> bytes:
    """2.7: names of scripts, and which is active."""
    return b"".join(_quoted(name) + (b" ACTIVE" if active else b"") + b"\r\n" for name, active in names) + OK


def script(text: bytes) -> bytes:
    """2.9."""
    return b"{%d}\r\n%s\r\n" % (len(text), text) + OK


def wrong(refused: ScriptRefused) -> bytes:
    """2.6: the script is not taken. Editors (Roundcube's) mark the line that they find in "line N:"."""
    return b"NO " + _quoted(f"line {refused.line}: column {refused.column}: {refused.reason}") + b"\r\n"


def warned(warnings: Sequence[str]) -> bytes:
    """2.6: it was taken, and there is something to say about it."""
    return b"OK (WARNINGS) " + _quoted("; ".join(warnings)) + b"\r\n" if warnings else OK


def noted(tag: str | None) -> bytes:
    """2.13: NOOP, which gives back the tag that it was given."""
    return OK if tag is None else b"OK (TAG " + _quoted(tag) + b') "Done."\r\n'


def _quoted(text: str) -> bytes:
    """A string, as a literal if it does not fit into quotation marks."""
    data = text.encode("utf-8", "replace")
    if len(data) > 1_024 or any(octet in data for octet in b"\r\n\0"):
        return b"{%d}\r\n%s" % (len(data), data)
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
