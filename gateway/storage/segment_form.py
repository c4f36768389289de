"""The form of a closed day of the register, which ``docs/register.md`` describes for whoever must judge it without us.

A segment consists of

- its rows, a line each: position, hash of the row, link, and the JSON list under the hash, parted by tabs;
- its statement, JSON: which rows these are, the SHA-256 of their lines and of the statement before;
- the provider's signature over the statement (CMS, detached, DER);
- a time stamp over that signature (RFC 3161 response, DER), which may come later.

When the rows are old enough they are removed with their lines; statement, signature and stamp stay for good.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

__all__ = ["FORMAT", "MISSING", "SegmentStatement", "line_of"]

COUNTS: Final = ("number", "first", "last", "rows", "lines_bytes")
FORMAT: Final = "ceralacca register segment 1"
MISSING: Final = "-"
"""What stands for hash and row where a link is all that is left of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStatement:
    """What the provider signs about a run of rows. The names are those of the JSON, for good."""

    provider: str
    domain: str
    signer: str  # its address in the certificate
    number: int  # from 1, without gaps
    day: date  # of legal time
    time_zone: str
    closed_at: datetime
    first: int  # positions in the chain, both within
    last: int
    rows: int  # that were there; less than ``last - first + 1`` only if some had been torn out before
    earliest: datetime  # instants of its rows
    latest: datetime
    link_before: bytes  # the link that the first row's link is made from
    link_after: bytes  # the link of the last row
    lines_sha256: bytes
    lines_bytes: int
    previous_sha256: bytes | None  # of the statement before
    faults: tuple[str, ...] = ()  # what was wrong with the rows already when the day was closed

    def to_bytes(self) -> bytes:
        """One JSON object, names in order, a line each: the same bytes from the same facts."""
        facts = {
            "format": FORMAT,
            "provider": self.provider,
            "domain": self.domain,
            "signer": self.signer,
            "number": self.number,
            "day": self.day.isoformat(),
            "time_zone": self.time_zone,
            "closed_at": _instant(self.closed_at),
            "first": self.first,
            "last": self.last,
            "rows": self.rows,
            "earliest": _instant(self.earliest),
            "latest": _instant(self.latest),
            "link_before": self.link_before.hex(),
            "link_after": self.link_after.hex(),
            "lines_sha256": self.lines_sha256.hex(),
            "lines_bytes": self.lines_bytes,
            "previous_sha256": None if self.previous_sha256 is None else self.previous_sha256.hex(),
            "faults": list(self.faults),
        }
        return json.dumps(facts, ensure_ascii=False, indent=0, separators=(",", ": ")).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> "SegmentStatement":
        """Read what ``to_bytes`` wrote.

        Raises:
            ValueError: these are other bytes.
        """
        try:
            facts = json.loads(data)
            if facts["format"] != FORMAT:
                raise ValueError("another format")
            previous = facts["previous_sha256"]
            found = cls(
                provider=facts["provider"],
                domain=facts["domain"],
                signer=facts["signer"],
                number=facts["number"],
                day=date.fromisoformat(facts["day"]),
                time_zone=facts["time_zone"],
                closed_at=datetime.fromisoformat(facts["closed_at"]),
                first=facts["first"],
                last=facts["last"],
                rows=facts["rows"],
                earliest=datetime.fromisoformat(facts["earliest"]),
                latest=datetime.fromisoformat(facts["latest"]),
                link_before=bytes.fromhex(facts["link_before"]),
                link_after=bytes.fromhex(facts["link_after"]),
                lines_sha256=bytes.fromhex(facts["lines_sha256"]),
                lines_bytes=facts["lines_bytes"],
                previous_sha256=None if previous is None else bytes.fromhex(previous),
                faults=tuple(facts["faults"]),
            )
            if found.to_bytes() != data or any(type(getattr(found, name)) is not int for name in COUNTS):
                raise ValueError("not as we write it")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"this is no statement about a segment: {error}") from error
        return found


def line_of(position: int, link: bytes, row: tuple[bytes, str] | None) -> bytes:
    """The line of one row: its hash and its text, JSON in which neither tab nor line end stands as itself.

    Args:
        row: None where a link is all that is left of it.
    """
    row_hash, text = (MISSING, MISSING) if row is None else (row[0].hex(), row[1])
    return f"{position}\t{row_hash}\t{link.hex()}\t{text}\n".encode()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
