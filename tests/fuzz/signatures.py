"""CMS, certificates and chains: nothing raises what it does not announce, and nothing forged is proven."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from providers.certificates import CertificateError, profile_faults, read_certificate
from providers.chains import verify_chain
from providers.cms import CmsError, read_signed_data
from providers.der import DerError, as_der, children, element, tlv
from providers.judgement import Verdict, judge
from providers.sealing import seal, signed_data
from providers.verification import verify_signature
from receipts.octets import Octets
from receipts.scanner import scan
from tests.providers.authorities import AT, Network, directory, network, trust, unsealed

__all__ = ["certificates", "elements", "seals", "signatures"]

BOUNDARY = "sg" + "0123456789abcdef" * 2
TAGS = (0x02, 0x04, 0x05, 0x06, 0x0C, 0x17, 0x80)
CONSTRUCTED_TAGS = (0x30, 0x31, 0xA0, 0xA1)


@cache
def net() -> Network:
    return network()


@cache
def sealed() -> bytes:
    return seal(unsealed(), net().alfa.signer(), at=AT, boundary=BOUNDARY).read()


Edits = list[tuple[int, int, bytes]]
EDITS: st.SearchStrategy[Edits] = st.lists(
    st.tuples(
        st.integers(0, 2**16),
        st.integers(0, 8),
        st.one_of(
            st.binary(max_size=4),
            st.sampled_from((b"\x30\x80", b"\x00\x00", b"\x80", b"\x84\xff\xff\xff\xff", b"\x24\x80", b"\x1f\x81")),
        ),
    ),
    min_size=1,
    max_size=4,
)


def edited(data: bytes, edits: Edits) -> bytes:
    for at, cut, put in edits:
        start = at % (len(data) + 1)
        data = data[:start] + put + data[start + cut :]
    return data


@st.composite
def trees(draw: st.DrawFn, depth: int = 4) -> tuple[bytes, bytes]:
    """Elements in DER, and the same in some form of BER."""
    if depth == 0 or draw(st.booleans()):
        tag, body = draw(st.sampled_from(TAGS)), draw(st.binary(max_size=200))
        der = tlv(tag, body)
        if tag == 0x04 and draw(st.booleans()):
            middle = draw(st.integers(0, len(body)))
            return der, b"\x24\x80" + tlv(4, body[:middle]) + tlv(4, body[middle:]) + b"\x00\x00"
        return der, der
    inner = draw(st.lists(trees(depth=depth - 1), max_size=3))
    tag = draw(st.sampled_from(CONSTRUCTED_TAGS))
    der, ber = tlv(tag, *(each[0] for each in inner)), b"".join(each[1] for each in inner)
    match draw(st.sampled_from(("definite", "indefinite", "long"))):
        case "indefinite":
            return der, bytes((tag, 0x80)) + ber + b"\x00\x00"
        case "long":
            return der, bytes((tag, 0x84)) + len(ber).to_bytes(4, "big") + ber
        case _:
            return der, tlv(tag, ber)


@given(trees(), st.binary(max_size=40))
def elements(tree: tuple[bytes, bytes], noise: bytes) -> None:
    der, ber = tree
    assert as_der(ber) == as_der(der) == der
    for data in (noise, ber + noise, ber[: len(noise)]):
        try:
            tag, start, end = element(data, 0, len(data))
            assert 0 < start <= end <= len(data)
            if tag & 0x20:
                assert all(start <= at < body <= stop <= end for _, at, body, stop in children(data, start, end))
        except DerError:
            pass
        try:
            assert as_der(as_der(data)) == as_der(data)
        except DerError:
            continue


@given(EDITS, st.binary(max_size=100))
def signatures(edits: Edits, noise: bytes) -> None:
    good = signed_data(net().alfa.signer(), bytes(32), AT)
    for data in (edited(good, edits), noise, edited(b"\x30\x80" + noise, edits)):
        try:
            found = read_signed_data(data)
        except CmsError:
            continue
        for signer in found.signers:
            assert signer.message_digest is None or isinstance(signer.message_digest, bytes)
            assert signer.signing_time is None or signer.signing_time.tzinfo is not None


@given(EDITS, st.booleans())
def certificates(edits: Edits, as_authority: bool) -> None:
    alfa = net().alfa
    base = net().authority.email_ca.der if as_authority else alfa.der
    der = edited(base, edits)
    try:
        facts = read_certificate(der)
        assert facts.der == der
        profile_faults(der, "Alfa PEC", "a@b.example")
    except CertificateError:
        pass
    chain = (
        verify_chain(alfa.der, [der], trust(net()), AT)
        if as_authority
        else verify_chain(der, [net().authority.email_ca.der], trust(net()), AT)
    )
    assert not chain.ok or der == base


@given(EDITS)
def seals(edits: Edits) -> None:
    """Whatever is done to a sealed message: it is proven only if the signed part is the one that was sealed."""
    data = edited(sealed(), edits)
    octets = Octets.of(data)
    verdict = verify_signature(octets, scan(octets), trust=trust(net()), directory=directory(net()), at=AT)
    if verdict.proven:
        assert verdict.content_sha256 == unsealed().content.sha256()
    assert judge(data, trust=trust(net()), directory=directory(net()), now=AT).verdict in Verdict
