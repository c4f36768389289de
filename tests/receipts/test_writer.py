"""Part trees as bytes: boundaries, encodings, labels."""

import quopri
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.octets import InMemory, Octets
from receipts.texts import ReadableText
from receipts.writer import Boundaries, base64_lines, is_clear, is_seven_bit, quoted_printable, unsealed

TOKEN = "0123456789abcdef" * 2
TEXT = ReadableText(b"Testo\r\n", b"<p>Testo</p>\r\n")


def test_no_boundary_is_the_beginning_of_another() -> None:
    boundaries = Boundaries(TOKEN)
    names = [boundaries.signed, boundaries.mixed, boundaries.alternative]
    assert not [(a, b) for a in names for b in names if a != b and b.startswith(a)]
    assert len({name[:2] for name in names}) == 3
    assert all(len(name) <= 70 for name in names)  # RFC 2046 5.1.1


def test_a_token_that_stands_in_the_original_is_not_clear() -> None:
    inside = Octets.of(b"--sg" + TOKEN[:10].encode(), Octets.whole(InMemory.of(TOKEN[10:].encode() + b"--\r\n")))
    assert not is_clear(TOKEN, inside)
    assert is_clear("f" * 32, inside)
    assert is_clear(TOKEN, Octets.of(TOKEN[:-1].encode()))


def test_eight_bit_content_is_labelled_on_every_level() -> None:
    def build(original: Octets) -> bytes:
        message = unsealed([], TEXT, certification=None, original=original, boundaries=Boundaries(TOKEN))
        return message.headers + message.content.read()

    assert build(Octets.of(b"Subject: a\r\n\r\nciao\r\n")).count(b"Content-Transfer-Encoding: 7bit\r\n") == 1
    assert build(Octets.of(b"Subject: a\r\n\r\n\xe8\r\n")).count(b"Content-Transfer-Encoding: 8bit\r\n") == 3
    assert b"8bit" not in build(Octets.of(b"Subject: a\r\n\r\nciao\r\n"))


def test_the_original_stays_a_span() -> None:
    original = Octets.whole(InMemory.of(b"Subject: a\r\n\r\nciao\r\n"))
    message = unsealed([], TEXT, certification=b"<x/>", original=original, boundaries=Boundaries(TOKEN))
    assert original.parts[0] in message.content.parts
    assert message.content.read().endswith(f"ciao\r\n\r\n--mx{TOKEN}--".encode())


def test_seven_bit_looks_at_every_part() -> None:
    assert is_seven_bit(Octets.of(b"abc", Octets.whole(InMemory.of(b"def"))))
    assert not is_seven_bit(Octets.of(b"abc", Octets.whole(InMemory.of(b"d\x80f"))))


@pytest.mark.req("RC-04")
@given(st.lists(st.binary(max_size=200).map(lambda line: line.translate(None, b"\r\n"))).map(b"\r\n".join))
def test_quoted_printable_decodes_to_the_same_bytes_on_short_ascii_lines(data: bytes) -> None:
    encoded = quoted_printable(data)
    assert encoded.isascii()
    assert max(map(len, encoded.split(b"\r\n"))) <= 76
    assert b"\n" not in encoded.replace(b"\r\n", b"")
    assert not [line for line in encoded.split(b"\r\n") if line.endswith((b" ", b"\t"))]
    assert quopri.decodestring(encoded) == data


@given(st.binary(max_size=400))
def test_base64_has_lines_of_76(data: bytes) -> None:
    lines = base64_lines(data).split(b"\r\n")
    assert b64decode(b"".join(lines)) == data
    assert all(len(line) == 76 for line in lines[:-1])
