import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import tsp  # noqa: F401  # registers signing-certificate-v2

from gateway.drivers.keyfiles import KeyKind, new_key
from providers.sealing import seal, signed_data
from receipts.errors import SigningUnavailable
from receipts.octets import Octets, Span
from receipts.writer import Unsealed
from tests.providers.authorities import (
    ALFA,
    ALFA_ADDRESS,
    AT,
    BrokenSigner,
    Network,
    openssl,
    openssl_verifies,
    unsealed,
)

BOUNDARY = "sg" + "0123456789abcdef" * 2


def test_a_sealed_message_is_the_expected_frame_around_the_content(net: Network) -> None:
    message = unsealed()
    sealed = seal(message, net.alfa.signer(), at=AT, boundary=BOUNDARY).read()
    head, _, rest = sealed.partition(b"\r\n\r\n--" + BOUNDARY.encode() + b"\r\n")
    assert head == message.headers + (
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        b' micalg=sha-256; boundary="' + BOUNDARY.encode() + b'"'
    )
    content, _, tail = rest.partition(b"\r\n--" + BOUNDARY.encode() + b"\r\n")
    assert content == message.content.read()
    assert tail.startswith(
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n'
    )
    assert tail.endswith(b"\r\n--" + BOUNDARY.encode() + b"--\r\n")
    assert max(map(len, sealed.split(b"\r\n"))) <= 78


@pytest.mark.req("SIG-01", "SIG-05")
@pytest.mark.parametrize("options", [(), ("-cades",)], ids=["plain", "cades"])
def test_openssl_verifies_what_we_seal(net: Network, ca_file: Path, options: tuple[str, ...]) -> None:
    sealed = seal(unsealed(), net.alfa.signer(), at=AT, boundary=BOUNDARY).read()
    assert openssl_verifies(sealed, ca_file, *options)
    assert not openssl_verifies(sealed.replace(b"Ciao.", b"Ciao!"), ca_file, *options)


@pytest.mark.req("SIG-02")
def test_leaf_and_issuing_ca_are_inside(net: Network, root_file: Path) -> None:
    sealed = seal(unsealed(), net.alfa.signer(), at=AT, boundary=BOUNDARY).read()
    assert openssl_verifies(sealed, root_file)


@pytest.mark.parametrize("kind", [KeyKind.EC_P256, KeyKind.EC_P384, KeyKind.RSA_3072])
def test_openssl_verifies_every_kind_of_key(net: Network, ca_file: Path, kind: KeyKind) -> None:
    issued = net.authority.provider_certificate(ALFA, ALFA_ADDRESS, key=new_key(kind))
    assert openssl_verifies(seal(unsealed(), issued.signer(), at=AT, boundary=BOUNDARY).read(), ca_file, "-cades")


def test_the_signature_is_der_with_the_attributes_of_cades_bes(net: Network) -> None:
    digest = hashlib.sha256(b"x").digest()
    der = signed_data(net.alfa.signer(), digest, AT)
    info = asn1_cms.ContentInfo.load(der, strict=True)
    assert info.dump(force=True) == der
    data = info["content"]
    assert data["encap_content_info"]["content"].native is None
    (signer,) = data["signer_infos"]
    attributes = {each["type"].native: each["values"][0].native for each in signer["signed_attrs"]}
    assert attributes["content_type"] == "data"
    assert attributes["signing_time"] == AT
    assert attributes["message_digest"] == digest
    assert attributes["signing_certificate_v2"]["certs"][0]["cert_hash"] == hashlib.sha256(net.alfa.der).digest()
    assert attributes["cms_algorithm_protection"]["digest_algorithm"]["algorithm"] == "sha256"
    assert attributes["cms_algorithm_protection"]["signature_algorithm"]["algorithm"] == "sha256_rsa"
    assert signer["signature_algorithm"]["algorithm"].native == "sha256_rsa"
    assert [each.chosen.dump() for each in data["certificates"]] == sorted([net.alfa.der, *net.alfa.signer().chain])


@pytest.mark.parametrize("year", [2049, 2050])
def test_signing_time_is_utc_and_changes_form_in_2050(net: Network, year: int) -> None:
    at = datetime(year, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    der = signed_data(net.alfa.signer(), bytes(32), at)
    (signer,) = asn1_cms.ContentInfo.load(der)["content"]["signer_infos"]
    value = next(each["values"][0] for each in signer["signed_attrs"] if each["type"].native == "signing_time")
    assert value.native == datetime(year, 6, 30, 23, 30, tzinfo=UTC)
    assert value.name == ("utc_time" if year < 2050 else "generalized_time")


def test_content_inside_verifies_with_openssl(net: Network, ca_file: Path) -> None:
    content = b"dn: o=postacert\n" * 10_000
    der = signed_data(net.alfa.signer(), hashlib.sha256(content).digest(), AT, content=content)
    when = str(int(AT.timestamp()))
    done = openssl("cms", "-verify", "-inform", "DER", "-binary", "-CAfile", ca_file, "-attime", when, data=der)
    assert done.stdout == content


@dataclass(frozen=True)
class Counted:
    """Bytes that count how often they are read."""

    data: bytes
    sha256: bytes
    reads: list[tuple[int, int]]

    @property
    def size(self) -> int:
        return len(self.data)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        self.reads.append((start, stop))
        yield self.data[start:stop]


def test_content_is_read_once_and_its_spans_stay(net: Network) -> None:
    source = Counted(b"a" * 5000, b"", [])
    span = Span(source, 100, 4100)
    content = Octets.of(b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\n", span, b"\r\n--m--")
    sealed = seal(Unsealed(b"Subject: A\r\n", content), net.alfa.signer(), at=AT, boundary=BOUNDARY)
    assert source.reads == [(100, 4100)]
    assert span in sealed.parts


@pytest.mark.parametrize("cut", [0, 1, 17, 33, 34])
def test_a_boundary_in_the_content_is_refused(net: Network, cut: int) -> None:
    boundary = BOUNDARY.encode()
    first, second = (Counted(part, b"", []) for part in (b"a" + boundary[:cut], boundary[cut:] + b"b"))
    content = Octets.of(b"x\r\n", Span(first, 0, first.size), Span(second, 0, second.size))
    with pytest.raises(ValueError, match="boundary"):
        seal(Unsealed(b"", content), net.alfa.signer(), at=AT, boundary=BOUNDARY)


def test_a_boundary_in_many_small_pieces_is_refused(net: Network) -> None:
    sources = [Counted(bytes((byte,)), b"", []) for byte in b"ab" + BOUNDARY.encode() + b"c"]
    content = Octets.of(*(Span(source, 0, 1) for source in sources))
    with pytest.raises(ValueError, match="boundary"):
        seal(Unsealed(b"", content), net.alfa.signer(), at=AT, boundary=BOUNDARY)


def test_a_key_that_is_gone_certifies_nothing(net: Network) -> None:
    with pytest.raises(SigningUnavailable):
        seal(unsealed(), BrokenSigner(net.alfa.signer()), at=AT, boundary=BOUNDARY)
