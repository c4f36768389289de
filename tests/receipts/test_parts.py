"""Bodies of parts: decoded in bounds, shared where nothing is encoded."""

import pytest

from receipts.octets import InMemory, Octets, Span
from receipts.parts import BodyError, body_of, decode_body
from receipts.scanner import scan

BASE64 = b"Content-Transfer-Encoding: BASE64\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"\r\ncitt\xe0\r\n", b"citt\xe0\r\n"),
        (b"Content-Transfer-Encoding: 8bit\r\n\r\n=41", b"=41"),
        (b"Content-Transfer-Encoding: x-unknown\r\n\r\n=41", b"=41"),
        (BASE64 + b"YWJj\r\nZGVm\r\n", b"abcdef"),
        (BASE64 + b"YW Jj!\r\nZA==", b"abcd"),
        (BASE64, b""),
        (b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\na=41=\r\nb=\r\n c =3D=zz", b"aAb c ==zz"),
    ],
)
def test_decodes_a_body(data: bytes, decoded: bytes) -> None:
    message = Octets.of(data)
    part = scan(message)
    assert decode_body(part, message) == decoded
    assert body_of(part, message).read() == decoded


def test_a_body_too_large_is_refused_before_it_is_read() -> None:
    message = Octets.of(BASE64 + b"YWJj" * 100)
    part = scan(message)
    assert len(decode_body(part, message, 400)) == 300
    for decode in (decode_body, body_of):
        with pytest.raises(BodyError, match="too large"):
            decode(part, message, 399)


def test_what_is_no_base64_is_refused() -> None:
    message = Octets.of(BASE64 + b"YWJjZ")
    with pytest.raises(BodyError, match="base64"):
        decode_body(scan(message), message)


def test_a_body_that_is_not_encoded_is_a_range_of_the_message() -> None:
    source = InMemory.of(b"a: b\r\n\r\n" + b"x" * 1000)
    message = Octets.whole(source)
    assert body_of(scan(message), message, 10).parts == (Span(source, 8, 1008),)
