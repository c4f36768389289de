"""Which bytes of a message a section is, from what is kept of its parts; no mail is parsed (RFC 3501 section 6.4.5)."""

import re
from collections.abc import Collection, Sequence
from typing import Final

from gateway.mailbox.imap.items import Body, Part
from gateway.points.boxes import Section

__all__ = ["FieldChooser", "span_of"]

_FIELDS: Final = (Part.FIELDS, Part.FIELDS_NOT)


def span_of(asked: Body, sections: Sequence[Section], size: int) -> tuple[int, int] | None:
    """Where the section begins and ends in the message, the header whose fields are chosen included.

    None: the message has no such section.

    Args:
        sections: of the message; for the whole message none are needed.
        size: bytes of the message.
    """
    if not asked.path and asked.part is Part.WHOLE:
        return 0, size
    found = next((section for section in sections if section.path == asked.path), None)
    if found is None:
        return None
    if asked.path:
        return _of_part(asked.part, found)
    return (found.body, found.stop) if asked.part is Part.TEXT else (found.start, found.body)


def _of_part(part: Part, found: Section) -> tuple[int, int] | None:
    if part is Part.WHOLE:
        return found.body, found.stop
    if part is Part.MIME:
        return found.start, found.body
    if found.inner < 0:  # only message/rfc822 has a header and a text of its own
        return None
    return (found.inner, found.stop) if part is Part.TEXT else (found.body, found.inner)


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
