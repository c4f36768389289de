"""LDIF (RFC 2849), content records only: lines to records and back.

A record that is broken becomes a fault of its own and leaves the others alone. Values stay bytes.
"""

import binascii
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["LdifFault", "LdifRecord", "read_ldif", "write_record"]

MAX_RECORDS = 10_000
MAX_VALUES = 500_000
"""In one record: a large provider manages tens of thousands of domains."""
FOLD_AT = 76

_LINE = re.compile(rb"([A-Za-z0-9][A-Za-z0-9.-]*)((?:;[A-Za-z0-9-]+)*):([:<]?)[ \t]*(.*)", re.DOTALL)
_SAFE = re.compile(rb"[!-9;=-\x7e][ -\x7e]*(?<! )|[!-9;=-\x7e]?")  # SAFE-STRING, and no space at its end


class LdifFault(ValueError):
    """Why a record, or the whole file, cannot be read; the text names the line."""


@dataclass(frozen=True, slots=True)
class LdifRecord:
    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]  # lower-case name without options -> values in order

    def all(self, name: str) -> tuple[bytes, ...]:
        return self.attributes.get(name.lower(), ())


def read_ldif(data: bytes) -> Iterator[LdifRecord | LdifFault]:
    """The records in order; what cannot be read comes as a fault in its place.

    A ``dn:`` line begins a record even if no empty line stands before it, as in the RFC's own example.
    """
    for count, block in enumerate(_blocks(data)):
        if count == MAX_RECORDS:
            yield LdifFault(f"line {block[0][0]}: more than {MAX_RECORDS} records")
            return
        try:
            yield _record(block)
        except LdifFault as fault:
            yield fault


def write_record(dn: str, attributes: Iterable[tuple[str, bytes]]) -> bytes:
    """One record and the empty line after it. Certificates go by the name ``providerCertificate;binary``."""
    lines = [_written("dn", dn.encode()), *(_written(name, value) for name, value in attributes), b"\n"]
    return b"".join(lines)


Line = tuple[int, bytes]
"""The number of a line, and the line with its continuations."""


def _blocks(data: bytes) -> Iterator[list[Line]]:
    """The lines of each record, unfolded, without comments."""
    block: list[Line] = []
    for number, line in _unfolded(data):
        if line.startswith(b"#"):
            continue
        starts = line[:3].lower() == b"dn:"
        if block and (starts or not line):
            yield block
            block = []
        if line and not (not block and line[:8].lower() == b"version:"):
            block.append((number, line))
    if block:
        yield block


def _unfolded(data: bytes) -> Iterator[Line]:
    number, pieces = 0, [b""]
    for at, raw in enumerate(data.split(b"\n"), 1):
        line = raw.removesuffix(b"\r")
        if line.startswith(b" ") and number:
            pieces.append(line[1:])
            continue
        if number:
            yield number, b"".join(pieces)
        number, pieces = at, [line]
    yield number, b"".join(pieces)


def _record(block: list[Line]) -> LdifRecord:
    (number, line), *rest = block
    name, value = _attribute(number, line)
    if name != "dn":
        raise LdifFault(f"line {number}: a record without a dn")
    if len(rest) > MAX_VALUES:
        raise LdifFault(f"line {number}: more than {MAX_VALUES} values")
    attributes: dict[str, list[bytes]] = {}
    for at, line in rest:
        name, found = _attribute(at, line)
        attributes.setdefault(name, []).append(found)
    if attributes.pop("changetype", [b"add"]) != [b"add"]:
        raise LdifFault(f"line {number}: a change, not a record")
    return LdifRecord(_text(number, value), {name: tuple(values) for name, values in attributes.items()})


def _attribute(number: int, line: bytes) -> tuple[str, bytes]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise LdifFault(f"line {number}: not a line of LDIF")
    name, form, value = match[1].decode().lower(), match[3], match[4].rstrip(b" ")
    if form == b"<":
        raise LdifFault(f"line {number}: a value that stands elsewhere")
    if form == b":":
        try:
            value = binascii.a2b_base64(value.replace(b" ", b""), strict_mode=True)
        except binascii.Error as error:
            raise LdifFault(f"line {number}: {name} is not base64") from error
    return name, value


def _text(number: int, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LdifFault(f"line {number}: not UTF-8") from error


def _written(name: str, value: bytes) -> bytes:
    binary = name.endswith(";binary") or _SAFE.fullmatch(value) is None
    line = f"{name}:: ".encode() + b64encode(value) if binary else f"{name}: ".encode() + value
    folded = [line[:FOLD_AT], *(b" " + line[at : at + FOLD_AT - 1] for at in range(FOLD_AT, len(line), FOLD_AT - 1))]
    return b"\n".join(folded) + b"\n"
