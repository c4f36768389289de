"""Header fields: what a mail program reads back, and what can never be written."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.headers import copied, date, line, mailbox, offset, parameter, unstructured, visible
from receipts.wire import SUBJECT_PREFIX, MessageKind

ROME_WINTER = timezone(timedelta(hours=1))
ROME_SUMMER = timezone(timedelta(hours=2))


def read(field: bytes) -> EmailMessage:
    return message_from_bytes(field + b"\r\n", policy=policy.default)


def test_a_line_is_never_folded() -> None:
    msgid = f"<{'a' * 890}@client.example>"
    assert line("X-Riferimento-Message-ID", msgid) == f"X-Riferimento-Message-ID: {msgid}\r\n".encode()


@pytest.mark.parametrize("value", ["a\r\nX-Ricevuta: b", "a\nb", "a\rb", "a\0b", "a\tb", "città", "x" * 999])
def test_a_line_refuses_what_would_not_stay_on_it(value: str) -> None:
    with pytest.raises(ValueError):
        line("X-Mittente", value)


@pytest.mark.req("HDR-14")
@pytest.mark.parametrize("kind", MessageKind)
@pytest.mark.parametrize(
    "subject",
    [
        "Perizia",
        "Città di Łódź — 日本 €",
        "parola " * 700 + "fine",
        "x" * 5000,
        "日本語" * 1000,
        "\U0001f4e7" * 60,
        "=?utf-8?q?non_decodificare?=",
        "  spazi prima",
        "spazi dopo  ",
        "due  spazi   dentro " * 30 + "fine",
        "w" * 90 + " " + "y" * 90 + " z",
        "POSTA CERTIFICATA: POSTA CERTIFICATA: di nuovo",
    ],
)
def test_a_subject_decodes_to_prefix_and_original(kind: MessageKind, subject: str) -> None:
    field = unstructured("Subject", subject, prefix=SUBJECT_PREFIX[kind])
    assert read(field)["Subject"] == SUBJECT_PREFIX[kind] + subject
    assert field.startswith(f"Subject: {SUBJECT_PREFIX[kind]}".rstrip().encode())


def test_a_subject_keeps_the_space_behind_its_prefix_when_there_is_nothing_else() -> None:
    assert unstructured("Subject", "", prefix="CONSEGNA: ") == b"Subject: CONSEGNA: \r\n"


def test_a_subject_without_room_for_an_encoded_word_goes_on_in_the_next_line() -> None:
    prefix = SUBJECT_PREFIX[MessageKind.TIMEOUT]
    assert unstructured("Subject", "città", prefix=prefix) == (
        b"Subject: AVVISO DI MANCATA CONSEGNA PER SUP. TEMPO MASSIMO:\r\n =?utf-8?b?Y2l0dMOg?=\r\n"
    )


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=400))
def test_any_subject_survives_on_legal_lines(text: str) -> None:
    subject = visible(text)
    field = unstructured("Subject", subject, prefix="CONSEGNA: ")
    lines = field.removesuffix(b"\r\n").split(b"\r\n")
    assert all(len(each) <= 998 for each in lines)
    assert all(len(each) <= 76 for each in lines if b"=?utf-8?" in each)
    assert all(each.startswith(b" ") and each.strip() for each in lines[1:])
    assert read(field)["Subject"] == "CONSEGNA: " + subject


def test_words_are_folded_where_spaces_allow_it() -> None:
    field = unstructured("Subject", "parola " * 100 + "fine")
    assert max(map(len, field.split(b"\r\n"))) <= 78


@pytest.mark.req("SEC-07")
@pytest.mark.parametrize("text", ["a\r\nX-Ricevuta: avvenuta-consegna", "a\nb", "a\rb", "a\0b", "a\x1bb"])
def test_nobody_can_write_a_second_field_through_the_first(text: str) -> None:
    with pytest.raises(ValueError):
        unstructured("Subject", text)
    with pytest.raises(ValueError):
        mailbox("From", "a@alfa.example", text)
    with pytest.raises(ValueError):
        mailbox("From", text)
    with pytest.raises(ValueError):
        parameter("name", text)
    assert "\r" not in visible(text)
    assert "\n" not in visible(text)


def test_a_prefix_outside_ascii_is_refused() -> None:
    with pytest.raises(ValueError):
        unstructured("Subject", "a", prefix="Città: ")


@pytest.mark.parametrize(
    "sender",
    [
        "anna@alfa.example",
        "nome.cognome.molto.lungo.davvero@ufficio.distaccato.alfa.example",
        '"anna \\"la\\" b"@alfa.example',
        "annà@alfa.example",
        "日本" * 40,
    ],
)
def test_a_display_name_reads_back(sender: str) -> None:
    field = mailbox("From", "posta-certificata@alfa.example", f"Per conto di: {sender}")
    address = cast(Address, read(field)["From"].addresses[0])
    assert address.addr_spec == "posta-certificata@alfa.example"
    if sender.isascii():
        assert address.display_name == f"Per conto di: {sender}"
    else:  # the newer parser sees spaces between the encoded words of a display name; the older one reads RFC 2047
        value = field.removeprefix(b"From: ").decode().replace("\r\n", "")
        assert str(make_header(decode_header(value))).startswith(f"Per conto di: {sender} ")
    assert max(map(len, field.split(b"\r\n"))) <= 998


def test_an_address_is_ascii_and_fits() -> None:
    with pytest.raises(ValueError):
        mailbox("To", "annà@alfa.example")
    with pytest.raises(ValueError):
        mailbox("From", "a@alfa.example", "x" * 1000)


@pytest.mark.req("TIM-05")
@pytest.mark.parametrize("zone", [ROME_WINTER, ROME_SUMMER, timezone(-timedelta(hours=3, minutes=30))])
def test_a_date_reads_back_to_the_same_instant_in_the_same_zone(zone: timezone) -> None:
    at = datetime(2025, 2, 3, 9, 41, 7, tzinfo=zone)
    read_back = parsedate_to_datetime(read(date(at))["Date"])
    assert read_back == at
    assert read_back.utcoffset() == at.utcoffset()


def test_a_date_is_written_with_english_names() -> None:
    assert date(datetime(2025, 2, 3, 9, 41, 7, tzinfo=ROME_WINTER)) == b"Date: Mon, 3 Feb 2025 09:41:07 +0100\r\n"


def test_an_offset_has_a_sign_and_four_digits() -> None:
    assert offset(datetime(2025, 7, 3, tzinfo=ROME_SUMMER)) == "+0200"
    assert offset(datetime(2025, 7, 3, tzinfo=timezone(-timedelta(hours=3, minutes=30)))) == "-0330"
    with pytest.raises(ValueError):
        offset(datetime(2025, 7, 3))  # noqa: DTZ001 naive on purpose


@dataclass(frozen=True)
class Read:
    name: str
    value: bytes


def test_a_copied_field_keeps_its_spelling_and_folds() -> None:
    assert copied(Read("CC", b'\r\n\t"Bruno,\t Verdi"\r\n  <b@beta.example>')) == (
        b'CC:\r\n\t"Bruno,\t Verdi"\r\n  <b@beta.example>\r\n'
    )


@pytest.mark.req("SEC-07")
def test_a_copied_field_is_one_field_for_every_reader() -> None:
    assert copied(Read("To", b" a@x.example\nX-Ricevuta: a\rX-Trasporto: b")) == (
        b"To: a@x.example X-Ricevuta: a X-Trasporto: b\r\n"
    )


@pytest.mark.parametrize("name", ["perizia.pdf.hash", "città.pdf", 'due "virgolette" \\.pdf', "x" * 300, "日本" * 80])
def test_a_parameter_reads_back(name: str) -> None:
    field = b"Content-Disposition: attachment" + parameter("filename", name) + b"\r\n"
    assert read(field).get_filename() == name
    assert max(map(len, field.split(b"\r\n"))) <= 100


def test_visible_text_is_one_line() -> None:
    assert visible("a\r\n\tb\x00\x85c\u2028d\ud800e") == "a b c d\ufffde"
