"""Marks on the messages of a box that every box knows: system flags and usual keywords, as bits of one number.

A box's own keywords are bits of another number, by a table of the box (``storage.keywords``).
"""

import re
from collections.abc import Iterable, Mapping
from enum import IntFlag
from typing import Final

__all__ = ["CALLED", "NAMES", "RESERVED", "Mark", "is_flag", "marks_of"]

_FLAG: Final = re.compile(r'\\?[^\x00-\x20(){%*"\\\]\x7f-\U0010ffff]{1,100}')


class Mark(IntFlag):
    """The numbers stand in storage: they never change."""

    SEEN = 1
    ANSWERED = 1 << 1
    FLAGGED = 1 << 2
    DELETED = 1 << 3
    DRAFT = 1 << 4
    CERTIFIED = 1 << 8  # a message of the holder's that this provider sealed
    ACCEPTED = 1 << 9  # its acceptance receipt was issued
    DELIVERED = 1 << 10  # each of its certified recipients has a delivery receipt
    FAILED = 1 << 11  # a recipient will not get it
    FORWARDED = 1 << 12
    MDN_SENT = 1 << 13
    JUNK = 1 << 14
    NOT_JUNK = 1 << 15
    PHISHING = 1 << 16
    OLD_JUNK = 1 << 17
    OLD_NOT_JUNK = 1 << 18
    LABEL_1 = 1 << 19
    LABEL_2 = 1 << 20
    LABEL_3 = 1 << 21
    LABEL_4 = 1 << 22
    LABEL_5 = 1 << 23


NAMES: Final[Mapping[Mark, str]] = {
    Mark.SEEN: "\\Seen",  # RFC 3501 2.3.2
    Mark.ANSWERED: "\\Answered",
    Mark.FLAGGED: "\\Flagged",
    Mark.DELETED: "\\Deleted",
    Mark.DRAFT: "\\Draft",
    Mark.CERTIFIED: "$Certified",
    Mark.ACCEPTED: "$Accepted",
    Mark.DELIVERED: "$Delivered",
    Mark.FAILED: "$Failed",
    Mark.FORWARDED: "$Forwarded",  # RFC 5788
    Mark.MDN_SENT: "$MDNSent",  # RFC 3503
    Mark.JUNK: "$Junk",
    Mark.NOT_JUNK: "$NotJunk",
    Mark.PHISHING: "$Phishing",
    Mark.OLD_JUNK: "Junk",  # Thunderbird's
    Mark.OLD_NOT_JUNK: "NonJunk",
    Mark.LABEL_1: "$label1",  # Thunderbird's tags
    Mark.LABEL_2: "$label2",
    Mark.LABEL_3: "$label3",
    Mark.LABEL_4: "$label4",
    Mark.LABEL_5: "$label5",
}
CALLED: Final[Mapping[str, Mark]] = {name.lower(): mark for mark, name in NAMES.items()}
"""Marks by their names in lower case: keywords are compared without regard to case."""
RESERVED: Final = Mark.CERTIFIED | Mark.ACCEPTED | Mark.DELIVERED | Mark.FAILED
"""What the service says of a message. Clients read it; what they say about it changes nothing."""


def is_flag(text: str) -> bool:
    """Whether a program can be told of it as a flag: an atom (RFC 3501 section 9), as long as ours may be."""
    return _FLAG.fullmatch(text) is not None


def marks_of(flags: Iterable[str]) -> tuple[Mark, tuple[str, ...]]:
    """The marks among these flags, and the keywords that are none, each as first written. \\Recent is neither."""
    marks, others = Mark(0), dict[str, str]()
    for flag in flags:
        known = CALLED.get(flag.lower())
        if known is not None:
            marks |= known
        elif not flag.startswith("\\"):
            others.setdefault(flag.lower(), flag)
    return marks, tuple(others.values())
