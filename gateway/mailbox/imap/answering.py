"""How the answers to a FETCH look: a form made once for the command, filled with columns (RFC 3501 section 7.4.2)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.mailbox.imap import replies
from gateway.mailbox.imap.items import Body, Item, Part
from gateway.mailbox.imap.view import View
from gateway.points.boxes import Details, Want
from receipts.choice import USUAL, FieldChooser

__all__ = ["Form", "chooser_of"]

Columns = Iterable[Iterable[Any]]
Chooser = Callable[[bytes], bytes]


class _Piece(NamedTuple):
    """A part of the form, and what it is filled with: a column for each of its gaps."""

    form: bytes
    columns: Callable[[Details], Columns]
    want: Want = Want.NOTHING


_KEPT: Final[Mapping[Item, _Piece]] = {
    Item.BODY: _Piece(b"BODY %b", lambda found: [found.bodies], Want.BODY),
    Item.BODYSTRUCTURE: _Piece(b"BODYSTRUCTURE %b", lambda found: [found.structures], Want.STRUCTURE),
    Item.ENVELOPE: _Piece(b"ENVELOPE %b", lambda found: [found.envelopes], Want.ENVELOPE),
    Item.INTERNALDATE: _Piece(b"INTERNALDATE %b", lambda found: [map(replies.instant, found.dates)], Want.DATE),
    Item.MODSEQ: _Piece(b"MODSEQ (%d)", lambda found: [found.modseqs]),
    Item.SIZE: _Piece(b"RFC822.SIZE %d", lambda found: [found.sizes], Want.SIZE),
    Item.UID: _Piece(b"UID %d", lambda found: [found.uids]),
}


class Form:
    """The answers of one FETCH, up to the first section that needs the message itself.

    Args:
        items: in the order of the answer.
    """

    def __init__(self, items: Sequence[Item | Body], view: View) -> None:
        self._view = view
        self._told, self._recent = _FlagLists(), _FlagLists("\\Recent")
        pieces = [self._piece(item) for item in items if not isinstance(item, Body) or item.in_header]
        self._line = b"* %d FETCH (" + b" ".join(piece.form for piece in pieces)
        self._columns = [piece.columns for piece in pieces]
        self.space = b" " if pieces else b""  # before what follows
        self.tells_flags = Item.FLAGS in items
        self.choices = sum(isinstance(item, Body) and item.in_header for item in items)
        self.needs_rows = self.tells_flags or Item.MODSEQ in items
        self.want = Want.NOTHING
        for piece in pieces:
            self.want |= piece.want

    def filled(self, details: Details) -> Iterator[bytes]:
        """The answers about these messages."""
        columns = [column for columns in self._columns for column in columns(details)]
        return map(self._line.__mod__, zip(self._view.numbers_of(details.uids), *columns, strict=True))

    def _piece(self, item: Item | Body) -> _Piece:
        if isinstance(item, Body):
            return _header_piece(item)
        return _Piece(b"FLAGS %b", self._flags) if item is Item.FLAGS else _KEPT[item]

    def _flags(self, details: Details) -> Columns:
        if not self._view.recent_ranges:
            return [map(self._told.__getitem__, details.flags)]
        recent = self._view.are_recent(details.uids)
        return [
            [self._recent[each] if new else self._told[each] for each, new in zip(details.flags, recent, strict=True)]
        ]


class _FlagLists(dict[frozenset[str], bytes]):
    """Each set of flags as it is told, with more that each has; there are few."""

    def __init__(self, *more: str) -> None:
        super().__init__()
        self._more = more

    def __missing__(self, flags: frozenset[str]) -> bytes:
        told = self[flags] = replies.flag_list((*flags, *self._more))
        return told


def chooser_of(body: Body) -> Chooser:
    """What of a header this section is."""
    if body.part not in (Part.FIELDS, Part.FIELDS_NOT):
        return bytes
    return FieldChooser(body.names, others=body.part is Part.FIELDS_NOT)


def _header_piece(body: Body) -> _Piece:
    """A section that lies in the header: of the usual fields, if they are enough."""
    usual = body.part is Part.FIELDS and body.names <= USUAL
    whole = usual and body.names == USUAL
    choose, partial = chooser_of(body), body.partial

    def columns(details: Details) -> Columns:
        data = details.fields if usual else details.headers
        if not whole:
            data = list(map(choose, data))
        if partial is not None:
            data = [each[partial[0] : sum(partial)] for each in data]
        return map(len, data), data

    label = body.label.replace(b"%", b"%%")
    return _Piece(label + b" {%d}\r\n%b", columns, Want.FIELDS if usual else Want.HEADER)
