from datetime import UTC, datetime

import pytest

from providers import cms
from providers.cms import CmsError, read_signed_data
from providers.der import INTEGER, OCTET_STRING, SEQUENCE, SET, DerError, as_der, object_identifier, tlv
from providers.sealing import signed_data
from providers.signatures import signer_certificate
from tests.providers.authorities import AT, Network

SHA256 = tlv(SEQUENCE, object_identifier("2.16.840.1.101.3.4.2.1"))
NAME = tlv(SEQUENCE)


def attribute(name: bytes, *values: bytes) -> bytes:
    return tlv(SEQUENCE, name, tlv(SET, *values))


def signer(attributes: bytes | None = None, name: bytes | None = None) -> bytes:
    return tlv(
        SEQUENCE,
        tlv(INTEGER, b"\1"),
        tlv(SEQUENCE, NAME, tlv(INTEGER, b"\7")) if name is None else name,
        SHA256,
        b"" if attributes is None else tlv(cms.CONTEXT_0, attributes),
        SHA256,
        tlv(OCTET_STRING, b"signature"),
    )


def signed(signers: bytes, certificates: bytes = b"", content: bytes = b"", after: bytes = b"") -> bytes:
    body = tlv(
        SEQUENCE,
        tlv(INTEGER, b"\1"),
        tlv(SET, SHA256),
        tlv(SEQUENCE, cms.ID_DATA, content),
        tlv(cms.CONTEXT_0, certificates) if certificates else b"",
        after,
        tlv(SET, signers),
    )
    return tlv(SEQUENCE, cms.ID_SIGNED_DATA, tlv(cms.CONTEXT_0, body))


def test_every_field_is_read() -> None:
    time = tlv(cms.UTC_TIME, b"260302093015Z")
    attributes = (
        attribute(cms.ID_CONTENT_TYPE, cms.ID_DATA)
        + attribute(cms.ID_MESSAGE_DIGEST, tlv(OCTET_STRING, b"digest"))
        + attribute(cms.ID_SIGNING_TIME, time)
    )
    data = read_signed_data(signed(signer(attributes), NAME + tlv(cms.CONTEXT_0, b"other") + tlv(SEQUENCE, b"\5\0")))
    assert data.content_type == cms.ID_DATA
    assert data.content is None
    assert data.certificates == (NAME, tlv(SEQUENCE, b"\5\0"))
    (info,) = data.signers
    assert (info.issuer, info.serial, info.key_identifier) == (NAME, tlv(INTEGER, b"\7"), None)
    assert info.signed == tlv(SET, attributes)
    assert (info.message_digest, info.signing_time) == (b"digest", AT)
    assert info.signature == b"signature"
    assert info.digest_algorithm.is_bare


def test_content_revocation_lists_and_key_identifiers_are_read() -> None:
    content = tlv(cms.CONTEXT_0, tlv(OCTET_STRING, b"inside"))
    named = signer(name=tlv(cms.KEY_IDENTIFIER, b"key"))
    data = read_signed_data(signed(named, content=content, after=tlv(cms.CONTEXT_1, b"")))
    assert data.content == b"inside"
    assert data.signers[0].key_identifier == b"key"
    assert data.signers[0].signed is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut short"),
        (signed(signer()) + b"\0", "follow"),
        (signed(signer())[:-1], "cut short"),
        (tlv(SEQUENCE, cms.ID_DATA, tlv(cms.CONTEXT_0)), "not SignedData"),
        (signed(b"", after=tlv(0xA2)), "no list of signers"),
        (signed(signer() * 9), "too many"),
        (signed(signer(), NAME * 17), "too many certificates"),
        (signed(signer(attribute(cms.ID_CONTENT_TYPE, cms.ID_DATA) * 2)), "twice"),
        (signed(signer(attribute(cms.ID_MESSAGE_DIGEST, tlv(4, b"a")) + attribute(cms.ID_MESSAGE_DIGEST))), "twice"),
        (signed(signer(attribute(cms.ID_MESSAGE_DIGEST, tlv(4, b"a"), tlv(4, b"b")))), "several values"),
        (signed(signer(attribute(cms.ID_MESSAGE_DIGEST))), "several values"),
        (signed(signer(name=tlv(0xA1))), "without a name"),
        (signed(tlv(INTEGER, b"\1")), "does not belong"),
        (b"\x30\x80" * 40, "deep"),
        (b"\x1f\x81\x01\x00", "tag"),
        (b"\x30\x84\xff\xff\xff\xff", "cut short"),
        (b"\x30\x85\0\0\0\0\0", "range"),
    ],
)
def test_what_is_broken_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(CmsError, match=why):
        read_signed_data(data)


def test_size_and_number_are_bounded() -> None:
    with pytest.raises(CmsError, match="larger"):
        read_signed_data(signed(signer()) + bytes(cms.MAX_DETACHED_BYTES))
    many = b"".join(attribute(object_identifier(f"1.2.{number}"), b"\5\0") for number in range(65))
    with pytest.raises(CmsError, match="too many"):
        read_signed_data(signed(signer(many)))
    with pytest.raises(DerError, match="too many"):
        as_der(b"\x30\x80" + b"\5\0" * 100_001 + b"\0\0")


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (tlv(cms.UTC_TIME, b"491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (tlv(cms.UTC_TIME, b"500101000000Z"), datetime(1950, 1, 1, tzinfo=UTC)),
        (tlv(cms.GENERALIZED_TIME, b"20500101000000Z"), datetime(2050, 1, 1, tzinfo=UTC)),
        (tlv(cms.UTC_TIME, b"2603020930Z"), None),
        (tlv(cms.UTC_TIME, b"260302093015+0100"), None),
        (tlv(cms.UTC_TIME, b"261302093015Z"), None),
        (tlv(cms.GENERALIZED_TIME, b"00000101000000Z"), None),
        (tlv(cms.GENERALIZED_TIME, "２0500101000000Z".encode()), None),
        (tlv(OCTET_STRING, b"260302093015Z"), None),
    ],
)
def test_signing_times_are_read_in_their_two_forms_alone(value: bytes, time: datetime | None) -> None:
    (info,) = read_signed_data(signed(signer(attribute(cms.ID_SIGNING_TIME, value)))).signers
    assert info.signing_time == time


def test_a_digest_that_is_no_octet_string_is_none() -> None:
    (info,) = read_signed_data(signed(signer(attribute(cms.ID_MESSAGE_DIGEST, b"\5\0")))).signers
    assert info.message_digest is None


def test_the_signer_is_found_among_several_certificates(net: Network) -> None:
    data = read_signed_data(signed_data(net.alfa.signer(), bytes(32), AT))
    found = (b"", b"\x30\x00", net.beta.der, *data.certificates)
    assert signer_certificate(data.signers[0], found) == net.alfa.der
    assert signer_certificate(data.signers[0], (net.beta.der,)) is None


def test_octet_strings_in_pieces_become_one_and_sets_keep_their_order() -> None:
    inner = b"\x24\x80" + tlv(4, b"two") + b"\0\0"
    pieces = b"\x24\x80" + tlv(4, b"one") + inner + b"\0\0"
    assert as_der(pieces) == tlv(4, b"onetwo")
    assert as_der(b"\x31\x80\x04\x01b\x04\x01a\0\0") == b"\x31\x06\x04\x01b\x04\x01a"
    for broken in (b"\x24\x80\x02\x01\x01\0\0", b"\x04\x80\0\0", b"\x30\x80", b"\x30\x80\0", b"\0\0"):
        with pytest.raises(DerError):
            as_der(broken)


def test_identifiers_are_written_as_others_write_them() -> None:
    assert object_identifier("1.2.840.113549.1.7.2").hex() == "06092a864886f70d010702"
    assert object_identifier("2.16.840.1.101.3.4.2.1").hex() == "0609608648016503040201"
    assert object_identifier("2.5.29.14").hex() == "0603551d0e"


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65_535, 65_536])
def test_lengths_are_minimal(size: int) -> None:
    whole = tlv(OCTET_STRING, bytes(size))
    assert as_der(whole) == whole
    assert len(whole) - size == 2 + (size > 127) + (size > 255) + (size > 65_535)
