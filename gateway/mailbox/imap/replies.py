"""Every IMAP answer once: texts and codes as constants, data as functions from facts to bytes (RFC 3501 section 7)."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from gateway.flows.outcomes import SignInFailure
from gateway.mailbox.imap import names
from gateway.mailbox.imap.arguments import SYSTEM_FLAGS
from gateway.mailbox.imap.commands import StatusItem, Verb
from gateway.mailbox.imap.keys import CHARSETS
from gateway.mailbox.imap.numbers import written
from gateway.points.boxes import Folder, Quota, Row, Status, Why

__all__ = [
    "BYE_FAILED",
    "BYE_LOGOUT",
    "BYE_LONG",
    "BYE_RIGHTS_CHANGED",
    "BYE_SHUTDOWN",
    "BYE_SIGNED_OUT",
    "BYE_TIMEOUT",
    "BYE_TOO_MANY_BAD",
    "BYE_TOO_MANY_CONNECTIONS",
    "CANCELLED",
    "CLEAR",
    "COMPRESSED",
    "CONTINUE",
    "DONE",
    "FAILED",
    "HERE_STILL",
    "ID",
    "IDLING",
    "ISSUED",
    "NAMESPACE",
    "NOT_NOW",
    "NO_MECHANISM",
    "NO_TARGET",
    "NUL",
    "READY_FOR_LITERAL",
    "READ_ONLY",
    "REFUSED",
    "REFUSED_BY_BOX",
    "ROOT",
    "TOO_BIG",
    "bad",
    "bad_charset",
    "capabilities",
    "esearch",
    "exists",
    "expunged",
    "flag_list",
    "flags",
    "greeting",
    "instant",
    "listed",
    "lsub",
    "name",
    "no",
    "ok",
    "permanent_flags",
    "quota",
    "quota_root",
    "recent",
    "row",
    "search",
    "status",
    "string",
    "untagged",
    "vanished",
    "vanished_earlier",
]

CONTINUE: Final = b"+ \r\n"  # an empty challenge (RFC 4422 section 3)
READY_FOR_LITERAL: Final = b"+ OK\r\n"
IDLING: Final = b"+ idling\r\n"
NAMESPACE: Final = b'* NAMESPACE (("" "/")) NIL NIL\r\n'  # RFC 2342 section 5
ROOT: Final = b'* LIST (\\Noselect) "/" ""\r\n'  # the separator alone (RFC 3501 section 6.3.8)
ID: Final = b'* ID ("name" "Ceralacca" "support-url" NIL)\r\n'  # RFC 2971 section 3.3
HERE_STILL: Final = b"* OK here still\r\n"

BYE_LOGOUT: Final = b"* BYE see you\r\n"
BYE_SHUTDOWN: Final = b"* BYE [UNAVAILABLE] the server stops\r\n"  # RFC 5530 section 3
BYE_SIGNED_OUT: Final = b"* BYE the account is closed\r\n"
BYE_RIGHTS_CHANGED: Final = b"* BYE your rights in this box have changed, sign in again\r\n"  # D35
BYE_TIMEOUT: Final = b"* BYE too slow\r\n"
BYE_LONG: Final = b"* BYE command too long\r\n"
BYE_FAILED: Final = b"* BYE [UNAVAILABLE] try again later\r\n"
BYE_TOO_MANY_BAD: Final = b"* BYE too many mistakes\r\n"
BYE_TOO_MANY_CONNECTIONS: Final = b"* BYE [UNAVAILABLE] too many connections\r\n"

CANCELLED: Final = "sign-in given up"
NOT_NOW: Final = "not now"
CLEAR: Final = "[PRIVACYREQUIRED] say STARTTLS first: passwords travel under TLS only"  # RFC 5530 section 3
FAILED: Final = "[UNAVAILABLE] try again later"
TOO_BIG: Final = "[TOOBIG] message too large"  # RFC 4469 section 4.2, RFC 7889 section 4
COMPRESSED: Final = "[COMPRESSIONACTIVE] compressed already"  # RFC 4978 section 3
NO_MECHANISM: Final = "[CANNOT] the mechanisms are PLAIN and LOGIN"
NUL: Final = "[CANNOT] a message holds no NUL"
READ_ONLY: Final = "[CANNOT] the folder is open for reading only"
ISSUED: Final = "[EXPUNGEISSUED] some messages are gone"  # RFC 5530 section 3

REFUSED: Final[Mapping[SignInFailure, str]] = {
    SignInFailure.WRONG: "[AUTHENTICATIONFAILED] user name or password wrong",  # RFC 5530 section 3
    SignInFailure.NEEDS_DEVICE: "[ALERT] this account needs a device password: ask your provider for one",
    SignInFailure.CLOSED: "[ALERT] this account is not used by IMAP",
    SignInFailure.BUSY: FAILED,
    SignInFailure.TOO_MANY: "[UNAVAILABLE] too many failures, try again later",
}
REFUSED_BY_BOX: Final[Mapping[Why, str]] = {
    Why.NO_FOLDER: "[NONEXISTENT] no such folder",
    Why.EXISTS: "[ALREADYEXISTS] there is such a folder",
    Why.OVER_QUOTA: "[OVERQUOTA] the box is full",
    Why.NO_PERMISSION: "[NOPERM] you have no right to do this in this box",
    Why.CANNOT: "[CANNOT] that cannot be done",
    Why.LIMIT: "[LIMIT] too many",
}
NO_TARGET: Final = "[TRYCREATE] no such folder"  # RFC 3501 section 6.3.11

_ALWAYS: Final = (
    b"IMAP4rev1",
    b"LITERAL+",  # RFC 7888
    b"SASL-IR",  # RFC 4959
    b"ID",  # RFC 2971
    b"ENABLE",  # RFC 5161
)
_INSIDE: Final = (
    b"IDLE",  # RFC 2177
    b"UIDPLUS",  # RFC 4315
    b"MOVE",  # RFC 6851
    b"NAMESPACE",  # RFC 2342
    b"CHILDREN",  # RFC 3348
    b"SPECIAL-USE",  # RFC 6154
    b"CREATE-SPECIAL-USE",
    b"LIST-EXTENDED",  # RFC 5258
    b"LIST-STATUS",  # RFC 5819
    b"STATUS=SIZE",  # RFC 8438
    b"QUOTA",  # RFC 2087
    b"UNSELECT",  # RFC 3691
    b"CONDSTORE",  # RFC 7162
    b"QRESYNC",
    b"ESEARCH",  # RFC 4731
    b"SEARCHRES",  # RFC 5182
    b"WITHIN",  # RFC 5032
    b"UTF8=ACCEPT",  # RFC 6855
)
_QUOTABLE: Final = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_TO_ESCAPE: Final = re.compile(rb'(["\\])')
_LONGEST_QUOTED: Final = 4_096
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def capabilities(*, tls: bool, signed_in: bool, compressed: bool, append_limit: int) -> bytes:
    """What works on this connection now."""
    if signed_in:
        own = (*_INSIDE, b"APPENDLIMIT=%d" % append_limit)  # RFC 7889
        return b" ".join((*_ALWAYS, *own) if compressed else (*_ALWAYS, *own, b"COMPRESS=DEFLATE"))  # RFC 4978
    return b" ".join((*_ALWAYS, *((b"AUTH=PLAIN", b"AUTH=LOGIN") if tls else (b"STARTTLS", b"LOGINDISABLED"))))


def greeting(words: bytes) -> bytes:
    return b"* OK [CAPABILITY %s] Ceralacca ready\r\n" % words


def ok(tag: bytes, text: str) -> bytes:
    """``text`` may begin with a code in square brackets, here and below."""
    return b"%s OK %s\r\n" % (tag, text.encode("ascii"))


def no(tag: bytes, text: str) -> bytes:
    return b"%s NO %s\r\n" % (tag, text.encode("ascii"))


def bad(tag: bytes, text: str) -> bytes:
    return b"%s BAD %s\r\n" % (tag, text.encode("ascii"))


def bad_charset(tag: bytes) -> bytes:
    return b"%s NO [BADCHARSET (%s)] no such character set\r\n" % (tag, b" ".join(sorted(CHARSETS)))


def untagged(data: bytes) -> bytes:
    return b"* %s\r\n" % data


def string(data: bytes) -> bytes:
    """A string, quoted where it can be: some clients fail at literals where others send none."""
    if len(data) <= _LONGEST_QUOTED and _QUOTABLE.fullmatch(data):
        return b'"%s"' % (_TO_ESCAPE.sub(rb"\\\1", data) if b'"' in data or b"\\" in data else data)
    return b"{%d}\r\n%s" % (len(data), data)


def name(folder: str, *, utf8: bool) -> bytes:
    """A mailbox name; always quoted, so that no client takes it for something else."""
    encoded = names.encoded(folder, utf8=utf8)
    return b'"%s"' % _TO_ESCAPE.sub(rb"\\\1", encoded)


def flag_list(flags: Collection[str]) -> bytes:
    return b"(%s)" % " ".join(sorted(flags)).encode("ascii")


def flags(keywords: Iterable[str]) -> bytes:
    return b"* FLAGS %s\r\n" % flag_list((*SYSTEM_FLAGS, *keywords))


def permanent_flags(keywords: Iterable[str], *, read_only: bool) -> bytes:
    kept = b"()" if read_only else flag_list((*SYSTEM_FLAGS, *keywords, "\\*"))
    return b"* OK [PERMANENTFLAGS %s] kept\r\n" % kept


def exists(number: int) -> bytes:
    return b"* %d EXISTS\r\n" % number


def recent(number: int) -> bytes:
    return b"* %d RECENT\r\n" % number


def expunged(numbers: Iterable[int]) -> bytes:
    """Each number as it is when those before it are gone."""
    return b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers])


def vanished(uids: Sequence[int]) -> bytes:
    """RFC 7162 section 3.2.10.2."""
    return b"* VANISHED %s\r\n" % written(uids)


def vanished_earlier(uids: bytes) -> bytes:
    """A set of UIDs that left before this session (RFC 7162 section 3.2.10.1); nothing for none."""
    return b"* VANISHED (EARLIER) %s\r\n" % uids if uids else b""


def row(number: int, message: Row, *, is_recent: bool, uid: bool, modseq: bool) -> bytes:
    """The part of a message that changes, as an unsolicited FETCH."""
    told = flag_list((*message.flags, "\\Recent") if is_recent else message.flags)
    own = b"UID %d " % message.uid if uid else b""
    since = b" MODSEQ (%d)" % message.modseq if modseq else b""
    return b"* %d FETCH (%sFLAGS %s%s)\r\n" % (number, own, told, since)


def instant(at: datetime) -> bytes:
    """``date-time``; English, whatever the machine speaks."""
    return at.strftime(f'"%d-{_MONTHS[at.month - 1]}-%Y %H:%M:%S %z"').encode("ascii")


def listed(
    folder: Folder, *, children: bool, child_info: Sequence[bytes] = (), subscriptions: bool, utf8: bool
) -> bytes:
    """A line of LIST. ``child_info``: what below it made an extended LIST show it (RFC 5258 section 3.5)."""
    attributes = [b"\\HasChildren" if children else b"\\HasNoChildren"]
    if not folder.exists:
        attributes.insert(0, b"\\NonExistent \\Noselect")
    if folder.subscribed and subscriptions:
        attributes.append(b"\\Subscribed")
    if folder.special_use is not None:
        attributes.append(folder.special_use.value.encode("ascii"))
    info = b' ("CHILDINFO" (%s))' % b" ".join(map(string, child_info)) if child_info else b""
    return b'* LIST (%s) "/" %s%s\r\n' % (b" ".join(attributes), name(folder.name, utf8=utf8), info)


def lsub(folder: str, *, selectable: bool, utf8: bool) -> bytes:
    return b'* LSUB (%s) "/" %s\r\n' % (b"" if selectable else b"\\Noselect", name(folder, utf8=utf8))


def status(folder: str, found: Status, items: Sequence[StatusItem], *, utf8: bool) -> bytes:
    values = {
        StatusItem.DELETED: found.deleted,
        StatusItem.HIGHESTMODSEQ: found.modseq,
        StatusItem.MESSAGES: found.messages,
        StatusItem.RECENT: found.recent,
        StatusItem.SIZE: found.size,
        StatusItem.UIDNEXT: found.uid_next,
        StatusItem.UIDVALIDITY: found.uid_validity,
        StatusItem.UNSEEN: found.unseen,
    }
    told = b" ".join(b"%s %d" % (item.value, values[item]) for item in items)
    return b"* STATUS %s (%s)\r\n" % (name(folder, utf8=utf8), told)


def quota(kept: Quota) -> bytes:
    """RFC 2087 section 5.1, in units of 1,024 bytes; no resource at all if there is no limit."""
    if kept.limit is None:
        return b'* QUOTA "" ()\r\n'
    return b'* QUOTA "" (STORAGE %d %d)\r\n' % (-(-kept.used // 1024), kept.limit // 1024)


def quota_root(folder: str, *, utf8: bool) -> bytes:
    return b'* QUOTAROOT %s ""\r\n' % name(folder, utf8=utf8)


def search(numbers: Iterable[int], modseq: int | None) -> bytes:
    found = " ".join(map(str, numbers)).encode("ascii")
    if not found:
        return b"* SEARCH\r\n"
    return b"* SEARCH %s%s\r\n" % (found, b"" if modseq is None else b" (MODSEQ %d)" % modseq)


def esearch(tag: bytes, uid: bool, numbers: Sequence[int], returns: frozenset[bytes], modseq: int | None) -> bytes:
    """RFC 4731 section 3.1: what was asked for, of ascending numbers."""
    parts = [b"* ESEARCH (TAG %s)" % string(tag)]
    if uid:
        parts.append(b"UID")
    if numbers:
        if b"MIN" in returns:
            parts.append(b"MIN %d" % numbers[0])
        if b"MAX" in returns:
            parts.append(b"MAX %d" % numbers[-1])
        if b"ALL" in returns:
            parts.append(b"ALL " + written(numbers))
    if b"COUNT" in returns:
        parts.append(b"COUNT %d" % len(numbers))
    if modseq is not None and numbers:
        parts.append(b"MODSEQ %d" % modseq)
    return b" ".join(parts) + b"\r\n"


DONE: Final[Mapping[Verb, str]] = {verb: f"{verb.value.decode('ascii')} done" for verb in Verb}
