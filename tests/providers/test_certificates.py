from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.drivers.keyfiles import KeyKind, new_key
from providers.certificates import CertificateError, issuer_and_serial, profile_faults, read_certificate
from providers.der import DerError
from tests.providers.authorities import ALFA, ALFA_ADDRESS, AT, Network

KEY = new_key(KeyKind.EC_P256)
BITS = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")


def usage(digital_signature: bool = True) -> x509.KeyUsage:
    rest = dict.fromkeys((*BITS, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=digital_signature, **(rest | {"content_commitment": True}))


Parts = dict[str, tuple[x509.ExtensionType, bool]]


def parts() -> Parts:
    """The extensions of a good certificate, and whether they are critical."""
    public = KEY.public_key()
    return {
        "ski": (x509.SubjectKeyIdentifier.from_public_key(public), False),
        "aki": (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
        "usage": (usage(), True),
        "san": (x509.SubjectAlternativeName([x509.RFC822Name(ALFA_ADDRESS)]), False),
    }


def made(changes: Parts, *without: str, subject: dict[x509.ObjectIdentifier, str] | None = None) -> bytes:
    held = subject if subject is not None else {NameOID.ORGANIZATION_NAME: ALFA, NameOID.COMMON_NAME: "PEC"}
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in held.items()])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(7).not_valid_before(AT).not_valid_after(AT + timedelta(days=1))
    for extension, critical in ({k: v for k, v in parts().items() if k not in without} | changes).values():
        builder = builder.add_extension(extension, critical=critical)
    assert isinstance(KEY, ec.EllipticCurvePrivateKey)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


Case = tuple[str, Callable[[], bytes], str]
CASES: list[Case] = [
    ("CRT-01 other name", lambda: made({}, subject={NameOID.ORGANIZATION_NAME: "Beta"}), "the provider's name"),
    ("CRT-01 no name", lambda: made({}, subject={NameOID.LOCALITY_NAME: "Roma"}), "neither a common name"),
    (
        "CRT-02 address in subject",
        lambda: made({}, subject={NameOID.COMMON_NAME: ALFA, NameOID.EMAIL_ADDRESS: ALFA_ADDRESS}),
        "belongs in the alternative name",
    ),
    (
        "CRT-02 other address",
        lambda: made({"san": (x509.SubjectAlternativeName([x509.RFC822Name("a@b.example")]), False)}),
        "does not hold",
    ),
    ("CRT-03 absent", lambda: made({}, "usage"), "does not allow digital signatures"),
    ("CRT-03 wrong", lambda: made({"usage": (usage(False), True)}), "does not allow digital signatures"),
    ("CRT-03 not critical", lambda: made({"usage": (usage(), False)}), "not marked critical"),
    ("CRT-04 absent", lambda: made({}, "aki"), "no authority key identifier"),
    (
        "CRT-04 without identifier",
        lambda: made({"aki": (x509.AuthorityKeyIdentifier(None, [x509.DNSName("x")], 1), False)}),
        "no authority key identifier",
    ),
    ("CRT-05 absent", lambda: made({}, "ski"), "no subject key identifier"),
    ("CRT-06 absent", lambda: made({}, "san"), "holds no mail address"),
    (
        "CRT-06 another kind",
        lambda: made({"san": (x509.SubjectAlternativeName([x509.DNSName("alfa.example")]), False)}),
        "holds no mail address",
    ),
    (
        "CRT-06 critical",
        lambda: made({"san": (x509.SubjectAlternativeName([x509.RFC822Name(ALFA_ADDRESS)]), True)}),
        "marked critical",
    ),
    (
        "CRT-07 present",
        lambda: made({"bc": (x509.BasicConstraints(ca=False, path_length=None), False)}),
        "basic constraints",
    ),
    (
        "CRT-08 critical",
        lambda: made({"eku": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True)}),
        "2.5.29.37 is marked critical",
    ),
    (
        "D5 usage",
        lambda: made({"eku": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)}),
        "leaves out e-mail protection",
    ),
]


@pytest.mark.edge("A5")
@pytest.mark.req("CRT-01", "CRT-02", "CRT-03", "CRT-04", "CRT-05", "CRT-06", "CRT-07", "CRT-08")
@pytest.mark.parametrize(("make", "fault"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_each_point_of_the_profile_is_missed_by_name(make: Callable[[], bytes], fault: str) -> None:
    (found,) = [each for each in profile_faults(make(), ALFA, ALFA_ADDRESS) if fault in each]
    assert found


@pytest.mark.req("CRT-01", "CRT-02", "CRT-03", "CRT-04", "CRT-05", "CRT-06", "CRT-07", "CRT-08")
def test_certificates_of_the_profile_lack_nothing(net: Network) -> None:
    assert profile_faults(made({}), ALFA, ALFA_ADDRESS) == ()
    assert profile_faults(net.alfa.der, ALFA, ALFA_ADDRESS) == ()
    assert profile_faults(made({}, subject={NameOID.COMMON_NAME: ALFA}), ALFA, ALFA_ADDRESS) == ()


@pytest.mark.parametrize("address", ["posta-certificata@alfa.example", "Posta-Certificata@ALFA.example"])
def test_addresses_are_compared_as_addresses(net: Network, address: str) -> None:
    facts = read_certificate(net.alfa.der)
    assert facts.names(address)
    assert not facts.names("anna@alfa.example")
    assert not facts.names("posta-certificata@mail.alfa.example")


def test_facts_are_those_of_the_certificate(net: Network) -> None:
    facts = read_certificate(net.alfa.der)
    assert (facts.emails, facts.email) == ((ALFA_ADDRESS,), ALFA_ADDRESS)
    assert (facts.digital_signature, facts.email_protection) == (True, True)
    assert facts.not_before == AT - timedelta(days=1)
    assert facts.sha256 == net.alfa.certificate.fingerprint(hashes.SHA256()).hex()


def test_issuer_and_serial_are_cut_out_of_the_bytes(net: Network) -> None:
    issuer, serial = issuer_and_serial(net.alfa.der)
    assert issuer == net.alfa.certificate.issuer.public_bytes()
    assert int.from_bytes(serial[2:], "big") == net.alfa.certificate.serial_number


def test_broken_certificates_are_refused(net: Network) -> None:
    der = net.alfa.der
    for data in (b"", b"0", b"0\x80\0\0", der[:-1], der + b"\0", der[:100], b"0\x82\xff\xff" + der[4:], der * 100):
        with pytest.raises(CertificateError):
            read_certificate(data)
    for data in (b"", b"0", b"0\x03\x02\x01\x01", b"0\x80\0\0"):
        with pytest.raises(DerError):
            issuer_and_serial(data)
