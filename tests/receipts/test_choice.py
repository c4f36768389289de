"""Fields of a header by their names."""

import time

import pytest

from receipts.choice import USUAL, FieldChooser

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
    began = time.process_time()
    FieldChooser({b"to", b"cc"}, others=False)(header)
    assert time.process_time() - began < 10


def test_a_part_of_the_usual_fields_is_the_same_cut_from_them_as_from_the_header() -> None:
    """So that whoever keeps the usual fields of a message need not read its header."""
    header = HEADER.replace(b"X-To", b"Received").replace(b"Subject ", b"References: <a>\r\n <b>\r\nSubject ")
    usual = FieldChooser(USUAL, others=False)(header)
    for names in ({b"to"}, {b"from", b"references"}, {b"cc"}, {b"subject", b"to"}):
        chooser = FieldChooser(names, others=False)
        assert chooser(usual) == chooser(header)
