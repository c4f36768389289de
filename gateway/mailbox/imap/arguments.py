"""Arguments that several commands have: folder names, flags, dates, lists of known words."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

from gateway.mailbox.imap import names
from gateway.mailbox.imap.commands import BAD_NAME, StatusItem
from gateway.mailbox.imap.tokens import Cursor
from gateway.points.boxes import SpecialUse

__all__ = [
    "SYSTEM_FLAGS",
    "bare_flags",
    "date_time",
    "enabled",
    "flag",
    "flags",
    "folder",
    "known_words",
    "pairs",
    "status_items",
    "use",
]

SYSTEM_FLAGS: Final = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")

_MOST_FLAGS: Final = 100
_LONGEST_FLAG: Final = 100
_MOST_FIELDS: Final = 30  # of ID (RFC 2971 section 3.3)
_SYSTEM: Final = {flag.lower(): flag for flag in SYSTEM_FLAGS}
_USES: Final = {use.value.lower(): use for use in SpecialUse}
_STATUS: Final = {item.value: item for item in StatusItem}
_MONTHS: Final = (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC")
_YEARS: Final = (1900, 2200)  # others are nobody's mail, and run out of the calendar in some zone
_INSTANT: Final = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)


def folder(cursor: Cursor, *, utf8: bool) -> str:
    """A space and a mailbox name; BAD_NAME for bytes that are no name in any encoding."""
    cursor.space()
    name = names.decoded(cursor.astring(), utf8=utf8)
    return BAD_NAME if name is None else name


def flag(cursor: Cursor) -> str:
    r"""A flag that a client may set; nothing for ``\Recent``, which is not its to set."""
    if not cursor.skip(b"\\"):
        keyword = cursor.atom().decode("ascii")
        return keyword if len(keyword) <= _LONGEST_FLAG else cursor.fail("keyword too long")
    name = "\\" + cursor.atom().decode("ascii")
    if name.lower() == "\\recent":
        return ""
    return _SYSTEM.get(name.lower()) or cursor.fail("no such flag")


def flags(cursor: Cursor) -> frozenset[str]:
    return frozenset(each for each in cursor.many(lambda: flag(cursor), _MOST_FLAGS) if each)


def bare_flags(cursor: Cursor) -> frozenset[str]:
    """One flag or more without brackets, as STORE takes them too."""
    found = [flag(cursor)]
    while cursor.skip(b" "):
        if len(found) >= _MOST_FLAGS:
            cursor.fail("list too long")
        found.append(flag(cursor))
    return frozenset(each for each in found if each)


def date_time(cursor: Cursor) -> datetime:
    found = _INSTANT.match(cursor.data, cursor.at)
    if found is None or found[2].upper() not in _MONTHS:
        cursor.fail("date and time expected")
    cursor.at = found.end()
    if not _YEARS[0] <= int(found[3]) <= _YEARS[1]:
        cursor.fail("no such moment")
    day, month, year, hour, minute, second = found[1], found[2], found[3], found[4], found[5], found[6]
    east = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        zone = timezone(-east if found[7] == b"-" else east)
        number = _MONTHS.index(month.upper()) + 1
        return datetime(int(year), number, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=zone)
    except ValueError:
        cursor.fail("no such moment")


def known_words(cursor: Cursor, known: Collection[bytes]) -> list[bytes]:
    """A list in brackets of some of these words."""

    def one() -> bytes:
        word = cursor.word()
        return word if word in known else cursor.fail("no such option")

    return cursor.many(one, len(known))


def status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    def one() -> StatusItem:
        return _STATUS.get(cursor.word()) or cursor.fail("no such status item")

    items = cursor.many(one, len(_STATUS))
    return tuple(dict.fromkeys(items)) if items else cursor.fail("nothing asked")


def use(cursor: Cursor) -> SpecialUse | None:
    r"""``USE (\Sent)`` (RFC 6154 section 3)."""
    if cursor.word() != b"USE":
        cursor.fail("USE expected")
    cursor.space()

    def one() -> SpecialUse:
        cursor.expect(b"\\")
        found = _USES.get("\\" + cursor.atom().decode("ascii").lower())
        return found or cursor.fail("no such use")

    found = cursor.many(one, 1)
    return found[0] if found else None


def enabled(cursor: Cursor) -> Sequence[bytes]:
    """One word or more; unknown ones are the client's own affair (RFC 5161 section 3.1)."""
    words: list[bytes] = []
    while not cursor.at_end:
        cursor.space()
        words.append(cursor.word())
    return words or cursor.fail("nothing to enable")


def pairs(cursor: Cursor) -> Sequence[tuple[str, str]]:
    """The fields of ID: NIL, or a list of names and values."""
    if cursor.data[cursor.at :].upper() == b"NIL":
        cursor.at = len(cursor.data)
        return ()

    def one() -> tuple[str, str]:
        name = cursor.string()
        cursor.space()
        return name.decode("utf-8", "replace"), (cursor.nstring() or b"").decode("utf-8", "replace")

    return cursor.many(one, _MOST_FIELDS)
