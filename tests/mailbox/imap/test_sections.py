"""Sections of a message from the offsets of its parts, and fields from its header."""

import time

import pytest

from gateway.mailbox.imap.items import Body, Part
from gateway.mailbox.imap.sections import FieldChooser, span_of
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


HEADER = b"From: a\r\nTo: b,\r\n\tc\r\nX-To: d\r\nSubject : s\r\nto: e\r\n\r\n"


@pytest.mark.parametrize(
    ("names", "others", "expected"),
    [
        ({b"to"}, False, b"To: b,\r\n\tc\r\nto: e\r\n\r\n"),
        ({b"subject", b"nix"}, False, b"Subject : s\r\n\r\n"),
        (set(), False, b"\r\n"),
        ({b"to"}, True, b"From: a\r\nX-To: d\r\nSubject : s\r\n\r\n"),
        ({b"."}, False, b"\r\n"),
        ({b"from", b"to", b"x-to", b"subject"}, True, b"\r\n"),
    ],
)
def test_fields_by_name(names: set[bytes], others: bool, expected: bytes) -> None:
    assert FieldChooser(names, others=others)(HEADER) == expected


def test_a_hostile_header_takes_no_time() -> None:
    header = b"To:" + b" \r\n" * 80_000 + b"To" * 5_000
    began = time.perf_counter()
    FieldChooser({b"to", b"cc"}, others=False)(header)
    assert time.perf_counter() - began < 1
