"""ENVELOPE, BODY and BODYSTRUCTURE of a message as they stand on the wire (RFC 3501 section 7.4.2).

Strings are quoted, never literal: seven-bit characters without CR, LF and NUL. What a header holds in eight bits is
shown as an encoded word.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from receipts.fields import decode_charset, parse_parameters, raw_parameters, unfold
from receipts.octets import Octets
from receipts.outline import Entity
from receipts.parts import Field, Header

__all__ = ["Mailbox", "body_structure", "envelope", "mailboxes"]

MAX_ADDRESSES = 2_000
"""Addresses shown of one field."""
MAX_STRING = 16_000
"""Characters shown of one value."""

_NIL = b"NIL"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_ESCAPED = re.compile(r'(["\\])')
_PIECE = re.compile(
    r"""[ \t]*(?:
        "((?:[^"\\]|\\.)*+)"?  # 1 a quoted string, which may never end
      | (\()  # 2 a comment begins
      | <([^<>]*+)>?  # 3 an address in its brackets
      | ([,:;])  # 4
      | ([^\s"(<,:;]++|.)  # 5 an atom, or a part of one
    )""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class Mailbox(NamedTuple):
    """An address of a list, or the beginning of a group (no host), or its end (neither)."""

    name: str | None
    mailbox: str | None
    host: str | None


def envelope(header: Header) -> bytes:
    """The envelope of a message with this header."""
    senders = _addresses(header, "From")
    return b"(%s)" % b" ".join(
        (
            _value(header.first("Date")),
            _value(header.first("Subject")),
            senders,
            _addresses(header, "Sender", senders),
            _addresses(header, "Reply-To", senders),
            _addresses(header, "To"),
            _addresses(header, "Cc"),
            _addresses(header, "Bcc"),
            _value(header.first("In-Reply-To")),
            _value(header.first("Message-ID")),
        )
    )


def body_structure(root: Entity, message: Octets) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE of a message."""
    return _structure(root, message)


def mailboxes(value: bytes) -> list[Mailbox]:
    """The addresses of a list as far as they can be read, with the names as they are written; bounded."""
    reader = _ListReader()
    text = unfold(value)
    at = 0
    while at < len(text) and len(reader.found) < MAX_ADDRESSES:
        piece = _PIECE.match(text, at)
        if piece is None:
            break
        at = piece.end()
        if piece[2]:
            comment, at = _comment(text, at)
            reader.comment = comment
        else:
            reader.take(piece)
    reader.end()
    return reader.found


class _ListReader:
    """Collects the words of one address until a comma, colon or semicolon."""

    def __init__(self) -> None:
        self.found: list[Mailbox] = []
        self.comment: str | None = None
        self._words: list[str] = []
        self._angle: str | None = None
        self._in_group = False
        self._end = -1  # of the last word

    def take(self, piece: re.Match[str]) -> None:
        if piece[1] is not None:
            self._word(_QUOTED_PAIR.sub(r"\1", piece[1]), piece)
        elif piece[3] is not None:
            self._angle = piece[3]
        elif piece[5] is not None:
            self._word(piece[5], piece)
        elif piece[4] == ":" and not self._in_group and self._angle is None:
            self.found.append(Mailbox(None, " ".join(self._words), None))
            self._words, self._in_group = [], True
        elif piece[4] == ";" and self._in_group:
            self._add()
            self.found.append(Mailbox(None, None, None))
            self._in_group = False
        else:
            self._add()

    def end(self) -> None:
        self._add()
        if self._in_group:
            self.found.append(Mailbox(None, None, None))

    def _word(self, word: str, piece: re.Match[str]) -> None:
        """White space divides words; without it ``"a"@b`` is one."""
        start = piece.start(5) if piece[5] is not None else piece.start(1) - 1
        if self._words and start == self._end:
            self._words[-1] += word
        else:
            self._words.append(word)
        self._end = piece.end()

    def _add(self) -> None:
        if self._angle is not None:
            address, name = self._angle.rpartition(":")[2].strip(), " ".join(self._words) or None
        else:
            address, name = "".join(self._words), self.comment
        if address or name:
            local, at, host = address.rpartition("@")
            if local[:1] == local[-1:] == '"' and len(local) > 1:
                local = _QUOTED_PAIR.sub(r"\1", local[1:-1])  # RFC 3501: without the quoting of RFC 2822
            self.found.append(Mailbox(name, local if at else address, host if at else ""))
        self._words, self._angle, self.comment = [], None, None


def _comment(text: str, at: int) -> tuple[str, int]:
    """What stands in a comment that begins before ``at``, and where it ends."""
    start, depth = at, 1
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if not depth:
                return text[start:at], at + 1
        at += 1
    return text[start:], len(text)


def _structure(entity: Entity, message: Octets) -> tuple[bytes, bytes]:
    """A part without extension data, and with them."""
    part = entity.part
    field = part.header.first("Content-Type")
    kind, _, subtype = part.type.partition("/")
    if kind == "multipart" and entity.children:
        pairs = [_structure(child, message) for child in entity.children]
        short, long = (b"".join(pair[form] for pair in pairs) for form in (0, 1))
        name = _string(subtype)
        more = b" ".join((_parameters(field), *_extension(entity)))
        return b"(%s %s)" % (short, name), b"(%s %s %s)" % (long, name, more)
    if kind == "multipart":  # without parts it is what it looks like: text
        kind, subtype, field = "text", "plain", None
    first = b" ".join(
        (
            _string(kind),
            _string(subtype),
            _text_parameters(field) if kind == "text" else _parameters(field),
            _value(part.header.first("Content-ID")),
            _value(part.header.first("Content-Description")),
            _string(part.encoding),
            b"%d" % (entity.stop - entity.body_start),
        )
    )
    last = b" ".join((_value(part.header.first("Content-MD5")), *_extension(entity)))
    if part.type == "message/rfc822":
        lines = _lines(entity, message)
        inner, short, long = _inner(entity, message)
        return b"(%s %s %s %d)" % (first, inner, short, lines), b"(%s %s %s %d %s)" % (first, inner, long, lines, last)
    if kind == "text":
        first = b"%s %d" % (first, _lines(entity, message))
    return b"(%s)" % first, b"(%s %s)" % (first, last)


def _inner(entity: Entity, message: Octets) -> tuple[bytes, bytes, bytes]:
    """Envelope and both structures of the message inside; of one that lies too deep, nothing."""
    if entity.inner is None:
        unread = b'"text" "plain" NIL NIL NIL "7bit" 0 0'
        return b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", b"(%s)" % unread, b"(%s NIL NIL NIL NIL)" % unread
    return envelope(entity.inner.part.header), *_structure(entity.inner, message)


def _extension(entity: Entity) -> tuple[bytes, bytes, bytes]:
    """Disposition, language, location."""
    header = entity.part.header
    disposition = _NIL
    field = header.first("Content-Disposition")
    if field is not None and (word := parse_parameters(field.value)[0]):
        disposition = b"(%s %s)" % (_string(word), _parameters(field))
    languages = header.first("Content-Language")
    tags = [tag.strip() for tag in languages.text.split(",") if tag.strip()][:20] if languages else []
    language = b"(%s)" % b" ".join(map(_string, tags)) if tags else _NIL
    return disposition, language, _value(header.first("Content-Location"))


def _parameters(field: Field | None) -> bytes:
    found = raw_parameters(field.value) if field is not None else []
    return b"(%s)" % b" ".join(_string(word) for pair in found for word in pair) if found else _NIL


def _text_parameters(field: Field | None) -> bytes:
    """Text without parameters is in ASCII (RFC 2045 section 5.2), and clients are told so."""
    found = _parameters(field)
    return b'("charset" "us-ascii")' if found == _NIL else found


def _lines(entity: Entity, message: Octets) -> int:
    return sum(piece.count(b"\n") for piece in _body(entity, message))


def _body(entity: Entity, message: Octets) -> Iterator[bytes]:
    return message.slice(entity.body_start, entity.stop).pieces()


def _addresses(header: Header, name: str, default: bytes = _NIL) -> bytes:
    found = [one for field in header.all(name)[:10] for one in mailboxes(field.value)][:MAX_ADDRESSES]
    return b"(%s)" % b"".join(map(_address, found)) if found else default


def _address(one: Mailbox) -> bytes:
    return b"(%s)" % b" ".join(_strings((one.name, None, one.mailbox, one.host)))


def _strings(texts: Iterable[str | None]) -> Iterator[bytes]:
    return (_NIL if text is None else _string(text) for text in texts)


def _value(field: Field | None) -> bytes:
    return _NIL if field is None else _string(field.text)


def _string(text: str) -> bytes:
    """A quoted string; ``text`` has one Latin-1 character for each byte of the header."""
    if len(text) > MAX_STRING:
        text = text[:MAX_STRING]
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    if not text.isascii():
        text = _encoded(text)
    return b'"%s"' % _ESCAPED.sub(r"\\\1", text).encode("ascii")


def _encoded(text: str) -> str:
    """Bare eight-bit text as encoded words of RFC 2047, each within its 75 characters."""
    words = decode_charset(text.encode("latin-1", "replace"), "")
    pieces = (words[at : at + 10] for at in range(0, len(words), 10))
    return " ".join(f"=?utf-8?b?{b64encode(piece.encode('utf-8', 'replace')).decode('ascii')}?=" for piece in pieces)
