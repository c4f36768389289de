import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from gateway.lab.authority import Authority, Issued
from providers.chains import ChainCache, Trust
from providers.checks import Check, CheckName
from providers.directory import Directory, ProviderRecord, read_directory, write_ldif
from providers.enclosures import Enclosure, Match, compare_hashes
from providers.judgement import Judgement, Verdict, judge
from providers.likeness import Likeness, differing_fields, likeness
from providers.sealing import seal
from receipts.brief import brief_copy
from receipts.octets import Octets
from receipts.original import as_seven_bit
from receipts.recognise import recognise
from receipts.scanner import scan
from receipts.wire import CertificationType, MessageKind, Transport
from receipts.writer import Unsealed
from tests.providers.authorities import AT, openssl_verifies, rsa_key
from tests.receipts.golden import built, cases, facts_of

BOUNDARY = "sg" + "0123456789abcdef" * 2
DOMAINS = {"Alfa": ("alfa.example",), "Beta": ("beta.example", "gamma.example")}
SENT = AT.replace(year=2025)


@cache
def authority() -> Authority:
    providers = [(name, domain) for name, domains in DOMAINS.items() for domain in domains]
    return Authority.create(providers, SENT - timedelta(days=365))


@cache
def issued(domain: str) -> Issued:
    name = next(name for name, domains in DOMAINS.items() if domain in domains)
    return authority().provider_certificate(name, f"posta-certificata@{domain}", key=rsa_key())


@cache
def index() -> Directory:
    return read_directory(
        write_ldif(
            [
                ProviderRecord(
                    name=name,
                    certificates=tuple(issued(domain).der for domain in domains),
                    mail_receipt=f"posta-certificata@{domains[0]}",
                    managed_domains=frozenset(domains),
                )
                for name, domains in DOMAINS.items()
            ]
        )
    )


@cache
def trust() -> Trust:
    return Trust((authority().root.der,))


def sealed(unsealed: Unsealed, domain: str = "alfa.example") -> bytes:
    return seal(unsealed, issued(domain).signer(), at=SENT, boundary=BOUNDARY).read()


@cache
def golden(kind: str, case: str = "plain") -> bytes:
    folder = next(each for each in cases(kind) if each.name == case)
    return sealed(built(folder), facts_of(folder)["service_address"].partition("@")[2])


CACHE = ChainCache()


def judged(message: bytes, **changes: object) -> Judgement:
    arguments = {"trust": trust(), "directory": index(), "cache": CACHE} | changes
    return judge(message, **arguments)  # type: ignore[arg-type]


def failed(judgement: Judgement) -> set[str]:
    return {check.name.value for check in judgement.checks if check.ok is False}


KIND_OF_FOLDER = {
    "delivery-complete": MessageKind.DELIVERY,
    "delivery-brief": MessageKind.DELIVERY,
    "delivery-concise": MessageKind.DELIVERY,
}


@pytest.mark.req("IP-04", "IP-06", "IP-08")
@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.parent.name}-{case.name}")
def test_every_golden_message_is_valid_when_sealed(case: Path) -> None:
    folder = case.parent.name
    judgement = judged(golden(folder, case.name))
    assert (judgement.verdict, failed(judgement)) == (Verdict.VALID, set())
    assert [check.name for check in judgement.checks] == list(CheckName)[:-2]
    assert judgement.recognition is not None
    if case.name == "virus":
        assert judgement.recognition.kind == f"{folder}-virus"
    else:
        assert judgement.recognition.kind == KIND_OF_FOLDER.get(folder, folder)


@pytest.fixture(scope="module")
def email_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    file.write_bytes(authority().email_ca_pem)
    return file


@pytest.mark.req("SIG-01", "SIG-03")
@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.parent.name}-{case.name}")
def test_openssl_verifies_every_golden_message(case: Path, email_ca: Path) -> None:
    message = golden(case.parent.name, case.name)
    assert openssl_verifies(message, email_ca, at=SENT)
    assert openssl_verifies(message, email_ca, "-cades", at=SENT)


def signed_range(message: bytes) -> range:
    """Where the signed part stands, found without the product's scanner."""
    delimiter = b"--" + BOUNDARY.encode()
    start = message.index(delimiter + b"\r\n") + len(delimiter) + 2
    return range(start, message.index(b"\r\n" + delimiter, start))


SHORT = ("envelope", "plain")


@pytest.mark.req("IP-03")
def test_a_change_at_every_offset_of_the_signed_part_is_found() -> None:
    message, dice = golden(*SHORT), random.Random(6109)
    assert judged(message).verdict is Verdict.VALID
    for at in signed_range(message):
        changed = bytearray(message)
        changed[at] ^= dice.randrange(1, 256)
        assert judged(bytes(changed)).verdict is Verdict.INVALID, at


@pytest.mark.req("IP-03")
def test_every_byte_removed_or_added_is_found() -> None:
    message, dice = golden(*SHORT), random.Random(6109)
    where = signed_range(message)
    for at in dice.sample(where, 200):
        removed = message[:at] + message[at + 1 :]
        added = message[:at] + bytes([dice.randrange(256)]) + message[at:]
        doubled = message[:at] + message[at : at + 1] + message[at:]
        assert [judged(each).verdict for each in (removed, added, doubled)] == [Verdict.INVALID] * 3, at
    lines = [at for at in where if message[at : at + 2] == b"\r\n"]
    for at in lines:
        assert judged(message[:at] + message[at + 1 :]).verdict is Verdict.INVALID, at
        assert judged(message[: at + 1] + message[at + 2 :]).verdict is Verdict.INVALID, at
        assert judged(message[:at] + b" " + message[at:]).verdict is Verdict.INVALID, at


def test_openssl_agrees_at_200_offsets(email_ca: Path) -> None:
    message, dice = golden(*SHORT), random.Random(5652)
    assert openssl_verifies(message, email_ca, at=SENT)
    for at in dice.sample(signed_range(message), 200):
        changed = bytearray(message)
        changed[at] ^= dice.randrange(1, 256)
        assert not openssl_verifies(bytes(changed), email_ca, at=SENT), at
        assert judged(bytes(changed)).verdict is Verdict.INVALID, at


MARKED = ["acceptance", "non-acceptance", "envelope", "take-charge", "anomaly", "delivery-brief", "non-delivery"]
FIRST_CASE = {"non-acceptance": "several-faults", "take-charge": "two-recipients", "non-delivery": "unknown-mailbox"}
FIRST_CASE["anomaly"] = "ordinary-mail"


def field_of(message: bytes, *names: bytes) -> bytes:
    """The one field of these names in the outer header, with its folding."""
    header = message.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b"\0 ")
    (field,) = (line for line in header.split(b"\r\n") if line.partition(b":")[0] in names)
    return field.replace(b"\0 ", b"\r\n ") + b"\r\n"


def other_markers() -> Iterator[bytes]:
    yield b""
    for word in chain(CertificationType, ["", "x", "errore"]):
        yield f"X-Ricevuta: {word}\r\n".encode()
    for word in chain(Transport, ["", "x", "accettazione"]):
        yield f"X-Trasporto: {word}\r\n".encode()


@pytest.mark.req("IP-06")
@pytest.mark.parametrize("kind", MARKED)
def test_every_other_marker_is_found(kind: str) -> None:
    message = golden(kind, FIRST_CASE.get(kind, "plain"))
    assert judged(message).verdict is Verdict.VALID
    marker = field_of(message, b"X-Ricevuta", b"X-Trasporto")
    for other in other_markers():
        if other != marker:
            judgement = judged(message.replace(marker, other, 1))
            assert judgement.verdict is Verdict.INVALID, other
            assert failed(judgement) & {"marker", "form"}
        assert judged(message.replace(marker, marker + other, 1)).verdict is (
            Verdict.VALID if not other else Verdict.INVALID
        ), other


@pytest.mark.req("IP-06", "SIG-04")
@pytest.mark.parametrize("kind", MARKED)
@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"From: posta-certificata@beta.example.org\r\n",
        b"From: anna@alfa.example\r\n",
        b'From: "Per conto di: anna@alfa.example" <anna@alfa.example>\r\n',
        b'From: "Per conto di: capo@alfa.example" <posta-certificata@alfa.example>\r\n',
        b'From: "Per conto di: capo@alfa.example" <posta-certificata@beta.example>\r\n',
        b'From: "capo@alfa.example" <posta-certificata@alfa.example>\r\n',
        b'From: "capo@alfa.example" <posta-certificata@beta.example>\r\n',
        b"From: posta-certificata@alfa.example, posta-certificata@beta.example\r\n",
        b"From: \r\n",
    ],
)
def test_every_other_sender_is_found(kind: str, other: bytes) -> None:
    message = golden(kind, FIRST_CASE.get(kind, "plain"))
    sender = field_of(message, b"From")
    assert sender != other
    for changed in (other, sender + other, other + sender):
        if changed != sender:
            assert judged(message.replace(sender, changed, 1)).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("kind", "phrase", "good"),
    [
        ("envelope", b'"Per conto di: ANNA@Alfa.example"', True),
        ("envelope", b"=?utf-8?q?Per_conto_di=3A_anna=40alfa=2Eexample?=", True),
        ("envelope", b'"On behalf of: anna@alfa.example"', True),
        ("envelope", b'"Per conto di: anna@alfa.example "', True),
        ("envelope", b'"anna@alfa.example"', False),
        ("envelope", b"", False),
        ("acceptance", b'"Posta Certificata Alfa"', True),
        ("acceptance", b"", True),
        ("acceptance", b'"banca@example.org"', False),
    ],
)
def test_the_name_in_from_is_read_as_people_read_it(kind: str, phrase: bytes, good: bool) -> None:
    message = golden(kind)
    other = b"From: " + phrase + b" <posta-certificata@alfa.example>\r\n"
    judgement = judged(message.replace(field_of(message, b"From"), other, 1))
    assert failed(judgement) == (set() if good else {"on-behalf"})


def test_what_may_change_on_the_way_changes_nothing() -> None:
    message = golden(*SHORT)
    grown = b"Return-Path: <anna@alfa.example>\r\nReceived: by x; Mon, 3 Mar 2025 09:00:00 +0100\r\n" + message
    judgement = judged(grown.replace(b"\r\nSubject: POSTA CERTIFICATA: ", b"\r\nSubject: [list] ", 1))
    assert judgement.verdict is Verdict.VALID


def test_a_file_with_lf_is_checked_in_crlf_form() -> None:
    judgement = judged(golden(*SHORT).replace(b"\r\n", b"\n"))
    assert judgement.verdict is Verdict.VALID
    assert "CRLF form" in judgement.annotated[0].detail
    assert judged(golden(*SHORT).replace(b"\r\n", b"\n", 40)).verdict is not Verdict.VALID


def test_the_time_is_the_signed_one_unless_another_is_asked_for() -> None:
    message = golden(*SHORT)
    assert "the time of the signed certification data" in validity(judged(message))
    assert "the signing time" in validity(judged(golden("anomaly", "ordinary-mail")))
    late = judged(message, at=SENT + timedelta(days=5000))
    assert failed(late) == {"chain", "validity"}
    assert "as asked" in validity(late)


def validity(judgement: Judgement) -> str:
    return next(check.detail for check in judgement.annotated if check.name is CheckName.VALIDITY)


def test_valid_today_is_a_note() -> None:
    message = golden(*SHORT)
    assert "; valid today" in validity(judged(message, now=SENT))
    expired = judged(message, now=SENT + timedelta(days=5000))
    assert expired.verdict is Verdict.VALID
    assert "not valid today: expired" in validity(expired)


@pytest.mark.parametrize(
    "without",
    [{"trust": None}, {"directory": None}, {"trust": None, "directory": None}],
    ids=["authority", "index", "both"],
)
def test_without_authority_or_index_nothing_is_trusted(without: dict[str, None]) -> None:
    assert judged(golden(*SHORT), **without).verdict is Verdict.UNTRUSTED
    changed = golden(*SHORT).replace(b"POSTA CERTIFICATA: ", b"")
    assert judged(changed.replace(b"Il giorno", b"Il giorno ", 1), **without).verdict is Verdict.INVALID


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff" * 100,
        b"Subject: A\r\n\r\nCiao.\r\n",
        golden("envelope").replace(b"multipart/signed", b"multipart/mixed", 1),
        golden("envelope").partition(b"\r\n\r\n")[2],
    ],
    ids=["empty", "garbage", "ordinary", "mixed", "headless"],
)
def test_what_has_no_signature_at_its_root_is_unreadable(data: bytes) -> None:
    assert judged(data).verdict is Verdict.UNREADABLE


def test_signed_mail_of_no_certified_kind_is_invalid() -> None:
    message = golden(*SHORT)
    assert failed(judged(message.replace(field_of(message, b"X-Trasporto"), b""))) == {"marker", "on-behalf"}


@pytest.mark.req("IP-08")
@pytest.mark.parametrize("kind", ["acceptance", "non-acceptance", "envelope", "take-charge", "delivery-complete"])
def test_a_provider_answers_for_its_own_domains_only(kind: str) -> None:
    folder = next(each for each in cases(kind) if each.name == FIRST_CASE.get(kind, "plain"))
    domain = facts_of(folder)["service_address"].partition("@")[2]
    stranger = "alfa.example" if domain != "alfa.example" else "beta.example"
    unsealed = built(folder)
    headers = unsealed.headers.replace(f"posta-certificata@{domain}".encode(), f"posta-certificata@{stranger}".encode())
    judgement = judged(sealed(replace(unsealed, headers=headers), stranger))
    assert failed(judgement) == {"sender-domain"}


def enclosures(judgement: Judgement) -> Check:
    (check,) = (check for check in judgement.checks if check.name is CheckName.ENCLOSURES)
    return check


@pytest.mark.parametrize("case", ["one-file", "with-files", "attached-mail", "signed-original", "odd-names"])
def test_the_hashes_of_a_brief_receipt_are_those_of_the_message_kept(case: str) -> None:
    sent = next(each for each in cases("delivery-brief") if each.name == case) / "original.eml"
    judgement = judged(golden("delivery-brief", case), original=sent.read_bytes().replace(b"\r\n", b"\n"))
    assert judgement.verdict is Verdict.VALID
    assert "matches the encoded part" in enclosures(judgement).detail


def test_another_message_than_the_one_kept_is_found() -> None:
    sent = next(each for each in cases("delivery-brief") if each.name == "one-file") / "original.eml"
    data = sent.read_bytes()
    body = data.index(b"\r\n\r\n", data.index(b"name=")) + 4
    other = data[:body] + (b"A" if data[body : body + 1] != b"A" else b"B") + data[body + 1 :]
    judgement = judged(golden("delivery-brief", "one-file"), original=other)
    assert (judgement.verdict, failed(judgement)) == (Verdict.INVALID, {"enclosures"})
    assert Match.DIFFERENT in enclosures(judgement).detail
    missing = judged(golden("delivery-brief", "one-file"), original=b"Subject: A\r\n\r\nCiao.\r\n")
    assert Match.MISSING in enclosures(missing).detail


def test_hashes_of_the_decoded_file_match_too() -> None:
    sent = b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n'
    stated = hashlib.sha1(b"%PDF").hexdigest().upper().encode()
    copy = b'Content-Type: text/plain; name="a.pdf.hash"\r\n\r\n' + stated + b"\r\n"
    assert compare_hashes(Octets.of(copy), Octets.of(sent)) == (Enclosure("a.pdf", Match.DECODED),)


def test_files_sent_as_8_bit_are_encoded_before_they_are_compared() -> None:
    sent = Octets.of('Content-Type: text/plain; charset=utf-8; name="è.txt"\r\n\r\ncittà\r\n'.encode())
    seven_bit = as_seven_bit(sent, scan(sent))
    copy = brief_copy(seven_bit, scan(seven_bit))
    assert [each.match for each in compare_hashes(copy, sent)] == [Match.ENCODED]


def test_without_a_copy_there_is_nothing_to_compare() -> None:
    judgement = judged(golden("acceptance"), original=b"Subject: A\r\n\r\nCiao.\r\n")
    assert judgement.verdict is Verdict.VALID
    assert "nothing to compare" in enclosures(judgement).detail


def inside(message: bytes) -> bytes:
    """The original in a certified message."""
    octets = Octets.of(message)
    part = recognise(octets, scan(octets)).original
    assert part is not None
    return octets.read(part.body_start, part.stop)


def as_kept(travelled: bytes) -> bytes:
    """What the sender has of a message: without our Received and under the client's own identifier."""
    header, _, body = travelled.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    mine = [field for field in fields if not field.lower().startswith((b"received:", b"message-id:", b"x-riferimento"))]
    return b"\r\n".join([*mine, b"Message-ID: <17@client.example>"]) + b"\r\n\r\n" + body


WHOLE = [
    ("delivery-complete", "plain"),
    ("envelope", "plain"),
    ("delivery-brief", "plain"),
    ("delivery-brief", "opaque-original"),
    ("delivery-brief", "encrypted-original"),
]


@pytest.mark.parametrize(("kind", "case"), WHOLE)
def test_a_whole_copy_is_the_message_kept(kind: str, case: str) -> None:
    receipt = golden(kind, case)
    copy = inside(receipt)
    for kept in (
        copy,
        as_kept(copy),
        as_kept(copy).replace(b"\r\n", b"\n"),
        b"X-Mozilla-Status: 0001\r\n" + as_kept(copy),
    ):
        judgement = judged(receipt, original=kept)
        assert judgement.verdict is Verdict.VALID, enclosures(judgement).detail
        assert "is this message, byte for byte, but for its identifiers" in enclosures(judgement).detail


@pytest.mark.parametrize(("kind", "case"), WHOLE)
def test_another_message_is_not_the_one_in_a_whole_copy(kind: str, case: str) -> None:
    receipt = golden(kind, case)
    kept = as_kept(inside(receipt))
    other = judged(receipt, original=kept.rstrip() + b"x\r\n")
    assert failed(other) == {"enclosures"}
    assert "its body differs" in enclosures(other).detail
    renamed = judged(receipt, original=kept.replace(b"Subject: ", b"Subject: Re: ", 1))
    assert failed(renamed) == {"enclosures"}
    assert "other header fields: subject" in enclosures(renamed).detail


def test_what_was_sent_as_8_bit_is_the_message_in_the_copy_all_the_same() -> None:
    sent = Octets.of("Subject: A\r\n\r\nla citt\u00e0\r\n".encode())
    assert likeness(as_seven_bit(sent, scan(sent)), sent) is Likeness.SEVEN_BIT
    assert differing_fields(as_seven_bit(sent, scan(sent)), sent) == []


def test_files_called_like_hash_files_make_no_brief_receipt_of_a_whole_copy() -> None:
    """A holder may send on what he got: forty digits in a file called so."""
    folder = next(each for each in cases("delivery-complete") if each.name == "plain")
    unsealed = built(folder)
    copy = inside(golden("delivery-complete"))
    header = copy.partition(b"\r\n\r\n")[0]
    named = header + b'\r\nContent-Type: text/plain; name="a.pdf.hash"\r\n\r\n' + b"0" * 40 + b"\r\n"
    content = Octets.of(unsealed.content.read().replace(copy, named))
    receipt = sealed(replace(unsealed, content=content), "beta.example")
    assert judged(receipt, original=as_kept(named)).verdict is Verdict.VALID


def test_a_non_delivery_notice_comes_from_either_side() -> None:
    folder = next(each for each in cases("non-delivery") if each.name == "unknown-mailbox")
    unsealed, service = built(folder), facts_of(folder)["service_address"].encode()
    for domain, good in (("alfa.example", True), ("beta.example", True)):
        headers = unsealed.headers.replace(service, f"posta-certificata@{domain}".encode())
        assert (judged(sealed(replace(unsealed, headers=headers), domain)).verdict is Verdict.VALID) == good
