"""Fields of a header by their names, cut out as they stand (RFC 3501 section 6.4.5)."""

import re
from collections.abc import Collection
from typing import Final

__all__ = ["USUAL", "FieldChooser"]

USUAL: Final = frozenset(
    (
        b"from to cc bcc subject date message-id priority x-priority references "
        b"newsgroups in-reply-to content-type reply-to"
    ).split()
)
"""What Thunderbird shows in a list of messages; others show a part of it."""


class FieldChooser:
    """The fields of a header by name, with an empty line at their end, or the header without them.

    Args:
        names: in lower case.
        others: all but these.
    """

    def __init__(self, names: Collection[bytes], *, others: bool) -> None:
        one_of = b"|".join(re.escape(name) for name in sorted(names)) or rb"(?!)"
        fields = rb"^(?:%s)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)" % one_of
        self._fields: Final = re.compile(fields, re.IGNORECASE | re.MULTILINE)
        self._others = others

    def __call__(self, header: bytes) -> bytes:
        if self._others:
            return self._fields.sub(b"", header)
        chosen = b"".join(self._fields.findall(header))
        return chosen + (b"\r\n" if chosen.endswith(b"\n") or not chosen else b"\r\n\r\n")
