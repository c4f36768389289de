"""``ceralacca key``: keys for their owner alone, requests per profile, and what a certificate lacks."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.drivers.keyfiles import KeyKind, key_pem, load_key, write_secret
from gateway.lab.authority import Authority
from tests.providers.authorities import ALFA, ALFA_ADDRESS, AT, openssl, rsa_key


def ceralacca(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["key", *map(str, arguments)], input=stdin)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "signing.key.pem"
    write_secret(file, key_pem(rsa_key()))
    return file


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "rsa-2048"])
def test_a_new_key_is_for_its_owner_alone(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "key.pem"
    result = ceralacca("new", "--out", out, "--type", kind)
    assert result.exit_code == 0, result.output
    assert out.stat().st_mode & 0o777 == 0o600
    assert str(load_key(out)[0].key_size) in KeyKind(kind)
    assert "PRIVATE" not in result.output


def test_a_key_is_never_overwritten(key: Path) -> None:
    before = key.read_bytes()
    result = ceralacca("new", "--out", key, "--type", "ec-p256")
    assert result.exit_code == 2
    assert "exists" in result.output
    assert key.read_bytes() == before


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_key_may_have_a_password(tmp_path: Path, source: str) -> None:
    out, secret = tmp_path / "key.pem", tmp_path / "password"
    secret.write_text("segreto\n")
    given = secret if source == "file" else "-"
    result = ceralacca("new", "-o", out, "--type", "ec-p256", "--password-file", given, stdin="segreto\n")
    assert result.exit_code == 0
    assert b"ENCRYPTED" in out.read_bytes()
    assert load_key(out, b"segreto")
    assert "segreto" not in result.output


@pytest.mark.parametrize("password", ["", "\n"])
def test_an_empty_password_is_refused(tmp_path: Path, password: str) -> None:
    result = ceralacca("new", "-o", tmp_path / "key.pem", "--password-file", "-", stdin=password)
    assert result.exit_code == 2
    assert not (tmp_path / "key.pem").exists()


@pytest.mark.req("CRT-01", "CRT-02")
def test_a_request_asks_for_what_the_profile_wants(key: Path, tmp_path: Path) -> None:
    out = tmp_path / "request.pem"
    result = ceralacca("csr", "--key", key, "--name", "Alfa PEC S.p.A.", "--address", ALFA_ADDRESS, "--out", out)
    assert result.exit_code == 0, result.output
    request = x509.load_pem_x509_csr(out.read_bytes())
    assert request.is_signature_valid
    held = {attribute.oid: attribute.value for attribute in request.subject}
    assert held == {
        NameOID.COUNTRY_NAME: "IT",
        NameOID.ORGANIZATION_NAME: "Alfa PEC S.p.A.",
        NameOID.COMMON_NAME: "Posta Certificata",
    }
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.RFC822Name) == [ALFA_ADDRESS]
    assert not names.critical
    usage = request.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert (
        ExtendedKeyUsageOID.EMAIL_PROTECTION in request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    )
    assert openssl("req", "-verify", "-noout", "-in", out).returncode == 0


def test_a_request_goes_to_stdout_without_a_file(key: Path) -> None:
    result = ceralacca("csr", "--key", key, "--name", "Alfa", "--address", ALFA_ADDRESS)
    assert x509.load_pem_x509_csr(result.stdout.encode()).is_signature_valid


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [("--address", "nobody", "no mail address"), ("--country", "Italy", "two letters"), ("--name", "", "1 to 64")],
)
def test_a_request_for_nonsense_is_refused(key: Path, name: str, value: str, why: str) -> None:
    given = {"--key": str(key), "--name": "Alfa", "--address": ALFA_ADDRESS} | {name: value}
    result = ceralacca("csr", *(each for pair in given.items() for each in pair))
    assert result.exit_code == 2
    assert why.lower() in result.output.lower()


def test_a_key_that_others_can_read_is_refused(key: Path) -> None:
    key.chmod(0o644)
    result = ceralacca("csr", "--key", key, "--name", "Alfa", "--address", ALFA_ADDRESS)
    assert result.exit_code == 2
    assert "open to others" in result.output


def test_a_good_certificate_lacks_nothing(key: Path, tmp_path: Path) -> None:
    issued = Authority.create([(ALFA, "alfa.example")], AT).provider_certificate(ALFA, ALFA_ADDRESS, key=rsa_key())
    certificate = tmp_path / "cert.pem"
    certificate.write_bytes(issued.pem)
    result = ceralacca("check", certificate, "--key", key, "--name", ALFA, "--address", ALFA_ADDRESS)
    assert result.exit_code == 0, result.output
    assert "it meets the profile" in result.output


def test_a_certificate_that_lacks_something_says_what(key: Path, tmp_path: Path) -> None:
    issued = Authority.create([], AT).tls_certificate()
    certificate = tmp_path / "cert.pem"
    certificate.write_bytes(issued.pem)
    result = ceralacca("check", certificate, "--key", key, "--name", ALFA, "--address", ALFA_ADDRESS)
    assert result.exit_code == 1
    for fault in (
        "neither common name nor organisation is the provider's name",
        "the alternative name holds no mail address",
        "the extended key usage leaves out e-mail protection",
        "it is not over the key",
    ):
        assert fault in result.output


def test_what_is_no_certificate_is_refused(key: Path, tmp_path: Path) -> None:
    assert ceralacca("check", key).exit_code == 2
    assert ceralacca("check", tmp_path / "none.pem").exit_code == 2
