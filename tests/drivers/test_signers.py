from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from gateway.drivers.keyfiles import KeyKind, key_pem, new_key, write_secret
from gateway.drivers.signers import KeyRefused, SoftwareSigner, load_signer
from gateway.lab.authority import Issued
from providers.sealing import seal
from receipts.errors import SigningUnavailable
from tests.providers.authorities import ALFA, ALFA_ADDRESS, AT, Network, openssl_verifies, unsealed, write_keys


def secret(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    file.chmod(0o600)
    return file


def pkcs12(issued: Issued, password: bytes | None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return serialize_key_and_certificates(b"a", issued.key, issued.certificate, issued.chain, encryption)


def test_pem_files_sign(net: Network, ca_file: Path, tmp_path: Path) -> None:
    signer = load_signer(*write_keys(tmp_path, net.alfa))
    assert signer.address == ALFA_ADDRESS
    assert signer.chain == net.alfa.signer().chain
    assert openssl_verifies(seal(unsealed(), signer, at=AT, boundary="sg1").read(), ca_file, "-cades")


@pytest.mark.parametrize("password", [None, b"segreto"])
def test_pkcs12_signs(net: Network, root_file: Path, tmp_path: Path, password: bytes | None) -> None:
    signer = load_signer(secret(tmp_path / "key.p12", pkcs12(net.alfa, password)), password=password)
    assert openssl_verifies(seal(unsealed(), signer, at=AT, boundary="sg1").read(), root_file)


def test_an_encrypted_pem_key_beside_its_certificates_signs(net: Network, tmp_path: Path) -> None:
    data = key_pem(net.alfa.key, b"segreto") + net.alfa.pem + net.alfa.chain_pem
    signer = load_signer(secret(tmp_path / "all.pem", data), password=b"segreto")
    assert (signer.certificate, signer.chain) == (net.alfa.der, net.alfa.signer().chain)


def test_roots_and_doubles_are_left_out_of_the_chain(net: Network) -> None:
    chain = (net.alfa.certificate, *net.alfa.chain, *net.alfa.chain, net.authority.root.certificate)
    assert SoftwareSigner(net.alfa.key, net.alfa.certificate, chain).chain == net.alfa.signer().chain


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o660, 0o666])
def test_a_key_open_to_others_is_refused(net: Network, tmp_path: Path, mode: int) -> None:
    files = write_keys(tmp_path, net.alfa)
    files[0].chmod(mode)
    with pytest.raises(KeyRefused, match="open to others"):
        load_signer(*files)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_a_key_for_owner_and_group_is_taken(net: Network, tmp_path: Path, mode: int) -> None:
    files = write_keys(tmp_path, net.alfa)
    files[0].chmod(mode)
    assert load_signer(*files).address == ALFA_ADDRESS


@pytest.mark.parametrize("password", [None, b"sbagliata"])
@pytest.mark.parametrize("form", ["pem", "pkcs12"])
def test_a_wrong_password_is_refused_without_saying_it(
    net: Network, tmp_path: Path, form: str, password: bytes | None
) -> None:
    data = pkcs12(net.alfa, b"segreto") if form == "pkcs12" else key_pem(net.alfa.key, b"segreto") + net.alfa.pem
    with pytest.raises(KeyRefused) as refused:
        load_signer(secret(tmp_path / "key", data), password=password)
    assert "segreto" not in str(refused.value)
    assert "sbagliata" not in str(refused.value)


def test_missing_files_and_garbage_are_refused(net: Network, tmp_path: Path) -> None:
    key, certificate, chain = write_keys(tmp_path, net.alfa)
    garbage = secret(tmp_path / "garbage", b"\x00garbage")
    for arguments in [
        (tmp_path / "none", certificate, chain),
        (key, tmp_path / "none", chain),
        (key, None, None),
        (garbage, certificate, chain),
        (key, garbage, chain),
        (key, certificate, garbage),
    ]:
        with pytest.raises(KeyRefused):
            load_signer(*arguments)


def test_a_certificate_over_another_key_is_refused(net: Network) -> None:
    with pytest.raises(KeyRefused, match="another key"):
        SoftwareSigner(net.beta.key, net.alfa.certificate, ())


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP521R1())],
    ids=["rsa-1024", "p-521"],
)
def test_keys_that_are_weak_or_unusual_are_refused(net: Network, key: rsa.RSAPrivateKey) -> None:
    issued = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=key)
    with pytest.raises(KeyRefused):
        issued.signer()


def test_an_edwards_key_is_refused(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(KeyRefused, match="neither"):
        load_signer(secret(tmp_path / "key.pem", data))


def test_a_certificate_without_address_is_refused(net: Network) -> None:
    issued = net.authority.tls_certificate()
    with pytest.raises(KeyRefused, match="no mail address"):
        issued.signer()


def test_a_key_file_is_for_its_owner_and_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    write_secret(file, b"one")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_secret(file, b"two")
    assert file.read_bytes() == b"one"


@pytest.mark.parametrize("kind", list(KeyKind))
def test_every_kind_of_key_is_what_it_says(kind: KeyKind) -> None:
    assert str(new_key(kind).key_size) == kind.value.removeprefix("rsa-").removeprefix("ec-p")


def test_a_key_that_fails_is_a_temporary_error(net: Network) -> None:
    signer = net.alfa.signer()
    signer._key = object()  # type: ignore[assignment]
    with pytest.raises(SigningUnavailable):
        signer.sign(b"x")


def test_the_certificate_type_is_what_the_library_reads(net: Network) -> None:
    assert x509.load_der_x509_certificate(net.alfa.signer().certificate) == net.alfa.certificate
