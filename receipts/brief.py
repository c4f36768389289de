"""The copy of an original that a brief delivery receipt carries: files become their hashes (RFC 6109 3.3.2.2).

The hash is SHA-1, in 40 hexadecimal digits, over the body of the part in the encoded form in which it travelled, with
CRLF line ends and without the line end that belongs to the delimiter behind it. It is no proof of strength but the
form that the law fixed.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from receipts.headers import parameter, visible
from receipts.octets import Octets
from receipts.scanner import Part
from receipts.wire import HASH_SUFFIX, PKCS7_MIME_TYPES

__all__ = ["brief_copy", "part_hash"]


def brief_copy(original: Octets, root: Part) -> Octets:
    """The message with each named part, and each message attached, replaced by a text file with its hash.

    A message that is one CMS object stays whole. Of a signed message only the first part is gone through, so that the
    signature stays as it is; it no longer verifies, which the RFC expects. Fields that do not describe the replaced
    content stay.
    """
    if root.type in PKCS7_MIME_TYPES:
        return original
    if root.type == "multipart/signed":
        parts = root.children[:1]
    elif root.children:  # the message itself is no file, whatever its name
        parts = root.children
    else:
        parts = (root,)
    pieces: list[Octets | bytes] = []
    at = 0
    for file in (file for part in parts for file in _files(part)):
        pieces += (original.slice(at, file.part.header.start), _replacement(original, file))
        at = file.part.stop
    return Octets.of(*pieces, original.slice(at)) if pieces else original


def part_hash(message: Octets, part: Part) -> str:
    """SHA-1 of the part's body as it stands in the message: 40 hexadecimal digits."""
    digest = hashlib.sha1(usedforsecurity=False)
    for piece in message.slice(part.body_start, part.stop).pieces():
        digest.update(piece)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _File:
    part: Part
    name: str


_UNNAMED_MESSAGE = "message.eml"
_LONGEST_NAME = 200  # characters
_DESCRIBING = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "content-md5"})


def _files(part: Part) -> Iterator[_File]:
    name = visible(part.name or "").strip()[:_LONGEST_NAME]
    if name:
        yield _File(part, name)
    elif part.type == "message/rfc822":
        yield _File(part, _UNNAMED_MESSAGE)
    else:
        for child in part.children:
            yield from _files(child)


def _replacement(original: Octets, file: _File) -> bytes:
    name, header = file.name + HASH_SUFFIX, file.part.header
    return b"".join(
        (
            *(
                original.read(header.start + field.start, header.start + field.stop)
                for field in header.fields
                if field.name.lower() not in _DESCRIBING
            ),
            b"Content-Type: text/plain; charset=us-ascii",
            parameter("name", name),
            b"\r\nContent-Transfer-Encoding: 7bit\r\nContent-Disposition: attachment",
            parameter("filename", name),
            b"\r\n\r\n",
            part_hash(original, file.part).encode("ascii"),
        )
    )
