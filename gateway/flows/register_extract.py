"""Extracts from the register as files: CSV for a table, JSON for programs, a signed PDF for people and courts.

Each form is written as the rows come, so that an extract may be as long as it likes. Every row carries its hash and
its place in chain and segment, so that it can be held against what was signed when its day was closed.
"""

import csv
import hashlib
import io
import json
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final
from zoneinfo import ZoneInfo

from gateway.flows.pdf import SignedPdf
from gateway.storage.extracts import Extracted, Selection
from gateway.storage.segments import Segment
from providers.sealing import Signer

__all__ = ["CsvExtract", "Extract", "JsonExtract", "Origin", "PdfExtract"]

COLUMNS: Final = (
    "at",
    "event",
    "pec_msgid",
    "msgid",
    "sender",
    "recipients",
    "subject",
    "provider",
    "related",
    "account",
    "person",
    "detail",
    "id",
    "sha256",
    "position",
    "link",
    "segment",
)
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet compute a text that a stranger wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose register it is, what was asked for, and when."""

    provider: str
    domain: str
    zone: ZoneInfo
    selection: Selection
    at: datetime


class Extract(ABC):
    """One file in the making."""

    @abstractmethod
    def add(self, found: Extracted) -> None:
        """One more row."""

    @abstractmethod
    def end(self, segments: Iterable[Segment]) -> None:
        """Finish, with what was signed about the days that the rows are of."""


class CsvExtract(Extract):
    """A line a row, times in UTC. Texts that a spreadsheet would compute begin with an apostrophe."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._line(COLUMNS)

    def add(self, found: Extracted) -> None:
        facts = _facts(found)
        self._line([_cell(facts[name]) for name in COLUMNS])

    def end(self, segments: Iterable[Segment]) -> None:
        """The statements have no place in a table."""

    def _line(self, cells: Iterable[str]) -> None:
        line = io.StringIO()
        csv.writer(line).writerow(cells)
        self._file.write(line.getvalue().encode())


class JsonExtract(Extract):
    """One object; ``hashed`` is the very text under a row's hash."""

    def __init__(self, file: BinaryIO, origin: Origin) -> None:
        self._file = file
        self._count = 0
        head = {"provider": origin.provider, "domain": origin.domain, "made_at": origin.at.isoformat()}
        asked = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(origin.selection).items()
        }
        self._file.write(f"{_json(head | {'selection': asked})[:-1]},\n".encode() + b'"rows": [')

    def add(self, found: Extracted) -> None:
        self._file.write((",\n" if self._count else "\n").encode())
        self._file.write(_json(_facts(found) | {"hashed": found.text}).encode())
        self._count += 1

    def end(self, segments: Iterable[Segment]) -> None:
        self._file.write(f'\n],\n"count": {self._count},\n"segments": ['.encode())
        for number, segment in enumerate(segments):
            self._file.write(b",\n" if number else b"\n")
            self._file.write(_json(_signed(segment)).encode())
        self._file.write(b"\n]}\n")


class PdfExtract(Extract):
    """For reading and for handing over: times as the law has them, signed by the provider."""

    def __init__(self, file: BinaryIO, origin: Origin, signer: Signer) -> None:
        self._origin = origin
        self._count = 0
        title = f"Extract from the legal register of {origin.provider} ({origin.domain})"
        self._pdf = SignedPdf(file, signer, title=title, at=origin.at)
        self._pdf.line(title, bold=True)
        self._pdf.line(f"made {self._time(origin.at)}, signed by {signer.address}")
        for line in self._asked():
            self._pdf.line(line)
        self._pdf.line()

    def add(self, found: Extracted) -> None:
        self._count += 1
        row, pdf = found.row, self._pdf
        pdf.keep_together(4)
        pdf.line(f"{self._time(row.at)}  {row.event}" + (f": {row.detail}" if row.detail else ""), bold=True)
        for name, value in (
            ("message", row.pec_msgid),
            ("Message-ID", row.msgid),
            ("from", row.sender),
            ("for", ", ".join(row.recipients)),
            ("subject", row.subject),
            ("sent by", row.provider),
            ("made", ", ".join(row.related)),
            ("account", row.account),
            ("person", row.person),
            ("row", f"{row.id}, {_place(found)}"),
            ("SHA-256", found.sha256.hex()),
        ):
            if value:
                pdf.line(f"{name:<11}{value}", indent=2)
        pdf.line()

    def end(self, segments: Iterable[Segment]) -> None:
        """Raises SigningUnavailable."""
        self._pdf.line(f"{self._count} rows", bold=True)
        for number, segment in enumerate(segments):
            if not number:
                self._pdf.line()
                self._pdf.line("Closed days that these rows are of", bold=True)
            self._pdf.keep_together(3)
            stamped = f"stamped {self._time(segment.stamped_at)}" if segment.stamped_at else "not stamped yet"
            self._pdf.line(f"segment {segment.number} of {segment.day}, positions {segment.first} to {segment.last}")
            self._pdf.line(f"signed {self._time(segment.closed_at)}, {stamped}", indent=2)
            self._pdf.line(f"SHA-256 of its statement {hashlib.sha256(segment.statement).hexdigest()}", indent=2)
        self._pdf.end()

    def _asked(self) -> Iterator[str]:
        asked = self._origin.selection
        if asked.message is not None:
            yield f"about the message {asked.message}"
        if asked.address is not None:
            yield f"about the address {asked.address}"
        if asked.since is not None:
            yield f"from {self._time(asked.since)} on"
        if asked.until is not None:
            yield f"before {self._time(asked.until)}"

    def _time(self, at: datetime) -> str:
        return at.astimezone(self._origin.zone).isoformat(sep=" ", timespec="milliseconds")


def _place(found: Extracted) -> str:
    if found.position is None:
        return "not linked yet"
    closed = "its day is not closed yet" if found.segment is None else f"segment {found.segment}"
    return f"position {found.position}, {closed}"


def _facts(found: Extracted) -> dict[str, Any]:
    facts = asdict(found.row) | {
        "at": found.row.at.isoformat(),
        "sha256": found.sha256.hex(),
        "position": found.position,
        "link": None if found.link is None else found.link.hex(),
        "segment": found.segment,
    }
    return {name: facts[name] for name in COLUMNS}


def _signed(segment: Segment) -> dict[str, Any]:
    """All that proves a closed day, the first two as their bytes are."""
    return {
        "number": segment.number,
        "day": segment.day.isoformat(),
        "statement": segment.statement.decode(),
        "signature": b64encode(segment.signature).decode(),
        "stamp": None if segment.stamp is None else b64encode(segment.stamp).decode(),
        "stamped_at": None if segment.stamped_at is None else segment.stamped_at.isoformat(),
        "stamped_by": segment.stamp_source,
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = " ".join(value) if isinstance(value, tuple | list) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


_json = json.JSONEncoder(ensure_ascii=False).encode
