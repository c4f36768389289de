"""What has become of a message at the server it was brought from, and what that means for ours."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.points.marks import NAMES, Mark

__all__ = ["Change", "Deletions", "change", "emptied", "flag_text", "in_turn", "may_follow"]

_DELETED: Final = NAMES[Mark.DELETED].lower()
_RECENT: Final = "\\recent"
_TRASH: Final = "Trash"
_FEW: Final = 20
_NEWEST: Final = 1_000
_AT_ONCE: Final = 10_000


class Deletions(StrEnum):
    """What it means for ours that a message is deleted there."""

    KEEP = "keep"  # nothing
    TRASH = "trash"  # it goes to the trash folder here


class Change(NamedTuple):
    """Flags that a message got there, and flags that it lost."""

    given: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


def flag_text(flags: Iterable[str]) -> str:
    """The flags of a message in one form, so that two sets of them can be compared: case means nothing."""
    return " ".join(sorted({flag.lower() for flag in flags} - {_RECENT}))


def change(seen: str, flags: Iterable[str]) -> Change:
    """What changed there since the last look. Ours gets that and nothing else.

    So a flag that its holder changed here stays as it is, until somebody changes the same flag there. \\Deleted is
    never given: whatever program opens the folder here next could remove the message for good.

    Args:
        seen: ``flag_text`` of the last look.
        flags: those of now.
    """
    before = set(seen.split())
    now = {flag.lower(): flag for flag in flags if flag.lower() != _RECENT}
    given = sorted(flag for key, flag in now.items() if key not in before and key != _DELETED)
    return Change(tuple(given), tuple(sorted(before.difference(now))))


def may_follow(folder: str, deletions: Deletions) -> bool:
    """Whether ours goes into a folder here (its key) because the other one did: to move to the trash is to delete."""
    return folder != _TRASH or deletions is Deletions.TRASH


def emptied(gone: int, known: int) -> bool:
    """Whether so much of a folder is gone at once that it was emptied or is not shown, rather than read and deleted."""
    return gone > _FEW and 2 * gone > known


def in_turn(uids: Sequence[int], after: int) -> tuple[list[int], int]:
    """Which messages of a large folder to ask about now: the newest always, the others by turns.

    Args:
        uids: of all, ascending.
        after: the UID behind which the last turn ended; 0: at the beginning.

    Returns:
        UIDs, ascending, and where the next turn begins: 0 if all have had theirs.
    """
    newest = list(uids[-_NEWEST:])
    older = len(uids) - len(newest)
    first = bisect_right(uids, after, hi=older)
    turn = list(uids[first : min(first + _AT_ONCE, older)])
    return turn + newest, turn[-1] if first + _AT_ONCE < older else 0
