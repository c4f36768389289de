import base64
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.drivers.keyfiles import KeyKind, new_key
from gateway.lab.authority import Authority, Issued
from providers.chains import ChainCache, Trust
from providers.checks import CheckName
from providers.der import children, element
from providers.directory import Directory, read_directory, write_ldif
from providers.sealing import seal
from providers.verification import SignatureVerdict, verify_signature
from receipts.octets import InMemory, Octets
from receipts.scanner import scan
from tests.providers.authorities import (
    ALFA,
    ALFA_ADDRESS,
    AT,
    BETA,
    Network,
    directory,
    openssl,
    records,
    rsa_key,
    trust,
    unsealed,
    write_keys,
)

BOUNDARY = "sg" + "0123456789abcdef" * 2
CONTENT = unsealed().content.read()


def verify(message: bytes, net: Network, **changes: object) -> SignatureVerdict:
    octets = Octets.of(message)
    arguments = {"trust": trust(net), "directory": directory(net), "at": AT, "cache": None} | changes
    return verify_signature(octets, scan(octets), **arguments)  # type: ignore[arg-type]


def failed(verdict: SignatureVerdict) -> set[str]:
    return {check.name.value for check in verdict.checks if check.ok is False}


def undone(verdict: SignatureVerdict) -> set[str]:
    return {check.name.value for check in verdict.checks if check.ok is None}


def sealed(issued: Issued, sender: str = ALFA_ADDRESS) -> bytes:
    return seal(unsealed(sender=sender), issued.signer(), at=AT, boundary=BOUNDARY).read()


def enveloped(signature: bytes, subtype: str = "pkcs7-signature", content: bytes = CONTENT) -> bytes:
    """A multipart/signed around a signature that something else made."""
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol="application/{subtype}"; boundary="b"\r\n'
    text = base64.encodebytes(signature).replace(b"\n", b"\r\n")
    return (
        unsealed().headers
        + head.encode()
        + b"\r\npreamble\r\n--b\r\n"
        + content
        + f"\r\n--b\r\nContent-Type: application/{subtype}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
        + text
        + b"\r\n--b--\r\nepilogue\r\n"
    )


def openssl_signs(directory: Path, issued: Issued, *options: str, content: bytes = CONTENT) -> bytes:
    key, certificate, chain = write_keys(directory, issued)
    return openssl(
        *("cms", "-sign", "-binary", "-outform", "DER", "-signer", certificate, "-inkey", key, "-certfile", chain),
        *options,
        data=content,
    ).stdout


def indefinite(der: bytes, start: int = 0, depth: int = 3) -> bytes:
    """The same elements with indefinite length, as deep as asked."""
    tag, body, end = element(der, start, len(der))
    inner = (
        b"".join(indefinite(der, at, depth - 1) for _, at, _, _ in children(der, body, end))
        if depth and tag & 0x20
        else None
    )
    return der[start:end] if inner is None else bytes((tag, 0x80)) + inner + b"\0\0"


def with_index(net: Network, issued: Issued) -> Directory:
    """The index with another certificate for Alfa."""
    alfa, beta = records(net)
    return read_directory(write_ldif([replace(alfa, certificates=(issued.der,)), beta]))


@pytest.mark.req("IP-01", "IP-02", "IP-03")
def test_what_we_seal_is_proven_by_every_check(net: Network) -> None:
    verdict = verify(sealed(net.alfa), net)
    assert verdict.ok
    assert verdict.proven
    assert verdict.provider == records(net)[0]
    assert verdict.signer is not None
    assert verdict.signer.email == ALFA_ADDRESS
    assert verdict.signing_time == AT
    assert verdict.content_sha256 == unsealed().content.sha256()
    assert [check.name for check in verdict.checks] == list(CheckName)[:9]


@pytest.mark.req("SIG-05", "SIG-06", "SIG-07")
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-stream",),
        ("-stream", "-md", "sha1"),
        ("-md", "sha1"),
        ("-md", "sha384"),
        ("-md", "sha512", "-stream"),
        ("-cades",),
        ("-cades", "-md", "sha1"),
        ("-keyid",),
        ("-nosmimecap",),
        ("-noattr",),
        ("-keyopt", "rsa_padding_mode:pss"),
        ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:17", "-keyopt", "rsa_mgf1_md:sha512"),
        ("-keyopt", "rsa_padding_mode:pss", "-md", "sha1"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("subtype", ["pkcs7-signature", "x-pkcs7-signature"])
def test_signatures_made_by_openssl_are_verified(
    net: Network, tmp_path: Path, options: tuple[str, ...], subtype: str
) -> None:
    signature = openssl_signs(tmp_path, net.alfa, *options)
    assert (signature[1:2] == b"\x80") == ("-stream" in options)
    assert verify(enveloped(signature, subtype), net).ok
    changed = enveloped(signature, subtype, CONTENT.replace(b"Ciao", b"ciao"))
    assert failed(verify(changed, net)) == {"signature"} if "-noattr" in options else {"digest"}


@pytest.mark.req("SIG-07")
@pytest.mark.parametrize("depth", [1, 4, 9])
def test_detached_signatures_of_indefinite_length_are_verified(net: Network, tmp_path: Path, depth: int) -> None:
    signature = openssl_signs(tmp_path, net.alfa)
    assert verify(enveloped(indefinite(signature, depth=depth)), net).ok
    assert not verify(enveloped(indefinite(signature, depth=depth)[:-1]), net).proven


@pytest.mark.parametrize("kind", [KeyKind.EC_P256, KeyKind.EC_P384])
@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384"])
def test_elliptic_signatures_made_by_openssl_are_verified(
    net: Network, tmp_path: Path, kind: KeyKind, digest: str
) -> None:
    issued = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=new_key(kind))
    signature = openssl_signs(tmp_path, issued, "-md", digest)
    assert verify(enveloped(signature), net, directory=with_index(net, issued)).ok


def test_a_change_of_the_signed_part_fails_the_digest_alone(net: Network) -> None:
    verdict = verify(sealed(net.alfa).replace(b"Ciao", b"ciao"), net)
    assert failed(verdict) == {"digest"}
    assert not verdict.proven


@pytest.mark.req("IP-02")
def test_a_certificate_that_is_not_in_the_index_proves_nothing(net: Network) -> None:
    renewed = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=rsa_key(0))
    verdict = verify(sealed(renewed), net)
    assert failed(verdict) == {"index"}
    assert undone(verdict) == {"from-domain"}
    assert not verdict.proven
    assert verdict.provider is None


@pytest.mark.req("IP-03")
def test_the_chain_must_reach_a_trusted_authority(net: Network) -> None:
    other = Authority.create([(ALFA, "alfa.example")], AT)
    verdict = verify(sealed(net.alfa), net, trust=Trust((other.root.der,)))
    assert failed(verdict) == {"chain"}
    assert not verdict.proven


def test_an_authority_that_is_trusted_need_not_be_a_root(net: Network) -> None:
    assert verify(sealed(net.alfa), net, trust=Trust((net.authority.email_ca.der,))).ok


def test_the_issuing_authority_may_be_missing_when_it_is_trusted(net: Network) -> None:
    bare = Issued(net.alfa.key, net.alfa.certificate)
    both = Trust((net.authority.root.der, net.authority.email_ca.der))
    assert verify(sealed(bare), net, trust=both).ok
    assert failed(verify(sealed(bare), net)) == {"chain"}


@pytest.mark.parametrize(
    ("name", "address"),
    [(ALFA, "posta-certificata@gamma.example"), ("Gamma PEC", ALFA_ADDRESS), (BETA, "posta-certificata@beta.example")],
    ids=["mail", "name", "right"],
)
def test_name_constraints_of_the_authority_hold(net: Network, name: str, address: str) -> None:
    issued = net.authority.provider_certificate(name, address, key=rsa_key(0))
    verdict = verify(sealed(issued, address), net, directory=with_index(net, issued))
    assert ("chain" in failed(verdict)) == (name != BETA)


@pytest.mark.req("CRT-03")
@pytest.mark.parametrize(
    ("usages", "digital_signature", "good"),
    [
        (None, True, True),
        ((ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH), True, True),
        ((ExtendedKeyUsageOID.CLIENT_AUTH,), True, False),
        ((ExtendedKeyUsageOID.EMAIL_PROTECTION,), False, False),
    ],
    ids=["no EKU", "EKU with mail", "wrong EKU", "no digital signature"],
)
def test_the_certificate_must_be_for_signing_mail(
    net: Network, usages: tuple[object, ...] | None, digital_signature: bool, good: bool
) -> None:
    issued = net.authority.provider_certificate(
        ALFA,
        ALFA_ADDRESS,
        key=rsa_key(0),
        usages=usages,  # type: ignore[arg-type]
        digital_signature=digital_signature,
    )
    verdict = verify(sealed(issued), net, directory=with_index(net, issued))
    assert failed(verdict) == (set() if good else {"key-usage"})
    assert verdict.proven == good


@pytest.mark.req("IP-03")
@pytest.mark.parametrize("shift", [timedelta(days=-2), timedelta(days=900)], ids=["before", "after"])
def test_validity_is_judged_at_the_given_time(net: Network, shift: timedelta) -> None:
    verdict = verify(sealed(net.alfa), net, at=AT + shift)
    assert failed(verdict) == {"chain", "validity"}
    assert not verdict.proven


def test_without_a_time_the_signer_s_own_is_taken(net: Network) -> None:
    verdict = verify(sealed(net.alfa), net, at=None)
    assert verdict.at == AT
    assert verdict.ok


def test_what_cannot_be_looked_up_is_left_open(net: Network) -> None:
    verdict = verify(sealed(net.alfa), net, trust=None, directory=None)
    assert undone(verdict) == {"chain", "index", "from-domain"}
    assert failed(verdict) == set()
    assert not verdict.proven
    assert not verdict.ok


@pytest.mark.req("SIG-04")
@pytest.mark.parametrize(
    ("before", "after", "good"),
    [
        (b"From: posta-certificata@alfa.example", b"From: posta-certificata@beta.example", False),
        (b"From: posta-certificata@alfa.example", b"From: anna@alfa.example", False),
        (b"From: posta-certificata@alfa.example\r\n", b"", False),
        (b"From: posta-certificata@alfa.example", b"From: posta-certificata@alfa.example, anna@alfa.example", False),
        (b"To:", b"From: posta-certificata@alfa.example\r\nTo:", False),
        (b"From: posta-certificata@alfa.example", b'FROM: "A" <Posta-Certificata@ALFA.example>', True),
    ],
)
def test_from_must_stand_in_the_certificate(net: Network, before: bytes, after: bytes, good: bool) -> None:
    verdict = verify(sealed(net.alfa).replace(before, after, 1), net)
    assert ("email" not in failed(verdict)) == good
    assert verdict.proven


@pytest.mark.req("IP-05", "SEC-05")
def test_the_domain_of_from_must_be_managed_by_the_provider(net: Network) -> None:
    alfa, beta = records(net)
    index = read_directory(write_ldif([replace(alfa, managed_domains=frozenset({"other.example"})), beta]))
    assert failed(verify(sealed(net.alfa), net, directory=index)) == {"from-domain"}


@pytest.mark.req("IP-01")
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Subject: A\r\n\r\nCiao.\r\n",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        enveloped(b"x").replace(b"multipart/signed", b"multipart/mixed"),
        enveloped(b""),
        enveloped(b"0\x80"),
        enveloped(b"garbage"),
    ],
    ids=range(7),
)
def test_without_a_signature_nothing_is_checked(net: Network, message: bytes) -> None:
    verdict = verify(message, net)
    assert failed(verdict) == {"structure"}
    assert undone(verdict) == {each.value for each in list(CheckName)[1:9]}
    assert not verdict.proven


def test_content_inside_the_signature_is_not_taken_for_the_message(net: Network, tmp_path: Path) -> None:
    signature = openssl_signs(tmp_path, net.alfa, "-nodetach")
    assert verify(enveloped(signature), net).ok
    other = CONTENT.replace(b"Ciao", b"ciao")
    assert failed(verify(enveloped(signature, content=other), net)) == {"structure", "digest"}


def test_two_signatures_are_a_fault_of_form_and_still_prove_the_origin(net: Network, tmp_path: Path) -> None:
    first = tmp_path / "first.der"
    first.write_bytes(openssl_signs(tmp_path, net.beta))
    content = tmp_path / "content"
    content.write_bytes(CONTENT)
    key, certificate, chain = write_keys(tmp_path, net.alfa)
    both = openssl(
        *("cms", "-resign", "-inform", "DER", "-outform", "DER", "-in", first, "-binary"),
        *("-signer", certificate, "-inkey", key, "-certfile", chain),
    ).stdout
    verdict = verify(enveloped(both), net)
    assert "structure" in failed(verdict)
    assert verdict.proven


def test_a_signature_that_names_another_certificate_of_the_key_is_refused(net: Network, tmp_path: Path) -> None:
    """The attributes of CAdES bind the certificate, so that no other over the same key can be put in its place."""
    signature = openssl_signs(tmp_path, net.alfa, "-cades", "-keyid")
    again = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=net.alfa.key)
    for _ in range(5_000):  # serial and signature vary in length, and the swap has to keep every length
        if len(net.alfa.der) == len(again.der):
            break
        again = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=net.alfa.key)
    swapped = signature.replace(net.alfa.der, again.der)
    verdict = verify(enveloped(swapped), net, directory=with_index(net, again))
    assert failed(verdict) == {"signature"}


def test_the_signer_s_certificate_has_to_be_inside(net: Network, tmp_path: Path) -> None:
    signature = openssl_signs(tmp_path, net.alfa, "-nocerts")
    verdict = verify(enveloped(signature), net)
    assert failed(verdict) == {"signature"}
    assert not verdict.proven


def test_keys_of_1024_bits_are_read_as_the_rfc_s_own(net: Network, tmp_path: Path) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    issued = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=weak)
    assert verify(enveloped(openssl_signs(tmp_path, issued)), net, directory=with_index(net, issued)).ok


def test_a_good_chain_is_remembered_and_a_bad_one_is_not(net: Network) -> None:
    cache = ChainCache()
    bare = sealed(Issued(net.alfa.key, net.alfa.certificate))
    assert failed(verify(bare, net, cache=cache)) == {"chain"}
    assert verify(sealed(net.alfa), net, cache=cache).ok
    assert verify(bare, net, cache=cache).ok  # the same leaf at the same hour: its chain is proven
    assert failed(verify(bare, net, cache=cache, at=AT + timedelta(hours=2))) == {"chain"}
    other = Authority.create([(ALFA, "alfa.example")], AT)
    assert failed(verify(bare, net, cache=cache, trust=Trust((other.root.der,)))) == {"chain"}


def test_a_remembered_chain_ends_with_its_first_certificate(net: Network) -> None:
    end = AT + timedelta(minutes=10)
    issued = net.authority.provider_certificate(
        ALFA, ALFA_ADDRESS, key=rsa_key(0), lifetime=(AT - timedelta(days=1), end)
    )
    index, cache = with_index(net, issued), ChainCache()
    assert verify(sealed(issued), net, directory=index, cache=cache).ok
    late = verify(sealed(issued), net, directory=index, cache=cache, at=end + timedelta(seconds=1))
    assert failed(late) == {"chain", "validity"}


def test_content_kept_elsewhere_is_verified_in_pieces(net: Network) -> None:
    body = InMemory.of(b"".join(b"line %d\r\n" % number for number in range(100_000)))
    message = unsealed()
    content = Octets.of(message.content.read(0, 120), Octets.whole(body), b"\r\n--mx0--")
    octets = seal(replace(message, content=content), net.alfa.signer(), at=AT, boundary=BOUNDARY)
    assert verify_signature(octets, scan(octets), trust=trust(net), directory=directory(net), at=AT).ok
