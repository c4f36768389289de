"""The policy of a box: its folders from the start, what goes where, what counts against its quota (D13, D28)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.points.boxes import SpecialUse
from receipts.wire import MessageKind

__all__ = [
    "ALERTED_AT",
    "FIRST_FOLDERS",
    "FREE",
    "MAX_FOLDERS",
    "RECEIPTS",
    "UNLIMITED",
    "Capacity",
    "FirstFolder",
    "alert_level",
    "counts",
    "folder_name",
    "is_certified",
    "is_folder_name",
]

MAX_FOLDERS: Final = 1_000
MAX_NAME: Final = 240  # characters
MAX_LEVELS: Final = 20


@dataclass(frozen=True, slots=True)
class FirstFolder:
    """A folder that every box has and nobody deletes."""

    key: str  # what stands with its messages
    names: Mapping[str, str]  # by language; without an entry: the key
    use: SpecialUse | None


FIRST_FOLDERS: Final = (
    FirstFolder("INBOX", {}, None),
    FirstFolder("Receipts", {"it": "Ricevute"}, None),
    FirstFolder("Sent", {}, SpecialUse.SENT),  # programs show these four in the words of their user
    FirstFolder("Drafts", {}, SpecialUse.DRAFTS),
    FirstFolder("Trash", {}, SpecialUse.TRASH),
    FirstFolder("Junk", {}, SpecialUse.JUNK),
    FirstFolder("Archive", {}, SpecialUse.ARCHIVE),
)

RECEIPTS: Final = frozenset({MessageKind.ACCEPTANCE.value, MessageKind.DELIVERY.value, MessageKind.TAKE_CHARGE.value})
"""Kinds that go to the receipts folder. Notices say that something is wrong: they stay in the inbox, to be seen."""

FREE: Final = frozenset({kind.value for kind in MessageKind} - {MessageKind.ENVELOPE, MessageKind.ANOMALY}) | {
    "sent",
    "service",
}
"""Kinds that do not count against the quota: receipts, notices, and what the service files of its own accord."""

ALERTED_AT: Final = (70, 85, 95)
"""Percent of the quota at which the holder is told."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much a box holds, in bytes of what counts; None: as much as there is."""

    quota: int | None  # ordinary mail, and what its holder puts there
    reserve: int  # beyond it, for certified mail alone

    def of(self, own: int | None) -> "Capacity":
        """That of a box with a quota of its own; 0: none."""
        return self if own is None else Capacity(own or None, self.reserve)

    def most(self, *, certified: bool) -> int | None:
        """Up to where a message may fill the box."""
        if self.quota is None:
            return None
        return self.quota + self.reserve if certified else self.quota

    def takes(self, used: int, size: int, *, certified: bool) -> bool:
        """Whether a message of ``size`` bytes finds room."""
        most = self.most(certified=certified)
        return most is None or used + size <= most


UNLIMITED: Final = Capacity(None, 0)


def folder_name(folder: FirstFolder, language: str) -> str:
    """How a holder of this language calls it."""
    return folder.names.get(language, folder.key)


def is_folder_name(name: str) -> bool:
    """Whether a folder may be called so: levels that are not empty, without control characters; and no second inbox."""
    levels = name.split("/")
    return (
        len(name) <= MAX_NAME
        and len(levels) <= MAX_LEVELS
        and all(levels)
        and not any(character < " " or "\x7f" <= character <= "\x9f" for character in name)
        and not any("\ud800" <= character <= "\udfff" for character in name)
        and (name == "INBOX" or name.upper() != "INBOX")
    )


def counts(kind: str) -> bool:
    """Whether a message of this kind counts against the quota."""
    return kind not in FREE


def is_certified(kind: str) -> bool:
    """Whether a message of this kind is certified mail, which never goes to the junk folder of itself."""
    return kind in _CERTIFIED


def alert_level(used: int, quota: int | None) -> int:
    """The highest level of ``ALERTED_AT`` that is reached, or 0.

    An alert is due when it is above the last one that was told. When usage falls below a level, what was told falls
    with it: so each level is told once until then.
    """
    if not quota:
        return 0
    return max((level for level in ALERTED_AT if used * 100 >= quota * level), default=0)


_CERTIFIED: Final = frozenset({kind.value for kind in MessageKind} - {MessageKind.ANOMALY})
