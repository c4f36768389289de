"""The scanner: exact ranges for what is well formed, a named fault and bounded work for what is not."""

import time
import tracemalloc

import pytest

from receipts.octets import InMemory, Octets
from receipts.scanner import Fault, Part, ScanLimits, scan, scan_header

MEGABYTE = 1_000_000
MULTIPART = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'

MESSAGE = (
    b"Subject: one\r\n"
    b"\ttwo\r\n"
    b"X-Tiporicevuta:completa\r\n"
    b'Content-Type: Multipart/Signed; protocol="application/pkcs7-signature";\r\n'
    b' boundary="outer"\r\n'
    b"\r\n"
    b"preamble --outer\r\n"
    b"--outer\r\n"
    b"Content-Type: multipart/mixed; boundary=outer.inner\r\n"
    b"\r\n"
    b"--outer.inner\r\n"
    b"\r\n"
    b"text\r\n"
    b"\r\n"
    b"--outer.inner \t\r\n"
    b"Content-Type: application/octet-stream; name*=utf-8''citt%C3%A0\r\n"
    b"Content-Disposition: ATTACHMENT; filename=x\r\n"
    b"Content-Transfer-Encoding: Base64 \r\n"
    b"\r\n"
    b"AAAA\r\n"
    b"--outer.innermost\r\n"
    b"--outer.inner--\r\n"
    b"--outer\r\n"
    b"Content-Type: application/pkcs7-signature\r\n"
    b"\r\n"
    b"MIIB\r\n"
    b"--outer--\r\n"
    b"epilogue\r\n"
    b"--outer\r\n"
)


def octets(*pieces: bytes) -> Octets:
    return Octets.of(*pieces)


def stored(data: bytes) -> Octets:
    """The same bytes kept elsewhere: more than a window of them is never in memory."""
    return Octets.whole(InMemory(data, b""))


def body(part: Part, data: bytes) -> bytes:
    return data[part.body_start : part.stop]


def all_faults(root: Part) -> set[Fault]:
    return {fault for part in root.walk() for fault in (*part.faults, *part.header.faults)}


def nested(levels: int) -> bytes:
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(levels)
    )


def test_finds_the_fields_of_a_header() -> None:
    header = scan_header(MESSAGE)
    assert [field.name for field in header.fields] == ["Subject", "X-Tiporicevuta", "Content-Type"]
    subject = header.fields[0]
    assert subject.value == b" one\r\n\ttwo"
    assert subject.text == "one\ttwo"
    assert MESSAGE[subject.start : subject.stop] == b"Subject: one\r\n\ttwo\r\n"
    assert MESSAGE[header.stop :].startswith(b"preamble")
    assert header.faults == ()


@pytest.mark.req("HDR-08")
def test_finds_a_field_however_its_name_is_spelt() -> None:
    header = scan_header(b"X-Tiporicevuta: breve\r\nsubject: a\r\nSUBJECT: b\r\n\r\n")
    form = header.first("X-TipoRicevuta")
    assert form is not None
    assert form.text == "breve"
    assert [field.text for field in header.all("Subject")] == ["a", "b"]
    assert header.all("X-Tipo") == []
    assert header.first("X-Tipo") is None


def test_finds_the_parts_of_a_message() -> None:
    root = scan(octets(MESSAGE))
    assert root.type == "multipart/signed"
    assert root.params == {"protocol": "application/pkcs7-signature", "boundary": "outer"}
    assert (root.start, root.stop) == (0, len(MESSAGE))
    mixed, signature = root.children
    assert mixed.type == "multipart/mixed"
    text, file = mixed.children
    assert body(text, MESSAGE) == b"text\r\n"
    assert (text.type, text.encoding, text.disposition, text.name) == ("text/plain", "7bit", "", None)
    assert body(file, MESSAGE) == b"AAAA\r\n--outer.innermost"
    assert (file.type, file.encoding) == ("application/octet-stream", "base64")
    assert (file.disposition, file.disposition_params, file.name) == ("attachment", {"filename": "x"}, "città")
    assert body(signature, MESSAGE) == b"MIIB"
    assert [part.type for part in root.walk()] == [
        "multipart/signed",
        "multipart/mixed",
        "text/plain",
        "application/octet-stream",
        "application/pkcs7-signature",
    ]
    assert all_faults(root) == set()


def test_a_part_ends_before_the_line_end_of_the_delimiter() -> None:
    mixed = scan(octets(MESSAGE)).children[0]
    signed = MESSAGE[mixed.start : mixed.stop]
    assert signed.startswith(b"Content-Type: multipart/mixed")
    assert signed.endswith(b"\r\n--outer.inner--")


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (b"--b\r\n\r\nx\r\n--b--", [b"\r\nx"]),
        (b"--b\r\n\r\n--b\r\n\r\n\r\n--b--", [b"", b"\r\n"]),
        (b"--b\r\n--b\r\n--b--", [b"", b""]),
        (b"--b\r\na: b\r\n--b--", [b"a: b"]),
        (b"--b\r\na: b\r\n\r\n--b--", [b"a: b\r\n"]),
        (b"--b  \r\n\r\nx\r\n--b--\t", [b"\r\nx"]),
        (b"--b\r\n\r\n--b --\r\n--bb\r\n --b\r\n--b-\r\n--b--", [b"\r\n--b --\r\n--bb\r\n --b\r\n--b-"]),
        (b"--b\r\n\r\n--b--x\r\n--b--", [b"\r\n--b--x"]),
        (b"--b\r\n\r\nx\n--b\n\r\n--b--", [b"\r\nx\n--b\n"]),
        (b"--b--\r\n--b\r\n\r\nx\r\n--b--", []),
        (b"text\r\n--b\r\n\r\nx\r\n--b--\r\n--b\r\n", [b"\r\nx"]),
    ],
)
def test_splits_a_multipart(inside: bytes, expected: list[bytes]) -> None:
    data = MULTIPART + inside
    root = scan(octets(data))
    assert [data[part.start : part.stop] for part in root.children] == expected
    assert root.faults == ()


def test_the_outer_of_two_equal_boundaries_counts() -> None:
    data = MULTIPART + b"--b\r\n" + MULTIPART + b"--b\r\n\r\nx\r\n--b--\r\n"
    root = scan(octets(data))
    assert [part.type for part in root.children] == ["multipart/mixed", "text/plain"]
    assert root.children[0].children == ()
    assert root.children[0].faults == (Fault.NO_DELIMITER,)


def test_a_digest_holds_messages() -> None:
    data = b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\na: b\r\n\r\nx\r\n--b--"
    assert [part.type for part in scan(octets(data)).children] == ["message/rfc822"]


def test_an_attached_message_is_a_leaf() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\n" + MESSAGE
    root = scan(octets(data))
    assert root.children == ()
    assert body(root, data) == MESSAGE


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\nbody", b"a: b", b"a: b\r\n", b"a: b\r\n\r\n", b"\r\n\r\n"])
def test_a_message_may_lack_header_or_body(data: bytes) -> None:
    root = scan(octets(data))
    assert all_faults(root) == set()
    assert [field.name for field in root.header.fields] == (["a"] if data.startswith(b"a") else [])
    assert all(field.stop <= len(data) for field in root.header.fields)
    assert body(root, data) == {b"\r\nbody": b"body", b"\r\n\r\n": b"\r\n"}.get(data, b"")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"a: \xe8\r\n\r\n", Fault.EIGHT_BIT_HEADER),
        (b"a: \x00\r\n\r\n", Fault.NUL_IN_HEADER),
        (b"a: b\nc: d\r\n\r\n", Fault.BARE_LINE_END),
        (b"a: b\rc: d\r\n\r\n", Fault.BARE_LINE_END),
        (b"no field\r\n\r\n", Fault.NOT_A_FIELD),
        (b"a: b\r\nno field\r\n\r\n", Fault.NOT_A_FIELD),
        (b": b\r\n\r\n", Fault.NOT_A_FIELD),
        (b"a : b\r\n\r\n", Fault.BAD_FIELD_NAME),
        (b" a: b\r\n\r\n", Fault.BAD_FIELD_NAME),
        (b"\xe8: b\r\n\r\n", Fault.BAD_FIELD_NAME),
        (b"a: " + b"b" * 70_000 + b"\r\n\r\n", Fault.FIELD_TOO_LONG),
        (b"a: b\r\n" * 50_000 + b"\r\n", Fault.HEADER_TOO_LONG),
        (b"a:\r\n" * 60_000 + b"\r\n", Fault.TOO_MANY_FIELDS),
        (b"Content-Type: text\r\n\r\n", Fault.BAD_CONTENT_TYPE),
        (b"Content-Type:\r\n\r\n", Fault.BAD_CONTENT_TYPE),
        (b"Content-Type: text/html\r\nContent-type: text/plain\r\n\r\n", Fault.REPEATED_CONTENT_TYPE),
        (b"Content-Type: multipart/mixed\r\n\r\n--\r\n", Fault.NO_BOUNDARY),
        (b'Content-Type: multipart/mixed; boundary=" "\r\n\r\n--\r\n', Fault.NO_BOUNDARY),
        (b"Content-Type: multipart/mixed; boundary=" + b"b" * 201 + b"\r\n\r\n", Fault.NO_BOUNDARY),
        (MULTIPART + b"--c\r\n\r\nx\r\n--c--", Fault.NO_DELIMITER),
        (MULTIPART + b"--b\r\n\r\nx", Fault.NO_CLOSE),
        (MULTIPART + b"--b", Fault.NO_CLOSE),
        (MULTIPART + b"--b\r\n\r\n" * 10_001 + b"--b--", Fault.TOO_MANY_PARTS),
        (nested(101), Fault.TOO_DEEP),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_names_the_fault(data: bytes, fault: Fault) -> None:
    assert fault in all_faults(scan(octets(data)))


def test_reads_on_after_a_fault() -> None:
    header = scan_header(b"a : 1\r\nno field\r\nb: 2\r\n\r\n")
    assert [(field.name, field.text) for field in header.fields] == [("a", "1"), ("b", "2")]


def test_takes_ten_thousand_parts_and_a_hundred_levels() -> None:
    assert all_faults(scan(octets(MULTIPART + b"--b\r\n\r\n" * 10_000 + b"--b--"))) == set()
    root = scan(octets(nested(100)))
    assert len(list(root.walk())) == 101
    assert all_faults(root) == {Fault.NO_CLOSE}


def test_stops_at_its_limits() -> None:
    parts = scan(octets(MULTIPART + b"--b\r\n\r\nx\r\n" * 20_000 + b"--b--"))
    assert len(parts.children) == 10_000
    assert len(list(scan(octets(nested(500))).walk())) == 101
    assert len(scan_header(b"a:\r\n" * 100_000).fields) == 50_000


@pytest.mark.parametrize("window", [70, 100, 1000])
@pytest.mark.parametrize(
    "data", [MESSAGE, MULTIPART + b"--b\r\n\r\n" + b"x" * 150 + b"\r\n--b\r\na: b\r\n\r\n\r\n--b--"]
)
def test_a_stored_message_looks_the_same_in_windows(data: bytes, window: int) -> None:
    limits = ScanLimits(header=70)
    assert scan(stored(data), ScanLimits(header=70, window=window)) == scan(octets(data), limits)


LONG_BOUNDARIES = nested(500).replace(b'="b', b'="' + b"b" * 40).replace(b"--b", b"--" + b"b" * 40)


@pytest.mark.parametrize(
    ("beginning", "repeated"),
    [
        pytest.param(MULTIPART, b"--\r\n", id="lines of two dashes"),
        pytest.param(MULTIPART, b"--bx\r\n", id="lines that begin like a delimiter"),
        pytest.param(MULTIPART, b"--b\r\n", id="delimiters"),
        pytest.param(MULTIPART, b"--b\r\n" + b"a:\r\n" * 500, id="parts full of fields"),
        pytest.param(MULTIPART + b"--b", b" ", id="a delimiter that does not end"),
        pytest.param(LONG_BOUNDARIES, b"\r\n--bbb", id="levels over a long end"),
        pytest.param(b"", b"a: b\r\n", id="a header without end"),
        pytest.param(b"a: ", b"\r\n ", id="a field without end"),
        pytest.param(b"", b"\r\n", id="empty lines"),
        pytest.param(b"", b"a", id="no line"),
    ],
)
def test_work_on_hostile_messages_is_bounded(beginning: bytes, repeated: bytes) -> None:
    message = stored(beginning + repeated * (20 * MEGABYTE // len(repeated)))
    tracemalloc.start()
    start = time.process_time()
    try:
        scan(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 60
    assert peak < 40 * MEGABYTE


def test_many_levels_of_a_large_message_are_not_searched() -> None:
    data = nested(200) + b"x" * 20_000
    limits = ScanLimits(effort=20 * len(data))
    assert len(list(scan(octets(data), limits).walk())) == 21
    assert len(list(scan(octets(data), ScanLimits(effort=1)).walk())) == 11
