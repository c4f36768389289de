"""Whether the register is as it was written: its rows, the chain over them, and the days that were closed (D25).

One walk in the order of the chain, in bounded memory, inside one snapshot: what is being removed meanwhile stays in
sight. Rows that were removed after their time are vouched for by what was signed about them.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.points.closing import kept_since
from gateway.storage import chain, content, segments
from gateway.storage.chain import GENESIS
from gateway.storage.content import Reader
from gateway.storage.errors import Conflict
from gateway.storage.register import TEXT, hash_of, text_of
from gateway.storage.segment_form import SegmentStatement, line_of
from gateway.storage.segments import Segment
from gateway.storage.tables import register, register_links

__all__ = ["Audit", "Judge", "linked_rows", "page", "row_fault", "row_line", "unzipped", "verify"]

READ_AT_ONCE: Final = 2_000
MOST_FAULTS: Final = 100
LEAST_MONTHS: Final = 30  # RFC 6109 2.3
UNZIPPED_AT_ONCE: Final = 1_000_000

Judge = Callable[[Segment, SegmentStatement], list[str]]
"""What is wrong with signature and time stamp of a segment."""


@dataclass(slots=True)
class Audit:
    """What a walk along the whole register found."""

    rows: int = 0
    links: int = 0
    faults: list[str] = field(default_factory=list)
    """What is wrong, the first hundred of it, in the order of the chain."""
    unlinked: list[int] = field(default_factory=list)
    """Rows that no link holds yet: the tail of the last second, or what a chainer that stands still leaves."""
    segments: int = 0
    unclosed: int = 0
    """Linked rows behind the last closed day."""
    unstamped: list[int] = field(default_factory=list)
    """Numbers of segments without a time stamp."""
    removed: list[int] = field(default_factory=list)
    """Numbers of segments whose rows were removed after their time."""
    removed_rows: int = 0
    signers: list[str] = field(default_factory=list)
    """Addresses by whose certificates segments say they are signed."""

    @property
    def whole(self) -> bool:
        return not self.faults

    def add(self, fault: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def verify(
    connection: Connection, judge: Judge | None = None, progress: Callable[[int], None] = lambda _: None
) -> Audit:
    """Check every row, every link and every closed day.

    Args:
        judge: asked about each closed day; without one, signatures and stamps are not looked at.
        progress: is told how many rows were read.
    """
    return _Walk(connection, judge, progress).run()


def linked_rows(connection: Connection, after: int, up_to: int | None = None) -> Iterator[Any]:
    """Links behind a position, in order, each with its row or with nothing (``id`` is None)."""
    while rows := page(connection, after, up_to):
        yield from rows
        after = rows[-1]["position"]


def page(connection: Connection, after: int, up_to: int | None = None) -> Sequence[Any]:
    """The first of these links, as many as are read at once."""
    query = _LINKED.where(register_links.c.position > after)
    if up_to is not None:
        query = query.where(register_links.c.position <= up_to)
    return connection.execute(query).mappings().all()


_LINKED = (
    select(
        register_links.c.position,
        register_links.c.register_id,
        register_links.c.link,
        register_links.c.at.label("linked_at"),
        register.c.id,
        register.c.hash,
        *(register.c[name] for name in TEXT),
    )
    .select_from(register_links.outerjoin(register, register.c.id == register_links.c.register_id))
    .order_by(register_links.c.position)
    .limit(READ_AT_ONCE)
)


class _Walk:
    """Goes along the chain; ``position`` and ``link`` are how far it has come."""

    def __init__(self, connection: Connection, judge: Judge | None, progress: Callable[[int], None]) -> None:
        self._connection = connection
        self._judge = judge
        self._progress = progress
        self._audit = Audit()
        self._position = 0
        self._link = GENESIS
        self._previous: bytes | None = None  # SHA-256 of the statement before

    def run(self) -> Audit:
        audit = self._audit
        for segment in segments.every_segment(lambda ask: ask(self._connection)):
            self._closed(segment)
        for row in linked_rows(self._connection, self._position):
            self._row(row)
            audit.unclosed += 1
        if chain.end_of(self._connection) != (self._position, self._link):
            audit.add(f"the chain does not end at link {self._position}, where its last link is")
        self._tail()
        return audit

    def _closed(self, segment: Segment) -> None:
        audit, number = self._audit, segment.number
        audit.segments += 1
        if number != audit.segments:
            audit.add(f"segments {audit.segments} to {number - 1} are missing")
            audit.segments = number
        if segment.first > self._position + 1:
            for row in linked_rows(self._connection, self._position, segment.first - 1):
                self._row(row)
        said = _said(segment)
        if said is None:
            audit.add(f"segment {number}: its statement is not what was signed about these rows")
        if segment.first != self._position + 1:
            audit.add(f"segment {number} begins at link {segment.first}, not behind link {self._position}")
        if said is not None and said.signer not in audit.signers:
            audit.signers.append(said.signer)
        if said is not None and said.previous_sha256 != self._previous:
            audit.add(f"segment {number} does not follow on the statement of segment {number - 1}")
        if said is not None and said.link_before != self._link:
            audit.add(f"segment {number} does not follow on link {self._position}")
        self._previous = hashlib.sha256(segment.statement).digest()
        if segment.removed_at is None:
            self._standing(segment, said)
        else:
            self._gone(segment, said)
        if segment.stamp is None:
            audit.unstamped.append(number)
        if said is not None and self._judge is not None:
            for fault in self._judge(segment, said):
                audit.add(f"segment {number}: {fault}")

    def _standing(self, segment: Segment, said: SegmentStatement | None) -> None:
        """The rows of a segment, against the chain and against what was signed."""
        digest, number = hashlib.sha256(), segment.number
        for row in linked_rows(self._connection, segment.first - 1, segment.last):
            self._row(row)
            digest.update(row_line(row))
        if self._position < segment.last:
            self._audit.add(f"links {self._position + 1} to {segment.last} are missing")
            self._position, self._link = segment.last, segment.link_after
        if said is None:
            return
        if digest.digest() != said.lines_sha256:
            self._audit.add(f"segment {number}: its rows are not those that were signed")
        if self._link != said.link_after:
            self._audit.add(f"segment {number} does not end with the link that was signed")
        if (fault := self._copy_fault(segment, said)) is not None:
            self._audit.add(f"segment {number}: its copy {fault}")

    def _gone(self, segment: Segment, said: SegmentStatement | None) -> None:
        """Rows that were removed after their time: the chain goes on behind them as it was signed."""
        self._audit.removed.append(segment.number)
        if segment.removed_at is not None and segment.latest >= kept_since(segment.removed_at, LEAST_MONTHS):
            self._audit.add(f"segment {segment.number} was removed before its time")
        self._position = segment.last
        if said is not None:
            self._audit.removed_rows += said.rows
            self._link = said.link_after

    def _row(self, row: Any) -> None:
        audit = self._audit
        self._position += 1
        audit.links += 1
        if audit.links % READ_AT_ONCE == 0:
            self._progress(audit.rows)
        if row["position"] != self._position:
            audit.add(f"links {self._position} to {row['position'] - 1} are missing")
            self._position = row["position"]
        audit.rows += row["id"] is not None
        if (fault := row_fault(row, self._link)) is not None:
            audit.add(fault)
        self._link = bytes(row["link"])

    def _copy_fault(self, segment: Segment, said: SegmentStatement) -> str | None:
        if segment.body_id is None:
            return "is missing"
        digest, size = hashlib.sha256(), 0
        try:
            for piece in unzipped(content.load(self._connection, segment.body_id).pieces()):
                digest.update(piece)
                size += len(piece)
                if size > said.lines_bytes:
                    break
        except (LookupError, Conflict, zlib.error):
            return None if self._is_gone_by_now(segment) else "cannot be read"
        return None if digest.digest() == said.lines_sha256 else "is not what was signed"

    def _is_gone_by_now(self, segment: Segment) -> bool:
        """Whether its rows have been removed since this walk began: what is large is read outside its snapshot."""
        storage: Reader = self._connection.info["storage"]
        found: Segment | None = storage.read_now(lambda connection: segments.find(connection, segment.number))
        return found is not None and found.removed_at is not None

    def _tail(self) -> None:
        """The rows without a link: each against its hash."""
        after = 0
        while ids := chain.unlinked(self._connection, after, limit=READ_AT_ONCE):
            query = select(register).where(register.c.id.in_(ids)).order_by(register.c.id)
            for row in self._connection.execute(query).mappings():
                self._audit.rows += 1
                self._audit.unlinked.append(row["id"])
                if hash_of(row) != bytes(row["hash"]):
                    self._audit.add(f"row {row['id']} was changed")
            after = ids[-1]


def row_fault(row: Any, link_before: bytes) -> str | None:
    """What is wrong with a row of ``linked_rows``, or with its link."""
    if row["id"] is None:
        return f"row {row['register_id']} is missing (link {row['position']})"
    expected = hash_of(row)
    if expected != bytes(row["hash"]):
        return f"row {row['id']} was changed"
    if chain.link_of(link_before, row["position"], expected) != bytes(row["link"]):
        return f"link {row['position']} does not hold row {row['id']}"
    return None


def unzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Raises zlib.error."""
    unzip = zlib.decompressobj(wbits=31)
    for piece in pieces:
        left = piece
        while left:
            yield unzip.decompress(left, UNZIPPED_AT_ONCE)
            left = unzip.unconsumed_tail
    yield unzip.flush()


def row_line(row: Any) -> bytes:
    """The line of a row of ``linked_rows``."""
    kept = None if row["id"] is None else (bytes(row["hash"]), text_of(row))
    return line_of(row["position"], bytes(row["link"]), kept)


def _said(segment: Segment) -> SegmentStatement | None:
    """What was signed; None if that is not about this segment."""
    try:
        said = SegmentStatement.from_bytes(segment.statement)
    except ValueError:
        return None
    names = ("number", "day", "first", "last", "latest", "link_after", "closed_at")
    return said if all(getattr(said, name) == getattr(segment, name) for name in names) else None
