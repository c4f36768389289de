"""Rows of the register that somebody asks for: by message, by address, by time. A page at a time, whatever there is."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, or_, select

from gateway.storage.register import TEXT, RegisterRow, row_of, text_of
from gateway.storage.tables import register, register_links, register_segments
from gateway.storage.values import clean, micros
from receipts.identifiers import address_key

__all__ = ["Extracted", "Read", "Selection", "extracted"]

READ_AT_ONCE: Final = 2_000
ESCAPE: Final = "\\"

Read = Callable[[Callable[[Connection], Any]], Any]
"""``Storage.read_now``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is asked for; all that is given must fit."""

    message: str | None = None  # PEC msgid or Message-ID, with or without angle brackets
    address: str | None = None  # of a sender or recipient
    since: datetime | None = None
    until: datetime | None = None  # not within

    def fits(self, row: RegisterRow) -> bool:
        """Whether the address, if one is asked for, is one of the row's: SQL compares it roughly."""
        if self.address is None:
            return True
        wanted = address_key(self.address)
        return any(address_key(one) == wanted for one in (row.sender or "", row.account or "", *row.recipients))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """One row, and where it stands."""

    row: RegisterRow
    text: str  # under its hash
    sha256: bytes
    position: int | None  # in the chain; None: not linked yet
    link: bytes | None
    segment: int | None  # None: its day is not closed yet


def extracted(read: Read, selection: Selection, progress: Callable[[int], None]) -> Iterator[Extracted]:
    """The rows in the order of their instants.

    Each page is read by itself, so that a slow reader holds nothing up.

    Args:
        progress: is told how many rows were looked at.
    """
    after, looked_at = (-(1 << 62), 0), 0
    query, closed = _query(selection), read(_closed)
    while page := read(partial(_page, query=query, after=after)):
        for found in page:
            one = _extracted(found, closed)
            if selection.fits(one.row):
                yield one
        looked_at += len(page)
        progress(looked_at)
        after = (page[-1]["at"], page[-1]["id"])


def _query(selection: Selection) -> Select[Any]:
    columns = (register.c.id, register.c.hash, *(register.c[name] for name in TEXT))
    query = (
        select(*columns, register_links.c.position, register_links.c.link)
        .select_from(register.outerjoin(register_links, register_links.c.register_id == register.c.id))
        .order_by(register.c.at, register.c.id)
        .limit(READ_AT_ONCE)
    )
    if selection.message is not None:
        bare = clean(selection.message.strip().removeprefix("<").removesuffix(">"))
        query = query.where(or_(register.c.pec_msgid == bare, register.c.msgid.in_([bare, f"<{bare}>"])))
    if selection.address is not None:
        query = query.where(_mentions(address_key(selection.address)))
    if selection.since is not None:
        query = query.where(register.c.at >= micros(selection.since))
    if selection.until is not None:
        query = query.where(register.c.at < micros(selection.until))
    return query


def _mentions(key: str) -> Any:
    """Rows that may be about an address: its local part stands somewhere where addresses do."""
    local = key.rpartition("@")[0] or key
    pattern = "%" + "".join(ESCAPE + one if one in "%_\\" else one for one in local) + "%"
    columns = (register.c.sender, register.c.recipients, register.c.account)
    return or_(*(func.lower(column).like(pattern, escape=ESCAPE) for column in columns))


def _page(connection: Connection, query: Select[Any], after: tuple[int, int]) -> Sequence[Any]:
    at, row_id = after
    behind = or_(register.c.at > at, and_(register.c.at == at, register.c.id > row_id))
    return connection.execute(query.where(behind)).mappings().all()


def _closed(connection: Connection) -> list[tuple[int, int]]:
    """The last position of each segment, and its number."""
    ends = select(register_segments.c.last, register_segments.c.number).order_by(register_segments.c.last)
    return [(row[0], row[1]) for row in connection.execute(ends)]


def _segment(position: int | None, closed: list[tuple[int, int]]) -> int | None:
    place = len(closed) if position is None else bisect_left(closed, (position, 0))
    return closed[place][1] if place < len(closed) else None


def _extracted(found: Any, closed: list[tuple[int, int]]) -> Extracted:
    return Extracted(
        row=row_of(found),
        text=text_of(found),
        sha256=bytes(found["hash"]),
        position=found["position"],
        link=None if found["link"] is None else bytes(found["link"]),
        segment=_segment(found["position"], closed),
    )
