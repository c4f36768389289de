"""The keywords of a mailbox's own: each has a bit in ``message_states.keywords``."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import keywords, message_states

__all__ = ["MOST", "TooManyKeywords", "bits_for", "bits_that_fit", "keyword_names"]

MOST: Final = 62
"""Keywords of one mailbox. One that no message carries makes room for another."""


class TooManyKeywords(ValueError):
    """The mailbox knows as many as it can."""


_NAMES = Statement(select(keywords.c.bit, keywords.c.name).where(keywords.c.mailbox_id == bindparam("mailbox")))
_ADD = insert_into(keywords)
_FORGET = Statement(
    delete(keywords).where(keywords.c.mailbox_id == bindparam("mailbox"), keywords.c.bit == bindparam("bit"))
)
_USED = Statement(
    select(message_states.c.keywords)
    .where(message_states.c.mailbox_id == bindparam("mailbox"), message_states.c.keywords != 0)
    .distinct()
)


def keyword_names(connection: Connection, mailbox_id: int) -> dict[int, str]:
    """The keywords of a mailbox as first written, by their bits."""
    return {row[0]: row[1] for row in _NAMES.all(connection, {"mailbox": mailbox_id})}


def bits_for(connection: Connection, mailbox_id: int, names: Iterable[str], *, add: bool = True) -> int:
    """The bits of these keywords, compared without regard to case; the caller holds the mailbox.

    Args:
        add: let the mailbox know those that it does not yet; else they have no bit.

    Raises:
        TooManyKeywords: there is no bit left.
    """
    wanted = list(names)
    if not wanted:
        return 0
    known = keyword_names(connection, mailbox_id)
    by_name = {name.lower(): bit for bit, name in known.items()}
    bits = 0
    for name in wanted:
        bit = by_name.get(name.lower())
        if bit is None:
            if not add:
                continue
            bit = by_name[name.lower()] = _free_bit(connection, mailbox_id, known, bits)
            known[bit] = name
            _ADD.run(connection, {"mailbox_id": mailbox_id, "bit": bit, "name": name})
        bits |= 1 << bit
    return bits


def bits_that_fit(connection: Connection, mailbox_id: int, names: Iterable[str]) -> int:
    """The bits of as many of these keywords as the mailbox can have; the caller holds it."""
    wanted = list(names)
    try:
        return bits_for(connection, mailbox_id, wanted)
    except TooManyKeywords:
        return bits_for(connection, mailbox_id, wanted, add=False)


def _free_bit(connection: Connection, mailbox_id: int, known: Mapping[int, str], taken: int) -> int:
    """A bit that no message carries. ``taken``: those that one is about to."""
    free = next((bit for bit in range(MOST) if bit not in known), None)
    if free is not None:
        return free
    used = taken
    for (bits,) in _USED.all(connection, {"mailbox": mailbox_id}):
        used |= bits
    unused = next((bit for bit in range(MOST) if not used >> bit & 1), None)
    if unused is None:
        raise TooManyKeywords(f"a mailbox knows at most {MOST} keywords")
    _FORGET.run(connection, {"mailbox": mailbox_id, "bit": unused})
    return unused
