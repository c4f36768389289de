"""What programs that list mail are told of a message: outline, envelope, structure, words."""

import re
import time
from pathlib import Path

import pytest

from receipts.imapforms import Mailbox, body_structure, envelope, mailboxes
from receipts.octets import Octets
from receipts.outline import MAX_INNER, outline, places
from receipts.plaintext import MAX_WORDS, searched, words_of
from receipts.scanner import scan_header

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*/*/expected.eml"))

NESTED = (
    b"Subject: fuori\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    b"--m\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nciao\r\nmondo\r\n"
    b'--m\r\nContent-Type: message/rfc822; name="postacert.eml"\r\n'
    b'Content-Disposition: inline; filename="p.eml"\r\n\r\n'
    b"From: Dora <dora@gamma.example>\r\nSubject: dentro\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n"
    b"--a\r\n\r\nuno\r\n--a\r\nContent-Type: text/html\r\n\r\n<b>due</b>\r\n--a--\r\n"
    b"\r\n--m--\r\n"
)


def structure(raw: bytes) -> tuple[bytes, bytes]:
    message = Octets.of(raw)
    return body_structure(outline(message), message)


def test_each_part_lies_where_its_number_says() -> None:
    message = Octets.of(NESTED)
    found = {place.path: place for place in places(outline(message))}
    assert list(found) == [(), (1,), (2,), (2, 1), (2, 2)]
    read = lambda path: NESTED[found[path].body : found[path].stop]  # noqa: E731
    assert read((1,)) == b"ciao\r\nmondo"
    assert read((2, 1)) == b"uno"
    assert read((2, 2)) == b"<b>due</b>"
    assert read((2,)).startswith(b"From: Dora")
    assert NESTED[found[(2,)].inner :].startswith(b"--a\r\n")
    assert NESTED[found[(2, 2)].start :].startswith(b"Content-Type: text/html")
    assert [place.inner for path, place in found.items() if path != (2,)] == [-1] * 4


def test_a_message_without_parts_has_one() -> None:
    assert [(place.path, place.body) for place in places(outline(Octets.of(b"A: b\r\n\r\nx")))] == [((), 8), ((1,), 8)]


def test_the_structure_of_a_message_within_a_message() -> None:
    short, long = structure(NESTED)
    assert short.startswith(b'(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 11 1)("message" "rfc822" ("name"')
    assert b'(NIL "dentro" (("Dora" NIL "dora" "gamma.example"))' in short
    assert b'"alternative")' in short
    assert short.endswith(b'"mixed")')
    assert b'("inline" ("filename" "p.eml")) NIL NIL) "mixed" ("boundary" "m") NIL NIL NIL)' in long


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: "/".join(file.parts[-3:-1]))
def test_forms_are_seven_bit_lines_with_brackets_in_pairs(file: Path) -> None:
    message = Octets.of(file.read_bytes())
    root = outline(message)
    for form in (envelope(root.part.header), *body_structure(root, message)):
        assert form.isascii()
        assert not re.search(rb"[\x00-\x1f]", form)
        bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", form)
        assert bare.count(b"(") == bare.count(b")")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("anna@alfa.example", [Mailbox(None, "anna", "alfa.example")]),
        ('"Rossi, Anna" <a@b.example>', [Mailbox("Rossi, Anna", "a", "b.example")]),
        ("a@b.example (Anna (la)), c@d", [Mailbox("Anna (la)", "a", "b.example"), Mailbox(None, "c", "d")]),
        ("=?utf-8?Q?Citt=C3=A0?= <a@b>", [Mailbox("=?utf-8?Q?Citt=C3=A0?=", "a", "b")]),
        ("<@r1,@r2:a@b>", [Mailbox(None, "a", "b")]),
        ('"a b"@c', [Mailbox(None, "a b", "c")]),
        (
            "gruppo: a@b, c@d;",
            [
                Mailbox(None, "gruppo", None),
                Mailbox(None, "a", "b"),
                Mailbox(None, "c", "d"),
                Mailbox(None, None, None),
            ],
        ),
        ("undisclosed-recipients:;", [Mailbox(None, "undisclosed-recipients", None), Mailbox(None, None, None)]),
        ("nobody", [Mailbox(None, "nobody", "")]),
        (",,;", []),
    ],
)
def test_addresses_come_with_their_names(field: str, expected: list[Mailbox]) -> None:
    assert mailboxes(field.encode()) == expected


def test_a_header_in_eight_bits_comes_as_encoded_words() -> None:
    raw = 'Subject: "Città" \\ uno\r\nFrom: Niccolò <n@a>\r\n\r\n'.encode()
    form = envelope(scan_header(raw))
    assert form.isascii()
    assert b"=?utf-8?b?" in form


HOSTILE = {
    "scripts": b"Content-Type: text/html\r\n\r\n" + b"<script><style><!--" * 100_000,
    "angles": b"Content-Type: text/html\r\n\r\n" + b"<" * 1_900_000,
    "brackets": b"From: " + b"(" * 200_000 + b"\r\n\r\n",
    "commas": b"To: " + b"a@b," * 50_000 + b"\r\n\r\n",
    "quotes": b"From: " + b'"' * 200_001 + b"\r\n\r\n",
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 5_000,
    "multiparts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500)
    ),
    "parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: text/html\r\n\r\nx\r\n" * 20_000,
    "nothing": b"",
    "codes": b"Content-Type: text/plain; charset=utf-7\r\n\r\n+AGE-\xff\xfe\x00",
    "base64": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!=",
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_hostile_messages_cost_little(raw: bytes) -> None:
    message, began = Octets.of(raw), time.process_time()
    root = outline(message)
    found = words_of(root, message)
    assert len(envelope(root.part.header)) < 1_000_000
    assert all(form.isascii() for form in body_structure(root, message))
    assert len(found.body) <= MAX_WORDS
    assert len(places(root)) <= 10_002
    assert time.process_time() - began < 30


def test_messages_within_messages_are_opened_so_far_and_no_further() -> None:
    message = Octets.of(b"Content-Type: message/rfc822\r\n\r\n" * 30 + b"Subject: tief\r\n\r\nx")
    assert len(list(outline(message).walk())) == MAX_INNER + 1


def test_words_are_those_that_people_read() -> None:
    message = Octets.of(NESTED)
    words = words_of(outline(message), message)
    assert (words.subject, words.whole) == ("fuori", True)
    assert words.body == "ciao mondo\ndentro\ndora <dora@gamma.example>\nuno\ndue"
    assert "content-type: multipart/mixed" in words.header


@pytest.mark.parametrize(("text", "expected"), [("  A\r\n\tB ", "a b"), ("STRASSE", searched("straße")), ("\x00", "")])
def test_texts_are_compared_as_people_read_them(text: str, expected: str) -> None:
    assert searched(text) == expected
