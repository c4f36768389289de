"""What is kept of messages, from rows of storage to columns (``points.boxes.Details``)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from operator import itemgetter
from typing import Any, Final

from gateway.flows.boxwords import FlagWords
from gateway.points.boxes import Details, Section, Want
from gateway.storage.details import places_of
from gateway.storage.statements import Row
from gateway.storage.values import instant

__all__ = ["columns_for", "incomplete", "of_rows"]

_COLUMNS: Final[Mapping[Want, tuple[str, str]]] = {
    Want.DATE: ("at", "dates"),
    Want.SIZE: ("size", "sizes"),
    Want.ENVELOPE: ("envelope", "envelopes"),
    Want.BODY: ("body", "bodies"),
    Want.STRUCTURE: ("structure", "structures"),
    Want.FIELDS: ("fields", "fields"),
    Want.HEADER: ("header", "headers"),
    Want.SECTIONS: ("places", "sections"),
}
"""What each is called in storage (``storage.details.COLUMNS``), and among the details."""
_OWN: Final = ("uid", "modseq", "flags", "keywords")
"""What storage gives of every message before those."""


def columns_for(want: Want) -> list[str]:
    """What to read for this, in order."""
    return [_COLUMNS[each][0] for each in want]


def incomplete(rows: Sequence[Row]) -> list[int]:
    """The UIDs of messages of which nobody has worked out all that was read."""
    return [row[0] for row in rows if None in row]


def of_rows(rows: Sequence[Row], want: Want, words: FlagWords, zone: tzinfo | None) -> Details:
    """What was read, as programs see it. What could not be worked out is empty."""
    # zip(*rows) does the same, at more than twice the cost where there are very many.
    uids, modseqs, marks, own, *kept = (list(map(itemgetter(n), rows)) for n in range(len(_OWN) + len(want)))
    made: dict[str, Callable[[Any], Any]] = {
        "dates": lambda at: instant(at).astimezone(zone),
        "sections": _sections,
    }
    columns: dict[str, Sequence[Any]] = {}
    for each, column in zip(want, kept, strict=True):
        name = _COLUMNS[each][1]
        if name in made:
            columns[name] = list(map(made[name], column))
        else:
            columns[name] = [value or b"" for value in column] if None in column else column
    return Details(uids=uids, modseqs=modseqs, flags=words.flags(marks, own), **columns)


def _sections(packed: bytes | None) -> Sequence[Section]:
    if packed is None:
        return ()
    return [Section(place.path, place.start, place.body, place.stop, place.inner) for place in places_of(packed)]
