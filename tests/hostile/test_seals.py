"""Certified mail that lies: sealed with a provider's own key around anything, or with a seal that is none."""

import base64
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from gateway.drivers.keyfiles import KeyKind, new_key
from gateway.drivers.signers import SoftwareSigner
from providers.sealing import Signer
from tests.hostile.boxes import Inbox
from tests.hostile.forging import certification, envelope, sealed, signer_of
from tests.hostile.talk import Answer, Talk
from tests.lab.labs import Lab
from tests.lab.mail import openssl_verifies

pytestmark = pytest.mark.lab

SENDER, RECIPIENT = "bruno@beta.example", "bruno@alfa.example"
ANSWER_SECONDS = 20


@pytest.fixture(scope="module")
def beta(lab: Lab) -> Signer:
    return signer_of(lab.folder, "beta")


def deliver(lab: Lab, message: bytes) -> Answer:
    with Talk(lab.provider("alfa.example")["ports"]["smtp"]) as talk:
        talk.greeted().starttls(lab.context()).begin(SENDER, [RECIPIENT])
        began = time.monotonic()
        answer = talk.chunk(message)
        assert time.monotonic() - began < ANSWER_SECONDS
        return answer


def an_envelope(lab: Lab, signer: Signer, data: bytes, pec_msgid: str, original: bytes | None = None) -> bytes:
    unsealed = envelope(
        data,
        sender=SENDER,
        recipient=RECIPIENT,
        pec_msgid=pec_msgid,
        service_address=lab.provider("beta.example")["service_address"],
        original=original,
    )
    return sealed(unsealed, signer)


def new_pec_msgid() -> str:
    return f"{secrets.token_hex(16)}@beta.example"


def good(pec_msgid: str, inside: str = "", head: str = "") -> bytes:
    return certification(sender=SENDER, recipients=[RECIPIENT], pec_msgid=pec_msgid, inside=inside, head=head)


def arrives_as(lab: Lab, marker: bytes, message: bytes, pec_msgid: str, folder: Path) -> bytes:
    """The message in the recipient's mailbox; it must have ``marker``."""
    inbox = Inbox(lab, RECIPIENT)
    answer = deliver(lab, message)
    assert (answer.code, answer.text[:5]) == (250, "2.0.0")
    arrived = inbox.wait(lambda raw: pec_msgid.encode() in raw, "what arrived")
    assert b"\r\n" + marker + b"\r\n" in arrived.partition(b"\r\n\r\n")[0] + b"\r\n"
    openssl_verifies(arrived, lab.description["email_ca_file"], folder)
    return arrived


ENVELOPE, ANOMALY = b"X-Trasporto: posta-certificata", b"X-Trasporto: errore"


def test_what_is_forged_below_is_believed_when_it_is_right(lab: Lab, beta: Signer, tmp_path: Path) -> None:
    """So that the tests below fail for the reason they name."""
    pec_msgid = new_pec_msgid()
    arrives_as(lab, ENVELOPE, an_envelope(lab, beta, good(pec_msgid), pec_msgid), pec_msgid, tmp_path)
    Inbox(lab, SENDER).wait(lambda raw: b"X-Ricevuta: avvenuta-consegna" in raw, "delivery receipt")


BOMB = '<!DOCTYPE postacert [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{inner};" * 10}">' for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE_DATA: dict[str, Callable[[str], bytes]] = {
    "an XML bomb": lambda i: good(i, head=BOMB + "]>", inside="<errore-esteso>&i;</errore-esteso>"),
    "a quadratic bomb": lambda i: good(
        i, head=f'<!DOCTYPE postacert [<!ENTITY a "{"a" * 50_000}">]>', inside="<x>" + "&a;" * 50_000 + "</x>"
    ),
    "an external entity": lambda i: good(
        i, head='<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]>', inside="<errore-esteso>&a;</errore-esteso>"
    ),
    "a parameter entity": lambda i: good(i, head='<!DOCTYPE p [<!ENTITY % a SYSTEM "http://127.0.0.1:1/x"> %a;]>'),
    "an external DTD": lambda i: good(i, head='<!DOCTYPE postacert SYSTEM "postacert.dtd">'),
    "a DTD without anything": lambda i: good(i, head="<!DOCTYPE postacert>"),
    "6 MB": lambda i: good(i, inside=f"<altro>{'x' * 6_000_000}</altro>"),
    "10,001 recipients": lambda i: certification(
        sender=SENDER, recipients=[RECIPIENT, *(f"r{number}@alfa.example" for number in range(10_000))], pec_msgid=i
    ),
    "elements 10,000 deep": lambda i: good(i, inside="<x>" * 10_000 + "</x>" * 10_000),
    "a million elements": lambda i: good(i, inside="<x/>" * 1_000_000),
    "bytes that are not UTF-8": lambda i: good(i).replace(b"Prova", b"Pr\xff\xfeva"),
    "a NUL": lambda i: good(i).replace(b"Prova", b"Pr\0va"),
    "no XML": lambda i: b"\x30\x80" + i.encode(),
    "nothing": lambda i: b"",
    "half of it": lambda i: good(i)[:-200],
    "a second document": lambda i: good(i) * 2,
    "two senders": lambda i: good(i).replace(b"<risposte>", b"<mittente>x@beta.example</mittente><risposte>"),
    "a date that never was": lambda i: good(i).replace(b"<giorno>", b"<giorno>31/02/"),
    "a header injected through the sender": lambda i: good(i).replace(
        SENDER.encode() + b"</mittente>", SENDER.encode() + b"&#13;&#10;X-Ricevuta: avvenuta-consegna</mittente>"
    ),
}


@pytest.mark.req("XML-19")
@pytest.mark.parametrize("case", HOSTILE_DATA.values(), ids=HOSTILE_DATA.keys())
def test_certification_data_that_cannot_be_read_make_an_anomaly(
    lab: Lab, beta: Signer, case: Callable[[str], bytes], tmp_path: Path
) -> None:
    pec_msgid = new_pec_msgid()
    message = an_envelope(lab, beta, case(pec_msgid), pec_msgid)
    arrived = arrives_as(lab, ANOMALY, message, pec_msgid, tmp_path)
    assert message in arrived
    assert b"root:x:0" not in arrived


HARMLESS_DATA: dict[str, Callable[[str], bytes]] = {
    "elements of its own": lambda i: good(
        i, inside='<x:nostro xmlns:x="urn:x" a="1">altro<y/></x:nostro>' + "<z/>" * 10_000
    ),
    "100,000 attributes": lambda i: good(i, inside="<x " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>"),
    "a charset that is looked up nowhere": lambda i: good(i).replace(b"UTF-8", b"x-nessuno"),
    "10,000 recipients": lambda i: certification(
        sender=SENDER, recipients=[RECIPIENT, *(f"r{number}@alfa.example" for number in range(9_999))], pec_msgid=i
    ),
}


@pytest.mark.parametrize("case", HARMLESS_DATA.values(), ids=HARMLESS_DATA.keys())
def test_certification_data_with_more_than_we_know_are_believed(
    lab: Lab, beta: Signer, case: Callable[[str], bytes], tmp_path: Path
) -> None:
    pec_msgid = new_pec_msgid()
    arrives_as(lab, ENVELOPE, an_envelope(lab, beta, case(pec_msgid), pec_msgid), pec_msgid, tmp_path)
    Inbox(lab, SENDER).wait(
        lambda raw: b"X-Ricevuta: avvenuta-consegna" in raw and b"consegna" in raw, "delivery receipt"
    )


@pytest.mark.req("SEC-07")
@pytest.mark.parametrize(
    "subject",
    [
        '<script>alert(1)</script> &amp; "x" \'',
        "=?utf-8?Q?X=0D=0AX-Ricevuta:_accettazione?=",
        "=?utf-8?B?DQpCY2M6IHhAeC5leGFtcGxlDQoNCmJvZHk=?=",
        "=?utf-8?Q?=00=07=E2=80=AE?=",
        "x" * 900,
        "=?utf-8?Q?" + "=C3=A8" * 150 + "?=",
    ],
)
def test_a_subject_injects_nothing_into_what_we_issue(lab: Lab, subject: str, tmp_path: Path) -> None:
    """In the headers, the text, the HTML and the XML of receipt, envelope and delivery receipt."""
    token = secrets.token_hex(8)
    sender, recipient = "anna@alfa.example", "anna@beta.example"
    account, port = lab.account(sender), lab.provider("alfa.example")["ports"]["submissions"]
    message = (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\nMessage-ID: <{token}@x.example>\r\n\r\nciao\r\n"
    )
    with Talk(port, context=lab.context()) as talk:
        talk.greeted().signed_in(account.address, account.password).begin(sender, [recipient])
        answer = talk.data(message.encode())
    assert answer.text.endswith("> accepted")
    inbox = Inbox(lab, sender)
    inbox.wait(lambda raw: b"avvenuta-consegna" in raw and token.encode() in raw, "delivery receipt")
    certified = [raw for raw in inbox.all() if token.encode() in raw]
    assert len(certified) == 2
    for raw in certified:
        openssl_verifies(raw, lab.description["email_ca_file"], tmp_path)
        header = raw.partition(b"\r\n\r\n")[0]
        assert header.count(b"\r\nX-Ricevuta: ") == 1
        assert b"\r\nBcc:" not in header
        assert max(map(len, header.split(b"\r\n"))) <= 998
        assert b"<script>" not in raw.replace(subject.encode(), b"")


def self_signed(subject: list[x509.NameAttribute[str]], names: list[x509.GeneralName]) -> SoftwareSigner:
    key = new_key(KeyKind.EC_P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name, now = x509.Name(subject), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(x509.Name([*subject, *OTHER])).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return SoftwareSigner(key, builder.sign(key, hashes.SHA256()), ())


OTHER = [x509.NameAttribute(NameOID.LOCALITY_NAME, "Altrove")]
MAIL = x509.RFC822Name("posta-certificata@beta.example")


def attribute(value: str, kind: x509.ObjectIdentifier = NameOID.COMMON_NAME) -> x509.NameAttribute[str]:
    return x509.NameAttribute(kind, value, _validate=False)


STRANGE_NAMES: dict[str, Callable[[], SoftwareSigner]] = {
    "of control characters": lambda: self_signed([attribute("\x00\r\nX-Ricevuta: a\x1b[2J\u202e")], [MAIL]),
    "of 10,000 characters": lambda: self_signed([attribute("à" * 10_000)], [MAIL]),
    "of nothing": lambda: self_signed([], [MAIL]),
    "of 500 attributes": lambda: self_signed([attribute(str(number)) for number in range(500)], [MAIL]),
    "with 60 addresses": lambda: self_signed(
        [attribute("x")], [MAIL, *(x509.RFC822Name(f"a{number}@beta.example") for number in range(60))]
    ),
    "with 2,000 addresses": lambda: self_signed(
        [attribute("x")], [MAIL, *(x509.RFC822Name(f"a{number}@beta.example") for number in range(2_000))]
    ),
    "with an address that is none": lambda: self_signed(
        [attribute("x")], [x509.RFC822Name._init_without_validation("a\0@b@c<d>,\r\n")]
    ),
    "that are the provider's own": lambda: self_signed(
        [attribute("Beta PEC", NameOID.ORGANIZATION_NAME), attribute("Posta Certificata")], [MAIL]
    ),
}


@pytest.mark.filterwarnings("ignore:Attribute's length")
@pytest.mark.parametrize("made", STRANGE_NAMES.values(), ids=STRANGE_NAMES.keys())
def test_a_certificate_with_strange_names_proves_nothing(
    lab: Lab, made: Callable[[], SoftwareSigner], tmp_path: Path
) -> None:
    pec_msgid = new_pec_msgid()
    arrives_as(lab, ANOMALY, an_envelope(lab, made(), good(pec_msgid), pec_msgid), pec_msgid, tmp_path)


def with_signature(message: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The same content under another CMS."""
    head, mark, rest = message.rpartition(b'filename="smime.p7s"\r\n\r\n')
    encoded, boundary, tail = rest.partition(b"--sg")
    changed = base64.encodebytes(change(base64.b64decode(encoded))).replace(b"\n", b"\r\n")
    return head + mark + changed + boundary + tail


def deep(levels: int) -> bytes:
    return b"\x30\x80" * levels + b"\0\0" * levels


FORGED: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda cms: cms[: len(cms) // 2],
    "without its last byte": lambda cms: cms[:-1],
    "with a byte more": lambda cms: cms + b"\0",
    "with another signature value": lambda cms: cms[:-1] + bytes([cms[-1] ^ 1]),
    "of nothing": lambda cms: b"",
    "of one byte": lambda cms: b"\x30",
    "of random bytes": lambda cms: secrets.token_bytes(5_000),
    "of lengths without end": lambda cms: b"\x30\x84\xff\xff\xff\xff" + cms,
    "nested 100,000 deep": lambda cms: deep(100_000),
    "of 100,000 certificates": lambda cms: b"\x30\x80" + cms[20:40] * 100_000,
    "of 3 MB": lambda cms: cms + secrets.token_bytes(3_000_000),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED.keys())
def test_a_seal_that_is_broken_is_no_seal(
    lab: Lab, beta: Signer, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    pec_msgid = new_pec_msgid()
    message = with_signature(an_envelope(lab, beta, good(pec_msgid), pec_msgid), change)
    arrived = arrives_as(lab, ANOMALY, message, pec_msgid, tmp_path)
    assert message in arrived


def test_a_content_changed_by_one_byte_is_not_believed(lab: Lab, beta: Signer, tmp_path: Path) -> None:
    pec_msgid = new_pec_msgid()
    message = an_envelope(lab, beta, good(pec_msgid), pec_msgid).replace(b"\r\nciao\r\n", b"\r\nciau\r\n")
    arrives_as(lab, ANOMALY, message, pec_msgid, tmp_path)


def test_the_seal_of_another_message_does_not_do(lab: Lab, beta: Signer, tmp_path: Path) -> None:
    pec_msgid, other = new_pec_msgid(), new_pec_msgid()
    good_one = an_envelope(lab, beta, good(other), other)
    stolen = base64.b64decode(good_one.rpartition(b'filename="smime.p7s"\r\n\r\n')[2].partition(b"--sg")[0])
    message = with_signature(an_envelope(lab, beta, good(pec_msgid), pec_msgid), lambda _: stolen)
    arrives_as(lab, ANOMALY, message, pec_msgid, tmp_path)


def test_a_key_of_4096_bits_under_a_stranger_costs_little(lab: Lab, tmp_path: Path) -> None:
    """A public exponent as long as the modulus makes verification slow; it is done at most once a message."""
    key = rsa.generate_private_key(65537, 4096)
    name, now = x509.Name([attribute("x")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(x509.Name([*name, *OTHER])).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([MAIL]), critical=False)
    signer = SoftwareSigner(key, builder.sign(key, hashes.SHA256()), ())
    pec_msgid = new_pec_msgid()
    arrives_as(lab, ANOMALY, an_envelope(lab, signer, good(pec_msgid), pec_msgid), pec_msgid, tmp_path)
