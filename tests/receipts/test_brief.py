"""The brief copy: which parts become hashes, over which bytes, and what stays."""

import hashlib
from email import message_from_bytes, policy

import pytest

from receipts.brief import brief_copy, part_hash
from receipts.octets import InMemory, Octets
from receipts.scanner import scan


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def brief(message: bytes) -> bytes:
    octets = Octets.whole(InMemory.of(message))
    return brief_copy(octets, scan(octets)).read()


def sha1(data: bytes) -> bytes:
    return hashlib.sha1(data).hexdigest().encode()


BODY = """--parti
Content-Type: text/plain

Testo.
--parti
Content-Type: application/pdf; name="perizia.pdf"
Content-Transfer-Encoding: base64
Content-ID: <1@b>

JVBERi0x
LjQK
--parti
Content-Type: text/csv
Content-Disposition: attachment; filename=dati.csv

a;b \x20
--parti--
fine
"""
MIXED = crlf("X-Pratica: 17\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=parti\n\n" + BODY)
HASHED_PDF = (
    b"Content-ID: <1@b>\r\n"
    b'Content-Type: text/plain; charset=us-ascii;\r\n name="perizia.pdf.hash"\r\n'
    b"Content-Transfer-Encoding: 7bit\r\n"
    b'Content-Disposition: attachment;\r\n filename="perizia.pdf.hash"\r\n\r\n'
)


@pytest.mark.edge("A9")
@pytest.mark.req("DP-20", "DP-21", "DP-22", "DP-23")
def test_named_parts_become_hashes_of_their_encoded_bytes_and_the_rest_stays() -> None:
    assert brief(MIXED) == (
        MIXED.replace(
            b'Content-Type: application/pdf; name="perizia.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            b"Content-ID: <1@b>\r\n\r\nJVBERi0x\r\nLjQK",
            HASHED_PDF + sha1(b"JVBERi0x\r\nLjQK"),
        ).replace(
            b"Content-Type: text/csv\r\nContent-Disposition: attachment; filename=dati.csv\r\n\r\na;b  ",
            b'Content-Type: text/plain; charset=us-ascii;\r\n name="dati.csv.hash"\r\n'
            b"Content-Transfer-Encoding: 7bit\r\n"
            b'Content-Disposition: attachment;\r\n filename="dati.csv.hash"\r\n\r\n' + sha1(b"a;b  "),
        )
    )


@pytest.mark.req("DP-20", "DP-22")
def test_a_mail_program_finds_the_same_tree_with_hash_files() -> None:
    tree = message_from_bytes(brief(MIXED), policy=policy.default)
    parts = [part for part in tree.walk() if not part.is_multipart()]
    assert [part.get_content_type() for part in parts] == ["text/plain"] * 3
    assert [part.get_filename() for part in parts] == [None, "perizia.pdf.hash", "dati.csv.hash"]
    assert all(len(str(part.get_content()).strip()) == 40 for part in parts[1:])


@pytest.mark.edge("E22")
@pytest.mark.req("DP-24")
@pytest.mark.parametrize("disposition", ["", 'Content-Disposition: attachment; filename="inoltro.eml"\n'])
def test_a_message_attached_becomes_one_hash(disposition: str) -> None:
    inside = f"Subject: dentro\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=dentro\n\n{BODY}"
    head = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=fuori\n\n--fuori\n"
    message = crlf(f"{head}Content-Type: message/rfc822\n{disposition}\n{inside.rstrip()}\n--fuori--\n")
    name = b"inoltro.eml.hash" if disposition else b"message.eml.hash"
    copy = brief(message)
    assert copy.count(b".hash") == 2
    assert copy.endswith(b'"' + name + b'"\r\n\r\n' + sha1(crlf(inside.rstrip())) + b"\r\n--fuori--\r\n")


SIGNED = crlf(
    "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=firma; name=firmato.eml\n\nPreambolo\n--firma\n"
    f"Content-Type: multipart/mixed; boundary=parti\n\n{BODY}--firma\n"
    'Content-Type: application/x-pkcs7-signature; name="smime.p7s"\nContent-Transfer-Encoding: base64\n'
    "Content-Disposition: attachment; filename=smime.p7s\n\nMIIB\n--firma--\n"
)


@pytest.mark.req("DP-26")
def test_of_a_signed_message_the_signature_stays_byte_for_byte() -> None:
    copy = brief(SIGNED)
    at = SIGNED.index(b"--firma\r\nContent-Type: application/x-pkcs7-signature")
    assert copy.endswith(SIGNED[at:])
    assert HASHED_PDF + sha1(b"JVBERi0x\r\nLjQK") in copy
    assert copy.startswith(SIGNED[: SIGNED.index(b"--parti")])


@pytest.mark.req("DP-25")
def test_a_signature_below_the_top_is_a_file_like_any_other() -> None:
    message = (
        crlf("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=fuori\n\n--fuori\n")
        + SIGNED.replace(b"; name=firmato.eml", b"").rstrip()
        + crlf("\n--fuori--\n")
    )
    assert b'"smime.p7s.hash"' in brief(message)
    opaque = message.replace(
        b"--fuori--", crlf("--fuori\nContent-Type: application/pkcs7-mime; name=a.p7m\n\nMIIB\n--fuori--")
    )
    assert b'"a.p7m.hash"' in brief(opaque)


@pytest.mark.edge("E21")
@pytest.mark.req("DP-27")
@pytest.mark.parametrize(
    "content_type", ["application/pkcs7-mime", "application/x-pkcs7-mime", "Application/PKCS7-MIME"]
)
def test_a_message_that_is_one_cms_object_stays_whole(content_type: str) -> None:
    octets = Octets.of(crlf(f"MIME-Version: 1.0\nContent-Type: {content_type}; name=smime.p7m\n\nMIIB\n"))
    assert brief_copy(octets, scan(octets)) is octets


def test_a_message_that_is_one_file_keeps_its_own_fields() -> None:
    message = crlf("X-Pratica: 17\nContent-Type: application/pdf; name=a.pdf\nSubject: S\nMIME-Version: 1.0\n\nMIIB\n")
    assert brief(message) == (
        b"X-Pratica: 17\r\nSubject: S\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: text/plain; charset=us-ascii;\r\n name="a.pdf.hash"\r\nContent-Transfer-Encoding: 7bit\r\n'
        b'Content-Disposition: attachment;\r\n filename="a.pdf.hash"\r\n\r\n' + sha1(b"MIIB\r\n")
    )


def test_a_message_without_files_is_the_same_rope() -> None:
    octets = Octets.of(crlf("Subject: S\n\nTesto.\n"))
    assert brief_copy(octets, scan(octets)) is octets


@pytest.mark.req("SEC-07")
def test_the_name_of_a_file_writes_no_field_and_no_delimiter() -> None:
    name = "=?utf-8?q?a=0D=0A=0D=0A--parti=0D=0AX-Ricevuta:_b=00=E2=82=AC=22?="
    copy = brief(crlf(f'MIME-Version: 1.0\nContent-Type: application/pdf;\n name="{name}"\n\nMIIB\n'))
    assert b"\r\nX-Ricevuta" not in copy
    assert b"\r\n--parti" not in copy
    assert copy.isascii()


def test_a_name_of_any_length_stays_on_legal_lines() -> None:
    copy = brief(crlf(f"MIME-Version: 1.0\nContent-Type: application/pdf; name={'x' * 5000}\n\nMIIB\n"))
    assert max(map(len, copy.split(b"\r\n"))) <= 998
    assert message_from_bytes(copy).get_filename() == "x" * 200 + ".hash"


@pytest.mark.edge("A10")
def test_the_hash_is_the_same_over_a_rope_of_pieces() -> None:
    data = InMemory.of(MIXED)
    pieces = Octets.of(*(Octets.whole(data).slice(at, at + 7) for at in range(0, len(MIXED), 7)))
    part = scan(pieces).children[1]
    assert part_hash(pieces, part).encode() == sha1(b"JVBERi0x\r\nLjQK")
