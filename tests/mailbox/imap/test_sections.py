"""Sections of a message from the offsets of its parts."""

import pytest

from gateway.mailbox.imap.items import Body, Part
from gateway.mailbox.imap.sections import span_of
from gateway.points.boxes import Section

SECTIONS = (
    Section((), 0, 100, 1000, -1),
    Section((1,), 120, 150, 300, -1),
    Section((2,), 320, 350, 900, 500),  # message/rfc822
    Section((2, 1), 520, 540, 700, -1),
)


@pytest.mark.parametrize(
    ("path", "part", "expected"),
    [
        ((), Part.WHOLE, (0, 1000)),
        ((), Part.HEADER, (0, 100)),
        ((), Part.FIELDS, (0, 100)),
        ((), Part.TEXT, (100, 1000)),
        ((1,), Part.WHOLE, (150, 300)),
        ((1,), Part.MIME, (120, 150)),
        ((1,), Part.HEADER, None),
        ((1,), Part.TEXT, None),
        ((2,), Part.WHOLE, (350, 900)),
        ((2,), Part.HEADER, (350, 500)),
        ((2,), Part.FIELDS_NOT, (350, 500)),
        ((2,), Part.TEXT, (500, 900)),
        ((2, 1), Part.WHOLE, (540, 700)),
        ((3,), Part.WHOLE, None),
        ((1, 1), Part.MIME, None),
    ],
)
def test_where_a_section_lies(path: tuple[int, ...], part: Part, expected: tuple[int, int] | None) -> None:
    assert span_of(Body(label=b"", path=path, part=part), SECTIONS, 1000) == expected
