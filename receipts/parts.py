"""What a scanned message consists of: header fields and a tree of parts, each a range of its bytes (D18)."""

import binascii
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from receipts.fields import Parameters, decode_words, parse_parameters, unfold
from receipts.octets import Octets
from receipts.records import record

__all__ = ["Block", "BodyError", "Fault", "Field", "Header", "Part", "body_of", "decode_body"]

MAX_DECODED = 10_000_000
"""Bytes of a body that ``decode_body`` reads into memory unless it is told another limit."""


class Fault(StrEnum):
    """What may be wrong with the form of a message."""

    EIGHT_BIT_HEADER = "the header holds bytes above 127"
    NUL_IN_HEADER = "the header holds a NUL"
    BARE_LINE_END = "the header holds a CR or LF that ends no line"
    NOT_A_FIELD = "a line of the header is no field"
    BAD_FIELD_NAME = "a field name holds a space or another character that may not stand there"
    HEADER_TOO_LONG = "the header is too long"
    FIELD_TOO_LONG = "a header field is too long"
    TOO_MANY_FIELDS = "there are too many header fields"
    BAD_CONTENT_TYPE = "the content type cannot be read"
    REPEATED_CONTENT_TYPE = "the content type stands more than once"
    NO_BOUNDARY = "a multipart names no usable boundary"
    NO_DELIMITER = "the boundary of a multipart never occurs"
    NO_CLOSE = "a multipart does not end"
    TOO_MANY_PARTS = "there are too many parts"
    TOO_DEEP = "parts are nested too deep"


class Field(NamedTuple):
    """A header field: its name as it is written, its value from after the colon, with its folding, and its place."""

    name: str
    value: bytes
    start: int  # counted from where its header starts
    stop: int  # after its last CRLF

    @property
    def text(self) -> str:
        """The value on one line, one Latin-1 character for each byte; ``decode_words`` reads it for people."""
        return unfold(self.value)


class Block(NamedTuple):
    """What the lines of a header say, wherever they stand: headers of parts are often the same to the last byte."""

    fields: tuple[Field, ...]
    by_name: Mapping[str, Sequence[Field]]
    faults: tuple[Fault, ...]
    media_type: str  # of Content-Type, in lower case; empty if there is none that can be read
    params: Parameters
    type_faults: tuple[Fault, ...]  # of Content-Type


@record()
class Header:
    """A header: its fields in order and its place; ``stop`` is after the empty line that ends it."""

    block: Block
    start: int
    stop: int
    faults: tuple[Fault, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.block.fields

    def all(self, name: str) -> Sequence[Field]:
        """The fields of this name, however it is spelt, in order."""
        return self.block.by_name.get(name.lower(), [])

    def first(self, name: str) -> Field | None:
        found = self.block.by_name.get(name.lower())
        return found[0] if found else None


@record(kw_only=True)
class Part:
    """An entity of MIME: a message or a part of one. Its bytes are ``start`` to ``stop``, header included.

    A part ends before the CRLF that belongs to the delimiter after it: exactly what S/MIME signs.
    """

    header: Header
    start: int
    stop: int
    type: str  # "text/plain", lower case
    params: Parameters  # of the type
    children: tuple["Part", ...] = ()  # of a multipart
    faults: tuple[Fault, ...] = ()

    @property
    def body_start(self) -> int:
        return self.header.stop

    @property
    def encoding(self) -> str:
        """The transfer encoding in lower case; "7bit" if there is none."""
        return _parameters_of(self.header.first("Content-Transfer-Encoding"))[0] or "7bit"

    @property
    def disposition(self) -> str:
        """ "inline", "attachment" or another word in lower case; empty if there is none."""
        return _parameters_of(self.header.first("Content-Disposition"))[0]

    @property
    def disposition_params(self) -> Parameters:
        return _parameters_of(self.header.first("Content-Disposition"))[1]

    @property
    def name(self) -> str | None:
        """The name of the part: on its type, else on its disposition; decoded. None if there is none."""
        name = self.params.get("name") or self.disposition_params.get("filename")
        return decode_words(name) if name else None

    def walk(self) -> Iterator["Part"]:
        """This part and all inside it, in the order of the bytes."""
        yield self
        for child in self.children:
            yield from child.walk()


class BodyError(ValueError):
    """A body cannot be decoded; the text says why."""


def body_of(part: Part, message: Octets, limit: int = MAX_DECODED) -> Octets:
    """The decoded body of a part of ``message``: a range of the message itself where nothing is encoded.

    Raises:
        BodyError: it is encoded and ``decode_body`` refuses it.
    """
    if part.encoding in {"base64", "quoted-printable"}:
        return Octets.of(decode_body(part, message, limit))
    return message.slice(part.body_start, part.stop)


def decode_body(part: Part, message: Octets, limit: int = MAX_DECODED) -> bytes:
    """The decoded body of a part of ``message`` in memory. An encoding with another name counts as none.

    Raises:
        BodyError: the encoded body has more than ``limit`` bytes, or is no base64.
    """
    if part.stop - part.body_start > limit:
        raise BodyError("the body is too large")
    body = message.read(part.body_start, part.stop)
    match part.encoding:
        case "base64":
            return _from_base64(body)
        case "quoted-printable":
            return binascii.a2b_qp(body)
        case _:
            return body


def _from_base64(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error as error:
        raise BodyError("the body is no base64") from error


def _parameters_of(field: Field | None) -> tuple[str, Parameters]:
    return parse_parameters(field.value) if field else ("", {})
