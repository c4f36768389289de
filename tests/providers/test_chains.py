"""Chains: only what is a certificate and nothing else leads to an authority."""

from providers.chains import verify_chain
from tests.providers.authorities import AT, Network, trust


def test_a_certificate_reaches_its_authority(net: Network) -> None:
    assert verify_chain(net.alfa.der, [net.authority.email_ca.der], trust(net), AT).ok


def test_bytes_behind_a_certificate_are_not_overlooked(net: Network) -> None:
    """OpenSSL alone reads the certificate and forgets the rest."""
    chain = verify_chain(net.alfa.der + b"\0", [net.authority.email_ca.der], trust(net), AT)
    assert not chain.ok
    assert "cannot be read" in chain.detail
    assert not verify_chain(net.alfa.der, [net.authority.email_ca.der + b"\0"], trust(net), AT).ok


def test_a_broken_certificate_among_good_ones_hurts_nobody(net: Network) -> None:
    helpers = [b"", b"\x30\x80", net.authority.email_ca.der[:-1], net.authority.email_ca.der]
    assert verify_chain(net.alfa.der, helpers, trust(net), AT).ok
