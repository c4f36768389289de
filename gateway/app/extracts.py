"""Extracts, figures and closed days of the register, taken out of a storage into files."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from gateway.flows.register_extract import CsvExtract, Extract, JsonExtract, Origin, PdfExtract
from gateway.points.closing import two_months
from gateway.storage import content, segments
from gateway.storage.audit import unzipped
from gateway.storage.engine import Storage
from gateway.storage.extracts import extracted
from gateway.storage.figures import Figures, figures, first_event
from gateway.storage.segments import Segment
from providers.sealing import Signer

__all__ = ["Form", "Period", "new_file", "periods", "periods_as", "write_extract", "write_segment"]

UNFINISHED: Final = ".unfinished"
KINDS: Final = (
    "acceptance",
    "non-acceptance",
    "envelope",
    "take-charge",
    "delivery",
    "non-delivery",
    "timeout",
    "anomaly",
)


class Form(StrEnum):
    CSV = "csv"
    JSON = "json"
    PDF = "pdf"


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name only when it is finished."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("w+b") as file:
            yield file
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def write_extract(
    storage: Storage,
    origin: Origin,
    form: Form,
    file: BinaryIO,
    signer: Callable[[], Signer],
    progress: Callable[[int], None],
) -> int:
    """Write what ``origin`` asks for; how many rows that is.

    Args:
        file: a PDF needs one that can be read and written anywhere.
        signer: asked for when a PDF is to be signed.
    """
    extract = _extract(form, file, origin, signer)
    rows, numbers = 0, dict[int, None]()
    for found in extracted(storage.read_now, origin.selection, progress):
        extract.add(found)
        rows += 1
        if found.segment is not None:
            numbers[found.segment] = None
    extract.end(_segments(storage, sorted(numbers)))
    return rows


def write_segment(storage: Storage, segment: Segment, folder: Path) -> list[Path]:
    """The files of a closed day: its lines, unless they were removed; statement, signature and time stamp."""
    name = f"{segment.number:06}-{segment.day}"
    written = []
    for suffix, data in (
        ("json", segment.statement),
        ("json.p7s", segment.signature),
        ("json.p7s.tsr", segment.stamp),
    ):
        if data is not None:
            written.append(folder / f"{name}.{suffix}")
            written[-1].write_bytes(data)
    if segment.body_id is not None:
        written.insert(0, folder / f"{name}.lines")
        kept = storage.read_now(partial(content.load, body_id=segment.body_id))
        with new_file(written[0]) as file:
            for piece in unzipped(kept.pieces()):
                file.write(piece)
    return written


class Period:
    """Two months of the calendar in legal time, and what happened in them."""

    def __init__(self, first: date, after: date, found: Figures) -> None:
        self.first = first
        self.last = after - timedelta(days=1)
        self.figures = found

    def row(self) -> dict[str, str | int]:
        found = self.figures
        emitted = {f"{kind} issued": found.emitted.get(kind, 0) for kind in KINDS}
        others = {f"{kind} issued": count for kind, count in found.emitted.items() if kind not in KINDS}
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "messages sent": found.sent,
            "messages refused": found.refused,
            "messages received": found.received,
            "deliveries": found.delivered,
            "boxes": found.boxes,
            **emitted,
            **others,
        }


def periods(storage: Storage, zone: ZoneInfo, since: datetime | None, until: datetime) -> list[Period]:
    """Every two months from ``since``, or from the first event on, to that of ``until``."""
    start = since or storage.read_now(first_event)
    if start is None:
        return []
    found = []
    first, after = two_months(start.astimezone(zone).date())
    while datetime.combine(first, time(), zone) < until:
        bounds = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, after))
        begins, ends = bounds
        found.append(Period(first, after, storage.read_now(partial(figures, since=begins, until=ends))))
        first, after = two_months(after)
    return found


def periods_as(form: Form | None, found: list[Period]) -> str:
    """As JSON, as CSV, or as a table for people: a column for every two months."""
    rows = [period.row() for period in found]
    if form is Form.JSON:
        return json.dumps(rows, indent=2) + "\n"
    names = list(dict.fromkeys(name for row in rows for name in row))
    if form is Form.CSV:
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval=0)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
    if not rows:
        return "nothing is registered\n"
    wide = max(map(len, names))
    lines = [[name.ljust(wide), *(str(row.get(name, 0)).rjust(10) for row in rows)] for name in names]
    return "".join(f"{'  '.join(line)}\n" for line in lines)


def _extract(form: Form, file: BinaryIO, origin: Origin, signer: Callable[[], Signer]) -> Extract:
    if form is Form.CSV:
        return CsvExtract(file)
    return JsonExtract(file, origin) if form is Form.JSON else PdfExtract(file, origin, signer())


def _segments(storage: Storage, numbers: list[int]) -> Iterator[Segment]:
    for number in numbers:
        found = storage.read_now(partial(segments.find, number=number))
        if found is not None:
            yield found
