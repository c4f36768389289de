"""The hashes in a brief delivery receipt against the message that the sender kept (RFC 6109 section 3.3.2.2, D36).

The RFC hashes a file in the encoded form in which it travelled, so that ``sha1sum`` of the saved file never matches;
other providers may hash the file itself. Both are compared, and the report says which it was.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from receipts.brief import part_hash
from receipts.octets import Octets
from receipts.original import as_seven_bit
from receipts.parts import BodyError, Part, decode_body
from receipts.scanner import scan
from receipts.wire import HASH_SUFFIX

__all__ = ["Enclosure", "Match", "compare_hashes"]

UNNAMED_MESSAGE = "message.eml"  # as ``receipts.brief`` calls an attached message without a name
_HASH = re.compile(rb"[0-9A-Fa-f]{40}")


class Match(StrEnum):
    """How a hash goes with the message kept."""

    ENCODED = "matches the encoded part"
    DECODED = "matches the decoded file"
    DIFFERENT = "is not the hash of the file of this name"
    MISSING = "is of a file that the message does not hold"


@dataclass(frozen=True, slots=True)
class Enclosure:
    name: str
    match: Match


def compare_hashes(receipt_copy: Octets, sent: Octets) -> tuple[Enclosure, ...]:
    """Compare every hash in the copy that a receipt holds with the files of the message sent.

    What a client sends as 8 bit is encoded before it is hashed, and so it is here too.
    """
    forms = [sent]
    seven_bit = as_seven_bit(sent, scan(sent))
    if seven_bit is not sent:
        forms.append(seven_bit)
    files = [(form, part) for form in forms for part in _files(scan(form))]
    return tuple(
        Enclosure(name, _best(stated, [pair for pair in files if _name(pair[1]) == name]))
        for name, stated in _stated(receipt_copy)
    )


def _stated(receipt_copy: Octets) -> Iterator[tuple[str, str]]:
    """Name and hash of each file that the copy names by its hash."""
    for part in scan(receipt_copy).walk():
        name = part.name or ""
        if part.type == "text/plain" and name.endswith(HASH_SUFFIX) and part.stop - part.body_start <= 200:
            try:
                body = decode_body(part, receipt_copy).strip()
            except BodyError:
                continue
            if _HASH.fullmatch(body):
                yield name.removesuffix(HASH_SUFFIX), body.decode().lower()


def _files(root: Part) -> Iterable[Part]:
    return (part for part in root.walk() if part.name or part.type == "message/rfc822")


def _name(part: Part) -> str:
    return (part.name or "").strip() or UNNAMED_MESSAGE


def _best(stated: str, files: list[tuple[Octets, Part]]) -> Match:
    if not files:
        return Match.MISSING
    if any(part_hash(message, part) == stated for message, part in files):
        return Match.ENCODED
    return Match.DECODED if any(_decoded(message, part) == stated for message, part in files) else Match.DIFFERENT


def _decoded(message: Octets, part: Part) -> str | None:
    try:
        return hashlib.sha1(decode_body(part, message, message.size), usedforsecurity=False).hexdigest()
    except BodyError:
        return None
