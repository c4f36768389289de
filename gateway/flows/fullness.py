"""Whether a mailbox has room for a message that comes in (D13)."""

from typing import Final

from gateway.points.box import Capacity
from gateway.storage.accounts import BoxKind, MailboxRef

__all__ = ["is_full", "most_of"]

ADDED: Final = 8_000
"""More bytes than we put around a message that we keep."""


def is_full(box: MailboxRef, size: int, capacity: Capacity, *, certified: bool = True) -> bool:
    """Whether there is no room for a message of ``size`` bytes; the boxes of service and operator take everything.

    Of a mailbox that another server keeps, only that server knows.

    Args:
        capacity: of a box that has none of its own.
    """
    if box.kind is not BoxKind.USER or box.store is not None:
        return False
    return not capacity.of(box.quota).takes(box.used, size + ADDED, certified=certified)


def most_of(box: MailboxRef, capacity: Capacity) -> int | None:
    """Up to where certified mail may fill it."""
    return None if box.kind is not BoxKind.USER else capacity.of(box.quota).most(certified=True)
