"""Lists and answers about revoked certificates: believed only from those who may say so."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.lab.authority import Authority, Issued
from providers.revocation import (
    Answer,
    Means,
    RevocationRefused,
    Source,
    Subject,
    Word,
    answer_of,
    ocsp_request,
    sources_of,
)
from providers.standing import Standing, Standings, Status, standing_of, worst
from tests.providers.authorities import ALFA, ALFA_ADDRESS, AT, Network, rsa_key

CRL, OCSP = "http://ca.example/email.crl", "http://ocsp.example/"
DAY = timedelta(days=1)


def subject(net: Network) -> Subject:
    return Subject(net.alfa.der, net.authority.email_ca.der)


def listed(net: Network, data: bytes, at: datetime = AT) -> Answer:
    return answer_of(Means.CRL, data, subject(net), at)


def certificate(net: Network, **sources: str) -> Issued:
    return net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=rsa_key(0), **sources)  # type: ignore[arg-type]


def test_a_certificate_says_where_to_ask(net: Network) -> None:
    found = sources_of(certificate(net, crl_url=CRL, ocsp_url=OCSP).der)
    assert found == (Source(Means.OCSP, OCSP), Source(Means.CRL, CRL))
    assert sources_of(net.alfa.der) == ()
    for url in ("ldap://ca.example/", "file:///etc/passwd", "http://" + "a" * 2_000):
        assert sources_of(certificate(net, crl_url=url).der) == ()


def test_a_list_says_who_was_taken_back_and_when(net: Network) -> None:
    assert listed(net, net.authority.revocation_list([], AT)) == Answer(Word.GOOD, AT, AT + DAY)
    assert listed(net, net.authority.revocation_list([net.beta], AT)).word is Word.GOOD
    assert listed(net, net.authority.revocation_list([net.alfa], AT)) == Answer(Word.REVOKED, AT, AT + DAY, AT)
    pem = x509.load_der_x509_crl(net.authority.revocation_list([net.alfa], AT)).public_bytes(Encoding.PEM)
    assert listed(net, pem).word is Word.REVOKED


def _builder(net: Network) -> x509.CertificateRevocationListBuilder:
    builder = x509.CertificateRevocationListBuilder().issuer_name(net.authority.email_ca.certificate.subject)
    return builder.last_update(AT).next_update(AT + DAY)


def _signed(net: Network, extension: x509.ExtensionType, *, critical: bool = True) -> bytes:
    builder = _builder(net).add_extension(extension, critical=critical)
    return builder.sign(net.authority.email_ca.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _point(**of: bool | None) -> x509.IssuingDistributionPoint:
    plain: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(plain | of))  # type: ignore[arg-type]


def test_what_says_nothing_about_this_certificate_is_not_believed(net: Network) -> None:
    stranger = Authority.create([(ALFA, "alfa.example")], AT)
    good = net.authority.revocation_list([], AT)
    of_the_root = net.authority.revocation_list([], AT, issuer=net.authority.root)
    same_name = stranger.revocation_list([], AT)
    bad = {
        "nothing": b"",
        "no list": b"<html>",
        "cut": good[:-1],
        "changed": good[:-10] + bytes([good[-10] ^ 1]) + good[-9:],
        "of another issuer": of_the_root,
        "of a namesake": same_name,
        "of tomorrow": net.authority.revocation_list([], AT + DAY),
        "of changes": _signed(net, x509.DeltaCRLIndicator(1)),
        "of authorities": _signed(net, _point(only_contains_ca_certs=True)),
        "of others": _signed(net, _point(indirect_crl=True)),
        "of attributes": _signed(net, _point(only_contains_attribute_certs=True)),
        "critical": _signed(net, x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),
    }
    for name, data in bad.items():
        with pytest.raises(RevocationRefused):
            pytest.fail(f"{name}: {listed(net, data)}")
    assert listed(net, _signed(net, _point(only_contains_user_certs=True))).word is Word.GOOD


def answered(
    net: Network,
    issued: Issued,
    *,
    by: Issued | None = None,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    at: datetime = AT,
) -> bytes:
    by = by or net.authority.email_ca
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=issued.certificate,
        issuer=net.authority.email_ca.certificate,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=at,
        next_update=at + timedelta(hours=1),
        revocation_time=at if status is ocsp.OCSPCertStatus.REVOKED else None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate)
    if by is not net.authority.email_ca:
        builder = builder.certificates([by.certificate])
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_an_answer_of_the_issuer_or_its_responder_is_believed(net: Network) -> None:
    for by in (None, net.authority.responder()):
        for status, word in (
            (ocsp.OCSPCertStatus.GOOD, Word.GOOD),
            (ocsp.OCSPCertStatus.REVOKED, Word.REVOKED),
            (ocsp.OCSPCertStatus.UNKNOWN, Word.UNKNOWN),
        ):
            answer = answer_of(Means.OCSP, answered(net, net.alfa, by=by, status=status), subject(net), AT)
            assert answer.word is word
            assert answer.until == AT + timedelta(hours=1)


def test_an_answer_of_anybody_else_is_not(net: Network) -> None:
    stranger = Authority.create([(ALFA, "alfa.example")], AT)
    unsuccessful = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    bad = {
        "nothing": b"",
        "no answer": b"<html>",
        "of a stranger": answered(net, net.alfa, by=stranger.responder()),
        "of another provider": answered(net, net.alfa, by=net.beta),
        "about another certificate": answered(net, net.beta),
        "of tomorrow": answered(net, net.alfa, at=AT + DAY),
        "not now": unsuccessful.public_bytes(Encoding.DER),
    }
    for name, data in bad.items():
        with pytest.raises(RevocationRefused):
            pytest.fail(f"{name}: {answer_of(Means.OCSP, data, subject(net), AT)}")
    late = AT + timedelta(days=900)  # the responder's own certificate has ended
    with pytest.raises(RevocationRefused):
        answer_of(Means.OCSP, answered(net, net.alfa, by=net.authority.responder()), subject(net), late)


@pytest.mark.parametrize("revoked", [False, True])
def test_the_responder_of_openssl_understands_us_and_we_it(tmp_path: Path, revoked: bool) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    authority = Authority.create([(ALFA, "alfa.example")], now)
    issued = authority.provider_certificate(ALFA, ALFA_ADDRESS, key=rsa_key(0))
    responder = authority.responder()
    end = issued.certificate.not_valid_after_utc.strftime("%y%m%d%H%M%SZ")
    state = f"R\t{end}\t{now:%y%m%d%H%M%SZ}" if revoked else f"V\t{end}\t"
    (tmp_path / "index.txt").write_text(
        f"{state}\t{issued.certificate.serial_number:X}\tunknown\t/CN=x\n".replace("\tX", "\t")
    )
    serial = f"{issued.certificate.serial_number:X}"
    serial = serial if len(serial) % 2 == 0 else f"0{serial}"
    (tmp_path / "index.txt").write_text(f"{state}\t{serial}\tunknown\t/CN=x\n")
    files = {"ca": authority.email_ca.pem, "rsigner": responder.pem, "rkey": responder.key_pem}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    about = Subject(issued.der, authority.email_ca.der)
    (tmp_path / "question").write_bytes(ocsp_request(about))
    command = ["openssl", "ocsp", "-index", "index.txt", "-CA", "ca", "-rsigner", "rsigner", "-rkey", "rkey"]
    command += ["-reqin", "question", "-respout", "answer", "-ndays", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    answer = answer_of(Means.OCSP, (tmp_path / "answer").read_bytes(), about, datetime.now(UTC))
    assert answer.word is (Word.REVOKED if revoked else Word.GOOD)


def test_openssl_reads_our_lists(tmp_path: Path, net: Network) -> None:
    (tmp_path / "crl").write_bytes(net.authority.revocation_list([net.alfa], AT))
    done = subprocess.run(
        ["openssl", "crl", "-inform", "DER", "-in", "crl", "-noout", "-text"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert f"{net.alfa.certificate.serial_number:X}" in done.stdout.replace(":", "")


GOOD = Answer(Word.GOOD, AT, AT + DAY)
GONE = Answer(Word.REVOKED, AT, AT + DAY, AT - DAY)
UNSURE = Answer(Word.UNKNOWN, AT, AT + DAY)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([], Status.UNSTATED),
        ([None], Status.UNKNOWN),
        ([UNSURE], Status.UNKNOWN),
        ([GOOD], Status.GOOD),
        ([None, GOOD], Status.GOOD),
        ([UNSURE, GOOD], Status.GOOD),
        ([GOOD, GONE], Status.REVOKED),
        ([None, GONE], Status.REVOKED),
    ],
)
def test_what_several_sources_say_together(answers: list[Answer | None], status: Status) -> None:
    assert standing_of(answers).status is status


def test_good_is_good_until_the_next_word_is_due_and_revoked_is_for_ever() -> None:
    good, gone = standing_of([GOOD]), standing_of([GONE])
    assert good.at(AT + DAY) is Status.GOOD
    assert good.at(AT + 2 * DAY) is Status.UNKNOWN
    assert standing_of([replace(GOOD, until=None)]).at(AT + timedelta(hours=23)) is Status.GOOD
    assert standing_of([replace(GOOD, until=None)]).at(AT + timedelta(hours=25)) is Status.UNKNOWN
    assert gone.at(AT + 900 * DAY) is Status.REVOKED
    assert gone.at(AT - 2 * DAY) is Status.GOOD


def test_a_certificate_stands_no_better_than_those_above_it() -> None:
    good, gone, unsure, none = (standing_of(each) for each in ([GOOD], [GONE], [None], []))
    assert worst([good, none]) == good
    assert worst([none, none]).status is Status.UNSTATED
    assert worst([good, unsure]).status is Status.UNKNOWN
    assert worst([unsure, gone]).status is Status.REVOKED
    assert worst([]).status is Status.UNSTATED
    assert Standings({"a": good}).of("b") == Standing(Status.UNKNOWN)
