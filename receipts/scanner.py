"""Received bytes to header fields and a tree of parts (D18, D39).

Nothing is copied that need not be, nothing is changed, and nothing raises: what is wrong with a message is said in
``faults``. Lines end with CRLF; a lone CR or LF is a fault and an ordinary byte. A message/rfc822 part is a leaf:
who needs its inside scans that range again.

The work is bounded whatever the bytes are: a header, the fields of all headers and the parts are counted, and the
bytes inside a multipart are searched once for its delimiter, in windows, so that a message may lie in storage.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from receipts.fields import Parameters, parse_parameters
from receipts.octets import Octets
from receipts.parts import Block, Fault, Field, Header, Part, decode_body

__all__ = ["Fault", "Field", "Header", "Part", "ScanLimits", "decode_body", "scan", "scan_header"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanLimits:
    """Beyond these a message is not taken apart further (D14, D15)."""

    header: int = 256 * 1024  # bytes
    field: int = 64 * 1024  # bytes
    fields: int = 50_000  # in all headers together
    parts: int = 10_000  # inside multiparts, at all levels; and as many lines that only begin like a delimiter
    depth: int = 100
    effort: int = 1_000_000_000
    """Each level of nesting searches its bytes again: levels times bytes of the message stay below this."""
    least_depth: int = 10
    """However large a message is, it may be nested so deep."""
    window: int = 1024 * 1024
    """Bytes that are in memory together; a larger message is read in windows of this size (D20)."""


def scan(message: Octets, limits: ScanLimits | None = None) -> Part:
    """Take a message apart."""
    return _Scan(message, limits or ScanLimits()).message()


def scan_header(message: Octets | bytes, limits: ScanLimits | None = None) -> Header:
    """Read only the header of a message or part."""
    octets = Octets.of(message) if isinstance(message, bytes) else message
    return _Scan(octets, limits or ScanLimits()).header(0, octets.size)


REMEMBERED = 400
"""Bytes of a header up to which it is read only once, wherever it stands again: those of parts are all alike."""
MAX_BOUNDARY = 200  # RFC 2046 5.1.1 says 70; some programs write more
MAX_DELIMITER_TAIL = 200  # white space after a delimiter

_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_TAIL = re.compile(rb"(--)?[ \t]*+(\r\n|\Z)")
_NAME_BYTES = bytes(code for code in range(33, 127) if code != ord(":"))
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`{|}~0-9a-z-]+/[!#$%&'*+.^_`{|}~0-9a-z-]+")


class _Delimiter(NamedTuple):
    start: int  # of the CRLF before it
    stop: int  # after its line
    closing: bool


class _Window:
    """The bytes of a rope, of which the part last looked at is in memory: all of them if they are few."""

    def __init__(self, octets: Octets, size: int) -> None:
        self._octets = octets
        self._size = size
        self._load(0)

    def read(self, start: int, stop: int) -> bytes:
        """A range of at most the size of the window."""
        if start < self._start or stop > self._stop:
            self._load(start)
        return self._data[start - self._start : stop - self._start]

    def find(self, needle: bytes, start: int, stop: int) -> int:
        """Where ``needle`` first lies wholly between ``start`` and ``stop``; -1 if nowhere."""
        while stop - start >= len(needle):
            if start < self._start or start + len(needle) > self._stop:
                self._load(start)
            found = self._data.find(needle, start - self._start, stop - self._start)
            if found >= 0:
                return self._start + found
            if self._stop >= stop:
                return -1
            start = self._stop - len(needle) + 1
        return -1

    def _load(self, start: int) -> None:
        self._start = start
        self._data = self._octets.read(start, start + self._size)
        self._stop = start + len(self._data)


class _Scan:
    """One scan of one message, and what is left of its limits."""

    def __init__(self, octets: Octets, limits: ScanLimits) -> None:
        self._window = _Window(octets, max(limits.window, limits.header))
        self._size = octets.size
        self._limits = limits
        self._fields_left = limits.fields
        self._remembered = min(REMEMBERED, limits.field)
        self._parts_left = self._misses_left = limits.parts
        self._depth = min(limits.depth, max(limits.least_depth, limits.effort // max(octets.size, 1)))

    def message(self) -> Part:
        return self._part(0, self._size, 0, "text/plain")

    def header(self, start: int, stop: int) -> Header:
        """Read the header of the part that lies between ``start`` and ``stop``."""
        window, limit = self._window, min(stop, start + self._limits.header)
        if window.read(start, min(stop, start + 2)) == b"\r\n":
            return Header(NO_FIELDS, start, start + 2, ())
        end = window.find(b"\r\n\r\n", start, limit)
        if 0 <= end <= start + self._remembered:
            block = _remembered_block(window.read(start, end + 2))
            if len(block.fields) <= self._fields_left:
                self._fields_left -= len(block.fields)
                return Header(block, start, end + 4, block.faults)
        faults: tuple[Fault, ...] = ()
        if end < 0:
            end = body_start = limit
            if limit < stop:
                faults = (Fault.HEADER_TOO_LONG,)
        else:
            body_start = end + 4
            end += 2
        block = read_block(window.read(start, end), self._fields_left, self._limits.field)
        self._fields_left -= len(block.fields)
        return Header(block, start, body_start, faults + block.faults)

    def _part(self, start: int, stop: int, depth: int, default_type: str) -> Part:
        header = self.header(start, stop)
        media_type = header.block.media_type or default_type
        faults = header.block.type_faults
        children: tuple[Part, ...] = ()
        if media_type.startswith("multipart/") and Fault.HEADER_TOO_LONG not in header.faults:
            children, more = self._inside(header, stop, depth, media_type)
            faults += more
        return Part(
            header=header,
            start=start,
            stop=stop,
            type=media_type,
            params=header.block.params,
            children=children,
            faults=faults,
        )

    def _inside(
        self, header: Header, stop: int, depth: int, media_type: str
    ) -> tuple[tuple[Part, ...], tuple[Fault, ...]]:
        """The parts of a multipart, and what is wrong with it."""
        boundary = header.block.params.get("boundary", "").rstrip(" \t").encode("latin-1", "replace")
        if depth >= self._depth:
            return (), (Fault.TOO_DEEP,)
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            return (), (Fault.NO_BOUNDARY,)
        inner_type = "message/rfc822" if media_type == "multipart/digest" else "text/plain"
        faults: list[Fault] = []
        children = self._children(b"\r\n--" + boundary, header.stop, stop, depth + 1, inner_type, faults)
        return tuple(children), tuple(faults)

    def _children(
        self, needle: bytes, start: int, stop: int, depth: int, inner_type: str, faults: list[Fault]
    ) -> list[Part]:
        """The parts between the delimiters in the body that lies between ``start`` and ``stop``."""
        children: list[Part] = []
        delimiter = self._delimiter(needle, start - 2, stop)  # the CRLF of the empty line may belong to it
        if delimiter is None:
            faults.append(Fault.NO_DELIMITER)
        while delimiter is not None and not delimiter.closing:
            if not self._parts_left:
                faults.append(Fault.TOO_MANY_PARTS)
                break
            self._parts_left -= 1
            following = self._delimiter(needle, delimiter.stop - 2, stop)
            end = following.start if following else stop
            children.append(self._part(delimiter.stop, max(end, delimiter.stop), depth, inner_type))
            if following is None:
                faults.append(Fault.NO_CLOSE)
            delimiter = following
        return children

    def _delimiter(self, needle: bytes, start: int, stop: int) -> _Delimiter | None:
        """The next line between ``start`` and ``stop`` that is a delimiter, and not one that only begins like it."""
        while (found := self._window.find(needle, start, stop)) >= 0:
            after = found + len(needle)
            end = min(stop, after + MAX_DELIMITER_TAIL)
            tail = _TAIL.match(self._window.read(after, end))
            if tail and (tail[2] or end == stop):
                return _Delimiter(found, after + tail.end(), closing=tail[1] is not None)
            if not self._misses_left:
                break
            self._misses_left -= 1
            start = after
        return None


def read_block(block: bytes, most: int, longest: int) -> Block:
    """Read the lines of a header.

    Args:
        block: ends with the CRLF of the last field; only that of a header without an empty line may lack it.
        most: so many fields are read.
        longest: bytes; that a field is longer is a fault.
    """
    faults = _line_faults(block)
    lines = _FIELD_END.split(block.removesuffix(b"\r\n"), most + 1) if block else []
    if len(lines) > most:
        del lines[most:]
        faults.append(Fault.TOO_MANY_FIELDS)
    if len(block) > longest and max(map(len, lines), default=0) > longest:
        faults.append(Fault.FIELD_TOO_LONG)
    fields: list[Field] = []
    by_name: dict[str, list[Field]] = {}
    start, end = 0, len(block)
    for line in lines:
        name, colon, value = line.partition(b":")
        if name.translate(None, _NAME_BYTES):
            faults.append(Fault.BAD_FIELD_NAME if colon else Fault.NOT_A_FIELD)
            name = name.strip(b" \t")
        stop = min(start + len(line) + 2, end)  # the last line may have no CRLF
        if name and colon:
            field = Field(name.decode("latin-1"), value, start, stop)
            fields.append(field)
            by_name.setdefault(field.name.lower(), []).append(field)
        else:
            faults.append(Fault.NOT_A_FIELD)
        start = stop
    media_type, params, type_faults = _content_type(by_name.get("content-type", []))
    return Block(tuple(fields), by_name, tuple(dict.fromkeys(faults)), media_type, params, type_faults)


@lru_cache(maxsize=1024)
def _remembered_block(block: bytes) -> Block:
    return read_block(block, len(block), len(block))


def _line_faults(block: bytes) -> list[Fault]:
    faults: list[Fault] = []
    lines = block.count(b"\r\n")
    if block.count(b"\n") != lines or block.count(b"\r") != lines:
        faults.append(Fault.BARE_LINE_END)
    if not block.isascii():
        faults.append(Fault.EIGHT_BIT_HEADER)
    if b"\0" in block:
        faults.append(Fault.NUL_IN_HEADER)
    return faults


def _content_type(found: Sequence[Field]) -> tuple[str, Parameters, tuple[Fault, ...]]:
    if not found:
        return "", {}, ()
    faults = (Fault.REPEATED_CONTENT_TYPE,) if len(found) > 1 else ()
    media_type, params = parse_parameters(found[0].value)
    if _MEDIA_TYPE.fullmatch(media_type):
        return media_type, params, faults
    return "text/plain", params, (*faults, Fault.BAD_CONTENT_TYPE)


NO_FIELDS = read_block(b"", 0, 0)
