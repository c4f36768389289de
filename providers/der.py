"""DER, the byte form of ASN.1: elements to bytes and back, and BER of indefinite length made definite.

The reader works on offsets and copies nothing. It is strict: an element that is legal BER but not DER raises
``NotDer``, and ``as_der`` writes the same elements again in definite form.
"""

from collections.abc import Iterator

__all__ = [
    "DerError",
    "NotDer",
    "as_der",
    "children",
    "element",
    "expect",
    "object_identifier",
    "tlv",
]

SEQUENCE, SET, OCTET_STRING, INTEGER, OBJECT_IDENTIFIER = 0x30, 0x31, 0x04, 0x02, 0x06
NULL = b"\x05\x00"
CONSTRUCTED = 0x20
MANY_BYTES_TAG = 0x1F
MAX_DEPTH = 32
MAX_ELEMENTS = 100_000


class DerError(ValueError):
    """These bytes are no ASN.1 that we read."""


class NotDer(DerError):
    """A length is indefinite or longer than needed: BER perhaps, but not DER."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element: tag, minimal length, the parts joined."""
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def object_identifier(dotted: str) -> bytes:
    """The whole element for an identifier such as "1.2.840.113549.1.7.1"."""
    first, second, *rest = map(int, dotted.split("."))
    body = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        body.extend(reversed(groups))
    return tlv(OBJECT_IDENTIFIER, bytes(body))


def element(data: bytes, at: int, stop: int) -> tuple[int, int, int]:
    """The element at ``at``: its tag, where its content starts, where it ends.

    Raises:
        NotDer: see above.
        DerError: it does not end before ``stop``, or its tag has several bytes (no structure we read has one).
    """
    if at + 2 > stop:
        raise DerError("an element is cut short")
    tag, size = data[at], data[at + 1]
    if tag & MANY_BYTES_TAG == MANY_BYTES_TAG:
        raise DerError("a tag of several bytes")
    start = at + 2
    if size >= 0x80:
        count = size & 0x7F
        if count == 0:
            raise NotDer("a length is indefinite")
        if count > 4 or start + count > stop:
            raise DerError("a length is out of range")
        size = int.from_bytes(data[start : start + count], "big")
        if size < 0x80 or size.bit_length() <= 8 * (count - 1):
            raise NotDer("a length is longer than needed")
        start += count
    end = start + size
    if end > stop:
        raise DerError("an element is cut short")
    return tag, start, end


def expect(data: bytes, at: int, stop: int, tag: int) -> tuple[int, int]:
    """Where the content of the element at ``at`` starts and ends; it must have this tag."""
    if at + 2 <= stop and data[at] == tag and (size := data[at + 1]) < 0x80:  # as most are
        start = at + 2
        end = start + size
        if end <= stop:
            return start, end
    found, start, end = element(data, at, stop)
    if found != tag:
        raise DerError(f"element {found:#04x} where {tag:#04x} belongs")
    return start, end


def children(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """The elements between ``start`` and ``stop``: tag, where it starts, where its content starts, where it ends."""
    while start < stop:
        tag, body, end = element(data, start, stop)
        yield tag, start, body, end
        start = end


def as_der(data: bytes) -> bytes:
    """Write BER again with definite, minimal lengths and octet strings in one piece.

    The order of sets is kept: what is signed is signed in the order in which it was written.

    Raises:
        DerError: broken, deeper than 32, more than 100,000 elements, or bytes follow.
    """
    encoded, end = _Definite(data).element(0, len(data), 0)
    if end != len(data):
        raise DerError("bytes follow the last element")
    return encoded


class _Definite:
    """One pass of ``as_der`` and its count of elements."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._elements = 0

    def element(self, at: int, stop: int, depth: int) -> tuple[bytes, int]:
        self._elements += 1
        if depth > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise DerError("too deep, or too many elements")
        tag, start, end = self._extent(at, stop)
        if not tag & CONSTRUCTED:
            if end is None:
                raise DerError("a plain value of indefinite length")
            return tlv(tag, self._data[start:end]), end
        parts, end = self._parts(start, stop, end, depth)
        if tag == OCTET_STRING | CONSTRUCTED:
            return tlv(OCTET_STRING, *map(_octets, parts)), end
        return tlv(tag, *parts), end

    def _parts(self, start: int, stop: int, end: int | None, depth: int) -> tuple[list[bytes], int]:
        """The children, in definite form, and where the element that holds them ends."""
        parts: list[bytes] = []
        at = start
        while at != end:
            if end is None and self._data[at : at + 2] == b"\0\0" and at + 2 <= stop:
                return parts, at + 2
            part, at = self.element(at, stop if end is None else end, depth + 1)
            parts.append(part)
        return parts, at

    def _extent(self, at: int, stop: int) -> tuple[int, int, int | None]:
        """Tag, start of the content, and its end, or None when the length is indefinite."""
        data = self._data
        if at + 2 > stop:
            raise DerError("an element is cut short")
        tag, size, start = data[at], data[at + 1], at + 2
        if tag & MANY_BYTES_TAG == MANY_BYTES_TAG or tag == 0:
            raise DerError("a tag that does not belong here")
        if size == 0x80:
            return tag, start, None
        if size > 0x80:
            count = size & 0x7F
            if start + count > stop:
                raise DerError("a length is cut short")
            size = int.from_bytes(data[start : start + count], "big")
            start += count
        if start + size > stop:
            raise DerError("an element is cut short")
        return tag, start, start + size


def _octets(part: bytes) -> bytes:
    """The content of one piece of an octet string, which is an octet string in definite form."""
    start, end = expect(part, 0, len(part), OCTET_STRING)
    return part[start:end]
