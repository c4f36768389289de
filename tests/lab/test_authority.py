import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from gateway.lab.authority import Authority, Issued
from tests.providers.authorities import ALFA, ALFA_ADDRESS, AT, Network, openssl, rsa_key


def openssl_accepts(issued: Issued, authority: Authority, directory: Path, purpose: str = "smimesign") -> bool:
    (directory / "root.pem").write_bytes(authority.root_pem)
    (directory / "chain.pem").write_bytes(issued.chain_pem or authority.root_pem)
    (directory / "leaf.pem").write_bytes(issued.pem)
    done = openssl(
        *("verify", "-x509_strict", "-purpose", purpose, "-attime", str(int(AT.timestamp()))),
        *("-CAfile", directory / "root.pem", "-untrusted", directory / "chain.pem", directory / "leaf.pem"),
        check=False,
    )
    return done.returncode == 0


def test_a_provider_certificate_meets_the_profile(net: Network, tmp_path: Path) -> None:
    assert openssl_accepts(net.alfa, net.authority, tmp_path)
    extensions = {each.oid: each for each in net.alfa.certificate.extensions}
    assert ExtensionOID.BASIC_CONSTRAINTS not in extensions
    critical = {oid for oid, each in extensions.items() if each.critical}
    assert critical == {ExtensionOID.KEY_USAGE}
    assert net.alfa.signer().address == ALFA_ADDRESS


@pytest.mark.parametrize(
    ("name", "address"),
    [(ALFA, "posta-certificata@gamma.example"), ("Gamma PEC", ALFA_ADDRESS)],
    ids=["mail", "name"],
)
def test_the_email_ca_certifies_its_providers_only(net: Network, tmp_path: Path, name: str, address: str) -> None:
    assert not openssl_accepts(
        net.authority.provider_certificate(name, address, key=rsa_key()), net.authority, tmp_path
    )


def test_name_constraints_are_critical_and_of_both_kinds(net: Network) -> None:
    found = net.authority.email_ca.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    assert {type(each) for each in found.value.permitted_subtrees or ()} == {x509.RFC822Name, x509.DirectoryName}


def test_a_provider_more_keeps_what_was_issued(tmp_path: Path) -> None:
    authority = Authority.create([(ALFA, "alfa.example")], AT)
    issued = authority.provider_certificate(ALFA, ALFA_ADDRESS, key=rsa_key())
    authority.permit([(ALFA, "alfa.example"), ("Gamma PEC", "gamma.example")])
    gamma = authority.provider_certificate("Gamma PEC", "posta-certificata@gamma.example", key=rsa_key())
    renewed = Issued(issued.key, issued.certificate, (authority.email_ca.certificate,))
    assert openssl_accepts(renewed, authority, tmp_path)
    assert openssl_accepts(gamma, authority, tmp_path)


def test_an_authority_is_the_same_after_load(tmp_path: Path) -> None:
    authority = Authority.create([(ALFA, "alfa.example")], AT)
    authority.save(tmp_path / "ca")
    authority.save(tmp_path / "ca")
    loaded = Authority.load(tmp_path / "ca", AT)
    assert loaded.email_ca_pem == authority.email_ca_pem
    assert (tmp_path / "ca" / "root.key.pem").stat().st_mode & 0o777 == 0o600
    issued = loaded.provider_certificate(ALFA, ALFA_ADDRESS, key=rsa_key())
    assert openssl_accepts(issued, authority, tmp_path)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_tls_certificate_is_good_for_loopback(name: str, tmp_path: Path) -> None:
    authority = Authority.create([], datetime.now(UTC))
    issued = authority.tls_certificate()
    (tmp_path / "tls.pem").write_bytes(issued.pem + issued.key_pem)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "tls.pem")
    client_context = ssl.create_default_context(cadata=authority.root_pem.decode())
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.getpeercert()
