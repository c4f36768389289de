"""Folder names in modified UTF-7, as IMAP and Maildir++ write them (RFC 3501 section 5.1.3)."""

import base64
import binascii
import re
from typing import Final

__all__ = ["from_utf7", "to_utf7"]

_SHIFTED: Final = re.compile(r"&([^-]*)(-?)")
_OUTSIDE: Final = re.compile(r"[^\x20-\x7e]+|&")


def from_utf7(name: str) -> str:
    """The name behind printable ASCII.

    Raises:
        ValueError: it is no modified UTF-7.
    """
    try:
        return _SHIFTED.sub(_unshifted, name)
    except binascii.Error as error:
        raise ValueError("no modified UTF-7") from error


def to_utf7(name: str) -> str:
    """A name in printable ASCII; half of a surrogate pair becomes a question mark."""
    return _OUTSIDE.sub(_shifted, name)


def _unshifted(match: re.Match[str]) -> str:
    encoded, end = match.groups()
    if not end:
        raise ValueError("an encoded run does not end")
    if not encoded:
        return "&"
    padded = encoded.replace(",", "/") + "=" * (-len(encoded) % 4)
    return base64.b64decode(padded, validate=True).decode("utf-16-be")


def _shifted(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    data = match[0].encode("utf-8", "replace").decode("utf-8").encode("utf-16-be")
    return "&" + base64.b64encode(data).decode("ascii").rstrip("=").replace("/", ",") + "-"
