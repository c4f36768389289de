"""What FETCH may ask of a message (RFC 3501 section 6.4.5): names, and sections of the body, from bytes to records."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from gateway.mailbox.imap.tokens import Cursor

__all__ = ["Body", "Item", "Part", "fetch_items"]

_MOST_ITEMS: Final = 100
_MOST_NAMES: Final = 200  # header fields in one item
_DEEPEST: Final = 100  # numbers of a part
_LARGEST: Final = 2**32 - 1
_UNQUOTABLE: Final = re.compile(rb'[^\x20-\x7e]|["\\]')
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9.]*")


class Item(Enum):
    """All but sections; the value is the word on the wire."""

    BODY = b"BODY"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    ENVELOPE = b"ENVELOPE"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    MODSEQ = b"MODSEQ"
    SIZE = b"RFC822.SIZE"
    UID = b"UID"


class Part(Enum):
    """What of a part."""

    WHOLE = b""
    HEADER = b"HEADER"
    FIELDS = b"HEADER.FIELDS"
    FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A section of a message."""

    label: bytes  # how the answer calls it
    path: tuple[int, ...] = ()
    part: Part = Part.WHOLE
    names: frozenset[bytes] = frozenset()  # of header fields, in lower case
    partial: tuple[int, int] | None = None  # first byte, how many
    peek: bool = False  # the message stays unseen

    @property
    def in_header(self) -> bool:
        """Whether the header of the message has all of it."""
        return not self.path and self.part in (Part.HEADER, Part.FIELDS, Part.FIELDS_NOT)


_MACROS: Final[Mapping[bytes, tuple[Item, ...]]] = {
    b"FAST": (Item.FLAGS, Item.INTERNALDATE, Item.SIZE),
    b"ALL": (Item.FLAGS, Item.INTERNALDATE, Item.SIZE, Item.ENVELOPE),
    b"FULL": (Item.FLAGS, Item.INTERNALDATE, Item.SIZE, Item.ENVELOPE, Item.BODY),
}
_OLD_NAMES: Final[Mapping[bytes, Body]] = {
    b"RFC822": Body(label=b"RFC822"),
    b"RFC822.HEADER": Body(label=b"RFC822.HEADER", part=Part.HEADER, peek=True),
    b"RFC822.TEXT": Body(label=b"RFC822.TEXT", part=Part.TEXT),
}
_ITEMS: Final = {item.value: item for item in Item}
_PARTS: Final = {part.value: part for part in Part}


def fetch_items(cursor: Cursor) -> tuple[Item | Body, ...]:
    """A macro, one item, or a list of items; each once, in their order."""
    if cursor.next_is(b"("):
        items = cursor.many(lambda: _item(cursor), _MOST_ITEMS)
        if not items:
            cursor.fail("nothing to fetch")
        return tuple(dict.fromkeys(items))
    start = cursor.at
    macro = _MACROS.get(cursor.match(_NAME, "item").upper())
    if macro is not None:
        return macro
    cursor.at = start
    return (_item(cursor),)


def _item(cursor: Cursor) -> Item | Body:
    word = cursor.match(_NAME, "item").upper()
    if word in (b"BODY", b"BODY.PEEK") and cursor.skip(b"["):
        return _section(cursor, peek=word == b"BODY.PEEK")
    old = _OLD_NAMES.get(word)
    if old is not None:
        return old
    item = _ITEMS.get(word)
    if item is None:
        cursor.fail("no such item")
    return item


def _section(cursor: Cursor, *, peek: bool) -> Body:
    path = _path(cursor)
    part, names = Part.WHOLE, list[bytes]()
    if not cursor.next_is(b"]"):
        part = _PARTS.get(cursor.match(_NAME, "section").upper(), Part.WHOLE)
        if part is Part.WHOLE or (part is Part.MIME and not path):
            cursor.fail("no such section")
        if part in (Part.FIELDS, Part.FIELDS_NOT):
            cursor.space()
            names = cursor.many(lambda: cursor.astring().upper(), _MOST_NAMES)
    cursor.expect(b"]")
    label = _label(path, part, names)
    sought = frozenset(name.lower() for name in names)
    body = Body(label=label, path=path, part=part, names=sought, peek=peek)
    if not cursor.skip(b"<"):
        return body
    first = cursor.number(_LARGEST)
    cursor.expect(b".")
    length = cursor.number(_LARGEST)
    cursor.expect(b">")
    if not length:
        cursor.fail("a part of no bytes")
    return replace(body, label=b"%s<%d>" % (label, first), partial=(first, length))


def _path(cursor: Cursor) -> tuple[int, ...]:
    """Part numbers, and the dot behind them if a word follows."""
    path: list[int] = []
    while cursor.data[cursor.at : cursor.at + 1].isdigit():
        if len(path) >= _DEEPEST:
            cursor.fail("section too deep")
        path.append(cursor.number(_LARGEST))
        if cursor.next_is(b"]"):
            break
        cursor.expect(b".")
        if cursor.next_is(b"]"):
            cursor.fail("no such section")
    return tuple(path)


def _label(path: tuple[int, ...], part: Part, names: Sequence[bytes]) -> bytes:
    """How the answer calls a section: as the client did, in upper case and in one line."""
    words = [b"%d" % number for number in path]
    if part is not Part.WHOLE:
        words.append(part.value)
    fields = b" (%s)" % b" ".join(map(_quoted, names)) if part in (Part.FIELDS, Part.FIELDS_NOT) else b""
    return b"BODY[%s%s]" % (b".".join(words), fields)


def _quoted(name: bytes) -> bytes:
    if name.replace(b"-", b"").replace(b"_", b"").isalnum() and name.isascii():
        return name
    return b'"%s"' % _UNQUOTABLE.sub(b"?", name)
