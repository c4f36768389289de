"""Which bytes of a message a section is, from what is kept of its parts; no mail is parsed (RFC 3501 section 6.4.5)."""

from collections.abc import Sequence

from gateway.mailbox.imap.items import Body, Part
from gateway.points.boxes import Section

__all__ = ["span_of"]


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
