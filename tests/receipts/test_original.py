"""The original at the access point: the facts taken from it, and the bytes that change."""

from email import message_from_bytes, policy
from itertools import pairwise

import pytest

from receipts.octets import WINDOW, InMemory, Octets
from receipts.original import Original, as_seven_bit, read_original, reidentified, seven_bit_pieces
from receipts.scanner import scan
from receipts.wire import ReceiptForm

RECEIVED = b"Received: from [198.51.100.7]\r\n by mx.alfa.example; Mon, 3 Feb 2025 09:41:07 +0100\r\n"
PEC = "abc@alfa.example"


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def read(message: bytes | str) -> Original:
    octets = Octets.of(message if isinstance(message, bytes) else crlf(message))
    return read_original(octets, scan(octets))


MESSAGE = """From: Anna <anna@alfa.example>
To: "Bruno, Verdi" <bruno@beta.example>, gruppo: carlo@beta.example;
Cc: dora@mail.example
Reply-To: Studio <studio@alfa.example>
Subject: =?utf-8?q?Citt=C3=A0?=
 =?utf-8?q?_alta?=
Message-Id:  <17@client.example>
X-TipoRicevuta: breve

Testo.
"""


def test_the_facts_of_an_original() -> None:
    original = read(MESSAGE)
    assert original.subject == "Città alta"
    assert original.msgid == "<17@client.example>"
    assert original.from_address == "anna@alfa.example"
    assert original.reply_to == "studio@alfa.example"
    assert original.to == ("bruno@beta.example", "carlo@beta.example")
    assert original.cc == ("dora@mail.example",)
    assert original.requested_form is ReceiptForm.BRIEF


def test_what_is_missing_is_missing() -> None:
    original = read("To: bruno@beta.example\n\nTesto.\n")
    assert (original.subject, original.subject_raw, original.msgid, original.reply_to) == (None, None, None, "")
    assert (original.from_address, original.cc) == ("", ())
    assert original.requested_form is ReceiptForm.COMPLETE


def test_who_answers_is_the_author_where_reply_to_says_nothing() -> None:
    assert read(MESSAGE.replace("Studio <studio@alfa.example>", "")).reply_to == "anna@alfa.example"


def test_several_authors_are_no_author() -> None:
    original = read("From: anna@alfa.example, bruno@beta.example\n\n")
    assert original.authors == ("anna@alfa.example", "bruno@beta.example")
    assert original.from_address == ""


@pytest.mark.edge("O16")
@pytest.mark.req("HDR-05")
@pytest.mark.parametrize(
    ("asked", "form"),
    [
        ("completa", ReceiptForm.COMPLETE),
        ("breve", ReceiptForm.BRIEF),
        ("\r\n sintetica ", ReceiptForm.CONCISE),
        ("BREVE", ReceiptForm.BRIEF),
        ("breve (forse)", ReceiptForm.COMPLETE),
        ("", ReceiptForm.COMPLETE),
    ],
)
def test_a_form_that_is_none_counts_as_complete(asked: str, form: ReceiptForm) -> None:
    assert read(f"From: a@b.example\r\nX-TipoRicevuta:{asked}\r\n\r\n".encode()).requested_form is form


@pytest.mark.parametrize("junk", ["17@client.example", "<17 a@client.example>", "<>", "<a@b> <c@d>", f"<{'a' * 901}>"])
def test_an_identifier_that_cannot_be_repeated_is_none(junk: str) -> None:
    assert read(f"From: a@b.example\nMessage-ID: {junk}\n\n").msgid is None


def test_line_ends_hidden_in_an_encoded_subject_are_gone() -> None:
    subject = read("Subject: =?utf-8?q?a=0D=0AX-Ricevuta:_b=00?=\n\n").subject
    assert subject is not None
    assert subject.isprintable()
    assert subject.split() == ["a", "X-Ricevuta:", "b"]


@pytest.mark.req("AP-23", "MID-03", "MID-04", "EN-11")
def test_only_the_identifier_changes() -> None:
    travelling = reidentified(read(MESSAGE), PEC, RECEIVED).read()
    assert travelling == RECEIVED + crlf(MESSAGE).replace(
        b"Message-Id:  <17@client.example>", b"Message-ID: <abc@alfa.example>"
    ).replace(b"breve\r\n", b"breve\r\nX-Riferimento-Message-ID: <17@client.example>\r\n")


@pytest.mark.req("AP-23", "MID-03", "EN-11")
def test_an_identifier_is_added_where_there_was_none() -> None:
    message = "From: anna@alfa.example\nTo: bruno@beta.example\n\nTesto.\n"
    travelling = reidentified(read(message), PEC, RECEIVED).read()
    assert travelling == RECEIVED + crlf(message).replace(b"\r\n\r\n", b"\r\nMessage-ID: <abc@alfa.example>\r\n\r\n")
    assert b"Riferimento" not in travelling


@pytest.mark.parametrize(
    "message",
    [b"From: a@b.example\r\nMessage-ID: <1@b>", b"Message-ID: <1@b>", b"From: a@b.example", b"\r\nTesto\r\n", b""],
)
def test_a_message_that_hardly_is_one_keeps_its_lines_apart(message: bytes) -> None:
    lines = reidentified(read(message), PEC, RECEIVED).read().split(b"\r\n")
    assert b"Message-ID: <abc@alfa.example>" in lines
    if b"<1@b>" in message:
        assert b"X-Riferimento-Message-ID: <1@b>" in lines


@pytest.mark.req("EN-11")
def test_the_body_is_shared_not_copied() -> None:
    message = InMemory.of(crlf(MESSAGE))
    octets = Octets.whole(message)
    travelling = reidentified(read_original(octets, scan(octets)), PEC, RECEIVED)
    spans = [part for part in travelling.parts if not isinstance(part, bytes)]
    assert {id(span.source) for span in spans} == {id(message)}
    assert all(before.stop <= after.start for before, after in pairwise(spans))


EIGHT_BIT = """From: anna@alfa.example
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=parti
Content-Transfer-Encoding: 8bit

Città nel preambolo
--parti
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Content-ID: <1@b>

Così è, spazi in fondo \n.
=
--parti
Content-Type: application/octet-stream

Ã¨ binario
--parti
Content-Type: text/plain; charset=utf-8

solo ASCII
--parti
Content-Type: multipart/signed; boundary=firma

--firma
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Così è firmata
--firma
Content-Type: application/pkcs7-signature

AAAA
--firma--
--parti--
"""


@pytest.mark.req("RC-04")
def test_leaves_are_encoded_and_nothing_else_changes() -> None:
    message = Octets.of(crlf(EIGHT_BIT))
    encoded = as_seven_bit(message, scan(message)).read()
    assert encoded == (
        crlf(EIGHT_BIT)
        .replace(b"8bit\r\nContent-ID", b"quoted-printable\r\nContent-ID")
        .replace("Così è, spazi in fondo \r\n.\r\n=".encode(), b"Cos=C3=AC =C3=A8, spazi in fondo=20\r\n=2E\r\n=3D")
        .replace(b"octet-stream\r\n\r\n", b"octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        .replace("Ã¨ binario".encode(), b"w4PCqCBiaW5hcmlv")
    )


@pytest.mark.req("RC-04")
def test_encoded_leaves_decode_to_what_was_sent() -> None:
    message = Octets.of(crlf(EIGHT_BIT))
    before = message_from_bytes(message.read(), policy=policy.default)
    after = message_from_bytes(as_seven_bit(message, scan(message)).read(), policy=policy.default)

    def leaves(tree: object) -> list[tuple[str, bytes]]:
        parts = [part for part in tree.walk() if not part.is_multipart()]  # type: ignore[attr-defined]
        return [(part.get_content_type(), part.get_payload(decode=True)) for part in parts]

    assert leaves(after) == leaves(before)


def test_a_message_of_seven_bits_is_the_same_rope() -> None:
    message = Octets.of(crlf(MESSAGE))
    assert as_seven_bit(message, scan(message)) is message


def test_a_bare_message_becomes_mime() -> None:
    message = Octets.of(crlf("From: anna@alfa.example\n\nCosì è\n"))
    assert as_seven_bit(message, scan(message)).read() == crlf(
        "From: anna@alfa.example\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\nCos=C3=AC =C3=A8\n"
    )


def test_a_message_attached_is_treated_like_the_one_around_it() -> None:
    text = """MIME-Version: 1.0
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit

MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Così
"""
    message = Octets.of(crlf(text))
    assert as_seven_bit(message, scan(message)).read() == crlf(text).replace(
        "utf-8\r\n\r\nCosì".encode(), b"utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCos=C3=AC"
    )


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode"])
def test_a_leaf_that_claims_to_be_encoded_is_left_alone(encoding: str) -> None:
    message = Octets.of(crlf(f"MIME-Version: 1.0\nContent-Transfer-Encoding: {encoding}\n\nCosì\n"))
    assert as_seven_bit(message, scan(message)).read() == message.read()


def test_attachments_within_attachments_end_somewhere() -> None:
    deep = "Content-Type: message/rfc822\n\n" * 2000 + "\nCosì\n"
    message = Octets.of(crlf(deep))
    assert as_seven_bit(message, scan(message)).size >= message.size


def test_a_large_leaf_is_encoded_in_pieces() -> None:
    body = bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") * 4096
    head = b"MIME-Version: 1.0\r\nContent-Type: application/x-dati\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    message = Octets.whole(InMemory.of(head + body + b"\r\n"))
    encoded = as_seven_bit(message, scan(message)).read()
    assert message_from_bytes(encoded).get_payload(decode=True) == body + b"\r\n"
    assert max(map(len, encoded.split(b"\r\n"))) <= 76


@pytest.mark.parametrize("window", [1, 2, 3, 7, 64])
def test_pieces_of_any_size_are_encoded_alike(window: int) -> None:
    message, data = Octets.of(crlf(EIGHT_BIT)), InMemory.of(crlf(EIGHT_BIT))
    cut = Octets.of(*(Octets.whole(data).slice(at, at + window) for at in range(0, data.size, window)))
    assert b"".join(seven_bit_pieces(cut, scan(cut))) == as_seven_bit(message, scan(message)).read()


@pytest.mark.parametrize("type_", ["text/plain", "application/x-dati"])
def test_a_large_message_is_encoded_in_pieces_that_stay_small(type_: str) -> None:
    head = f"MIME-Version: 1.0\r\nContent-Type: {type_}\r\n\r\n".encode()
    message = Octets.whole(InMemory.of(head + "Così è la vita\r\n".encode() * 200_000))
    sizes = [len(piece) for piece in seven_bit_pieces(message, scan(message))]
    assert sum(sizes) == as_seven_bit(message, scan(message)).size
    assert max(sizes) <= 3 * WINDOW
