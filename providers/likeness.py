"""The original inside a complete receipt against the message that its sender kept (RFC 6109 sections 2.2.1, 3.3.2.1).

On its way in a message gets a Received line, another Message-ID and the old one in X-Riferimento-Message-ID, and what a
client sends as 8 bit is encoded; nothing else may differ. What mail programs and servers add to the copy they keep does
not count.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

from receipts.octets import Octets
from receipts.original import as_seven_bit
from receipts.scanner import Header, scan
from receipts.wire import X_RIFERIMENTO_MESSAGE_ID

__all__ = ["Likeness", "differing_fields", "likeness"]

OURS = frozenset({"received", "message-id", X_RIFERIMENTO_MESSAGE_ID.lower()})
"""Fields that the access point may add or replace."""
KEPT_ONLY = frozenset({"return-path", "delivered-to", "bcc", "fcc", "status", "x-status", "x-uid", "x-keywords"})
KEPT_ONLY_PREFIXES = ("x-mozilla-", "x-account-", "x-identity-", "x-kmail-", "x-evolution-")
ENCODING = frozenset({"content-transfer-encoding", "mime-version"})
_WHITE = re.compile(r"[ \t]+")


class Likeness(StrEnum):
    """How two bodies go together."""

    SAME = "byte for byte"
    SEVEN_BIT = "once its 8-bit parts are encoded, as they were when it was handed in"
    DIFFERENT = "differs"


def likeness(copy: Octets, sent: Octets) -> Likeness:
    """How the bodies go together; a last line end that a program added or lost does not count."""
    inside = _body(copy)
    if inside == _body(sent):
        return Likeness.SAME
    encoded = as_seven_bit(sent, scan(sent))
    return Likeness.SEVEN_BIT if encoded is not sent and inside == _body(encoded) else Likeness.DIFFERENT


def differing_fields(copy: Octets, sent: Octets) -> Sequence[str]:
    """Names of header fields that stand in one of the two alone, or say something else, in order of the name."""
    ours, theirs = (_said(scan(message).header) for message in (copy, sent))
    return sorted({name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)})


def _body(message: Octets) -> bytes:
    body = message.slice(scan(message).header.stop).read()
    return body.rstrip(b"\r\n")


def _said(header: Header) -> dict[str, list[str]]:
    """The values of each field that counts, without folding."""
    found: dict[str, list[str]] = {}
    for field in header.fields:
        name = field.name.lower()
        if name not in OURS | KEPT_ONLY | ENCODING and not name.startswith(KEPT_ONLY_PREFIXES):
            found.setdefault(name, []).append(_WHITE.sub(" ", field.text))
    return found
