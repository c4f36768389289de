"""Recognition: every kind is known, every defect is one, and what real providers do differently is forgiven."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest

from receipts.daticert import read_daticert, write_daticert
from receipts.facts import CertificationData
from receipts.octets import Octets
from receipts.recognise import Defect, Deviation, Recognition, receipt_form, recognise
from receipts.scanner import Fault, scan
from receipts.wire import CertificationType, ErrorKind, MessageKind, ReceiptForm
from tests.receipts.golden import GOLDEN, built, cases
from tests.receipts.samples import DELIMITER, sealed

KINDS = {
    "acceptance": MessageKind.ACCEPTANCE,
    "anomaly": MessageKind.ANOMALY,
    "delivery-brief": MessageKind.DELIVERY,
    "delivery-complete": MessageKind.DELIVERY,
    "delivery-concise": MessageKind.DELIVERY,
    "envelope": MessageKind.ENVELOPE,
    "non-acceptance": MessageKind.NON_ACCEPTANCE,
    "non-delivery": MessageKind.NON_DELIVERY,
    "take-charge": MessageKind.TAKE_CHARGE,
    "timeout": MessageKind.TIMEOUT,
    "virus": MessageKind.VIRUS,
}
ENVELOPE = sealed(built(GOLDEN / "envelope" / "plain")).read()
RECEIPT = sealed(built(GOLDEN / "delivery-complete" / "plain")).read()
ANOMALY = sealed(built(GOLDEN / "anomaly" / "ordinary-mail")).read()
DATA_PART = re.compile(
    rb'(?s)--mx[0-9a-f]+\r\nContent-Type: application/xml; name="daticert.xml"\r\n.*?\r\n\r\n(.*?)\r\n(?=--mx)'
)
ORIGINAL_PART = re.compile(rb"(?s)--mx[0-9a-f]+\r\nContent-Type: message/rfc822.*\r\n(?=--mx[0-9a-f]+--)")


def recognised(data: bytes) -> Recognition:
    message = Octets.of(data)
    return recognise(message, scan(message))


def changed(data: bytes, old: bytes, new: bytes) -> bytes:
    """One change to the first place that holds the old bytes."""
    assert old in data
    return data.replace(old, new, 1)


def envelope(old: bytes, new: bytes) -> bytes:
    return changed(ENVELOPE, old, new)


def receipt(old: bytes, new: bytes) -> bytes:
    return changed(RECEIPT, old, new)


def facts_of(data: bytes) -> CertificationData:
    found = DATA_PART.search(data)
    assert found
    return read_daticert(base64.b64decode(found[1]))


def with_xml(data: bytes, xml: bytes) -> bytes:
    found = DATA_PART.search(data)
    assert found
    return data[: found.start(1)] + base64.encodebytes(xml).replace(b"\n", b"\r\n").strip() + data[found.end(1) :]


def certifying(data: bytes, **changes: object) -> bytes:
    """The message with other facts in its certification data."""
    return with_xml(data, write_daticert(replace(facts_of(data), **changes)))


def part_of(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    found = pattern.search(data)
    assert found
    return found[0]


def field_of(data: bytes, name: bytes) -> bytes:
    """The first field of this name, whole."""
    found = re.search(rb"(?m)^" + name + rb":.*\r\n(?:[ \t].*\r\n)*", data)
    assert found
    return found[0]


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.parent.name}/{case.name}")
@pytest.mark.req("IP-04")
def test_recognises_what_we_write(case: Path) -> None:
    data = sealed(built(case)).read()
    found = recognised(data)
    expected = KINDS[case.parent.name]
    if case.name == "virus":
        expected = MessageKind(f"{expected}-virus")
    assert found.kind is expected
    assert found.conforms
    assert found.hard == ()
    assert found.soft == ()
    assert found.from_address == "posta-certificata@" + found.from_address.partition("@")[2]
    assert found.content is not None
    assert data[found.content.start : found.content.stop] == built(case).content.read()
    assert found.signature is not None
    assert (found.data is None) == (expected is MessageKind.ANOMALY)


def test_gives_the_original_where_there_is_one() -> None:
    for data in (ENVELOPE, RECEIPT, ANOMALY):
        original = recognised(data).original
        assert original is not None
        assert original.name == "postacert.eml"
    assert recognised(sealed(built(GOLDEN / "acceptance" / "plain")).read()).original is None


def test_ordinary_mail_is_nothing_of_ours() -> None:
    found = recognised(b"From: Anna <anna@alfa.example>\r\nSubject: CONSEGNA: x\r\n\r\nbody\r\n")
    assert (found.kind, found.marker, found.data) == (None, None, None)
    assert found.hard == (Defect.NO_MARKER,)
    assert found.from_address == "anna@alfa.example"


@pytest.mark.parametrize(
    ("data", "defect"),
    [
        pytest.param(envelope(b"X-Trasporto", b"X-Altro"), Defect.NO_MARKER, id="no marker"),
        pytest.param(b"X-Ricevuta: avvenuta-consegna\r\n" + ENVELOPE, Defect.SEVERAL_MARKERS, id="both markers"),
        pytest.param(b"X-Trasporto: errore\r\n" + ENVELOPE, Defect.SEVERAL_MARKERS, id="one marker twice"),
        pytest.param(envelope(b": posta-certificata\r\n", b": posta\r\n"), Defect.UNKNOWN_MARKER, id="unknown word"),
        pytest.param(
            receipt(b"X-Ricevuta: avvenuta-consegna", b"X-Ricevuta: posta-certificata"),
            Defect.UNKNOWN_MARKER,
            id="the word of the other marker",
        ),
        pytest.param(b"From: x@y.example\r\n" + ENVELOPE, Defect.REPEATED_FIELD, id="two From"),
        pytest.param(b"content-type: text/plain\r\n" + ENVELOPE, Defect.REPEATED_FIELD, id="two Content-Type"),
        pytest.param(envelope(b"From:", b"X-From:"), Defect.FROM, id="no From"),
        pytest.param(envelope(b"From: ", b"From: x@y.example, "), Defect.FROM, id="two authors"),
        pytest.param(envelope(b"multipart/signed", b"multipart/mixed"), Defect.STRUCTURE, id="not signed"),
        pytest.param(envelope(b"multipart/mixed", b"multipart/related"), Defect.STRUCTURE, id="not mixed"),
        pytest.param(
            envelope(b"Content-Type: application/pkcs7-signature", b"Content-Type: application/x"),
            Defect.STRUCTURE,
            id="no signature",
        ),
        pytest.param(envelope(DELIMITER, b"--x"), Defect.STRUCTURE, id="one part"),
        pytest.param(envelope(DELIMITER, DELIMITER + b"\r\n\r\nx\r\n" + DELIMITER), Defect.STRUCTURE, id="three parts"),
        pytest.param(envelope(part_of(DATA_PART, ENVELOPE), b""), Defect.NO_DATA, id="no data"),
        pytest.param(
            envelope(part_of(DATA_PART, ENVELOPE), 2 * part_of(DATA_PART, ENVELOPE)),
            Defect.SEVERAL_DATA,
            id="data twice",
        ),
        pytest.param(with_xml(ENVELOPE, b"<postacert/>"), Defect.UNREADABLE_DATA, id="empty data"),
        pytest.param(with_xml(ENVELOPE, b"\x00\x01"), Defect.UNREADABLE_DATA, id="no XML"),
        pytest.param(envelope(part_of(ORIGINAL_PART, ENVELOPE), b""), Defect.ORIGINAL, id="envelope without message"),
        pytest.param(
            envelope(part_of(ORIGINAL_PART, ENVELOPE), 2 * part_of(ORIGINAL_PART, ENVELOPE)),
            Defect.ORIGINAL,
            id="envelope of two messages",
        ),
    ],
)
@pytest.mark.req("IP-04")
def test_a_defect_means_that_it_does_not_conform(data: bytes, defect: Defect) -> None:
    found = recognised(data)
    assert not found.conforms
    assert any(fault.startswith(defect) for fault in found.hard)


@pytest.mark.req("RC-05")
def test_only_the_xml_is_read() -> None:
    start, end = ENVELOPE.index(b"Content-Type: text/plain"), part_of(DATA_PART, ENVELOPE)
    found = recognised(ENVELOPE[:start] + b"\r\nLies: " + ENVELOPE[ENVELOPE.index(end) - 2 :])
    assert found.conforms
    assert found.data == facts_of(ENVELOPE)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(envelope(b"X-Trasporto: posta-certificata", b"X-Trasporto: errore"), id="as anomaly"),
        pytest.param(envelope(b"X-Trasporto: posta-certificata", b"X-Ricevuta: avvenuta-consegna"), id="as receipt"),
        pytest.param(receipt(b"X-Ricevuta: avvenuta-consegna", b"X-Trasporto: posta-certificata"), id="as envelope"),
        pytest.param(receipt(b"X-Ricevuta: avvenuta-consegna", b"X-Ricevuta: errore-consegna"), id="as failure"),
    ],
)
@pytest.mark.req("IP-06")
def test_a_marker_that_contradicts_the_signed_type_is_a_defect(data: bytes) -> None:
    found = recognised(data)
    assert Defect.OTHER_TYPE in found.hard
    assert found.data is not None
    assert found.kind is found.data.kind


@pytest.mark.parametrize("kind", sorted(set(CertificationType) - {CertificationType.ENVELOPE}))
@pytest.mark.req("IP-06", "IP-04")
def test_a_marker_that_equals_the_signed_type_is_right(kind: CertificationType) -> None:
    data = certifying(RECEIPT, type=kind)
    found = recognised(changed(data, b"avvenuta-consegna", kind.encode()))
    assert found.conforms
    assert found.data is not None
    assert found.data.type is kind


def test_an_error_by_virus_makes_another_kind() -> None:
    marked = receipt(b"avvenuta-consegna", b"errore-consegna\r\nX-VerificaSicurezza: errore")
    found = recognised(certifying(marked, type=CertificationType.NON_DELIVERY, error=ErrorKind.VIRUS))
    assert found.kind is MessageKind.NON_DELIVERY_VIRUS
    assert Deviation.SECURITY_CHECK not in found.soft


def test_without_readable_data_the_header_says_the_kind() -> None:
    broken = with_xml(RECEIPT, b"<broken")
    assert recognised(broken).kind is MessageKind.DELIVERY
    refused = changed(broken, b"avvenuta-consegna", b"non-accettazione\r\nX-VerificaSicurezza: errore")
    assert recognised(refused).kind is MessageKind.NON_ACCEPTANCE_VIRUS
    assert recognised(changed(broken, b"avvenuta-consegna", b"rilevazione-virus")).kind is MessageKind.VIRUS
    assert recognised(changed(broken, b"avvenuta-consegna", b"altro")).kind is None


MIXED = b"Content-Type: multipart/mixed"
NAMES = [b'; name="daticert.xml"', b'; filename="daticert.xml"']


@pytest.mark.parametrize(
    ("data", "deviations"),
    [
        pytest.param(envelope(b"X-TipoRicevuta", b"X-Tiporicevuta"), {Deviation.SPELLING}, id="recased"),
        pytest.param(envelope(b"X-Trasporto", b"X-TRASPORTO"), {Deviation.SPELLING}, id="recased marker"),
        pytest.param(envelope(b": posta-certificata\r\n", b":  Posta-Certificata \r\n"), set(), id="case"),
        pytest.param(envelope(b"X-TipoRicevuta: completa\r\n", b""), {Deviation.RECEIPT_FORM}, id="no X-TipoRicevuta"),
        pytest.param(envelope(b"POSTA CERTIFICATA", b"Posta certificata"), {Deviation.SUBJECT}, id="subject"),
        pytest.param(envelope(b"\nMessage-ID: <", b"\nMessage-ID: <x"), {Deviation.MESSAGE_ID}, id="other id"),
        pytest.param(envelope(field_of(ENVELOPE, b"X-Rif[-A-Za-z]+"), b""), {Deviation.REFERENCE}, id="no reference"),
        pytest.param(b"X-VerificaSicurezza: errore\r\n" + ENVELOPE, {Deviation.SECURITY_CHECK}, id="virus"),
        pytest.param(envelope(b"daticert.xml", b"certdata.xml"), {Deviation.NAME}, id="name of the RFC"),
        pytest.param(changed(envelope(NAMES[0], b""), NAMES[1], b""), {Deviation.NAME}, id="data without a name"),
        pytest.param(envelope(b'name="postacert.eml"\r\n', b"name=postacert.eml\r\n"), set(), id="unquoted name"),
        pytest.param(envelope(b"application/pkcs7-s", b"application/x-pkcs7-s"), set(), id="protocol x-pkcs7"),
        pytest.param(
            envelope(b"Content-Type: application/pkcs7-s", b"Content-Type: application/x-pkcs7-s"),
            set(),
            id="x-pkcs7",
        ),
        pytest.param(
            envelope(b"\r\n\r\n--sg", b"\r\n\r\nThis is an S/MIME signed message\r\n\r\n--sg"), set(), id="preamble"
        ),
        pytest.param(
            envelope(MIXED, b"Content-Transfer-Encoding: binary\r\nMIME-Version: 1.0\r\n" + MIXED),
            set(),
            id="binary label",
        ),
        pytest.param(
            envelope(MIXED, b"Content-Transfer-Encoding: base64\r\n" + MIXED),
            {Deviation.ENCODING},
            id="base64 label",
        ),
        pytest.param(envelope(b"iso-8859-1", b"utf-8"), {Deviation.CHARSET}, id="charset"),
        pytest.param(
            changed(
                envelope(part_of(DATA_PART, ENVELOPE), b""),
                b"\r\n--mx",
                b"\r\n" + part_of(DATA_PART, ENVELOPE) + b"--mx",
            ),
            {Deviation.ORDER},
            id="data first",
        ),
        pytest.param(
            envelope(field_of(ENVELOPE, b"From"), b"From: Per conto di: a@b.example <x@alfa.example>\r\n"),
            {Deviation.FROM},
            id="unquoted name of the sender",
        ),
        pytest.param(envelope(field_of(ENVELOPE, b"Reply-To"), b""), set(), id="no Reply-To"),
        pytest.param(b"X-REM-Subject: x\r\nX-Attachment: yes\r\n" + ENVELOPE, set(), id="more fields"),
        pytest.param(b"X-Odd: \xe8\r\n" + ENVELOPE, {Fault.EIGHT_BIT_HEADER}, id="8 bit in the header"),
        pytest.param(certifying(ENVELOPE, reply_to=""), set(), id="empty risposte"),
        pytest.param(
            with_xml(ENVELOPE, write_daticert(facts_of(ENVELOPE)) + b"\r\n"), set(), id="line end after the XML"
        ),
        pytest.param(
            certifying(RECEIPT, error=ErrorKind.OTHER, error_text="5.1.1 - X"),
            set(),
            id="altro for an unknown mailbox",
        ),
    ],
)
@pytest.mark.req("IP-04")
def test_a_deviation_is_noted_and_forgiven(data: bytes, deviations: set[str]) -> None:
    found = recognised(data)
    assert found.hard == ()
    assert set(found.soft) == deviations
    assert found.data is not None


@pytest.mark.parametrize(
    ("certified", "header", "expected"),
    [
        (ReceiptForm.BRIEF, b"sintetica", ReceiptForm.BRIEF),
        (ReceiptForm.COMPLETE, b"breve", ReceiptForm.COMPLETE),
        (None, b"Breve", ReceiptForm.BRIEF),
        (None, b"lunga", ReceiptForm.COMPLETE),
        (None, None, ReceiptForm.COMPLETE),
    ],
)
def test_the_certified_form_wins_over_the_header(
    certified: ReceiptForm | None, header: bytes | None, expected: ReceiptForm
) -> None:
    data = certifying(ENVELOPE, receipt_form=certified)
    field = b"" if header is None else b"X-TipoRicevuta: " + header + b"\r\n"
    assert receipt_form(recognised(changed(data, b"X-TipoRicevuta: completa\r\n", field))) is expected


def test_data_too_large_are_a_defect() -> None:
    found = recognised(with_xml(ENVELOPE, b" " * 8_000_000))
    assert found.hard == (f"{Defect.UNREADABLE_DATA}: the body is too large",)
