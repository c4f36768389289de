import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.lab.authority import Authority
from providers import directory as module
from providers.directory import (
    Directory,
    IndexRefused,
    ProviderRecord,
    Refusal,
    read_directory,
    read_signed_index,
    sign_index,
    write_ldif,
)
from providers.records import unescaped
from tests.providers.authorities import ALFA_ADDRESS, AT, Network, openssl, records, write_keys

RFC = (Path(__file__).parent / "data" / "rfc6109.ldif").read_bytes()
RFC_HASHES = ("7E7AEF1059AE0F454F2643A95F69EC3556009239", "e00fdd9d88be0e2cc766b893315caf93d5701a6a")


def record(name: str, *domains: str, certificate: bytes | None = None, unit: str | None = None) -> ProviderRecord:
    return ProviderRecord(
        name=name,
        unit=unit,
        certificates=(certificate or name.encode(),),
        mail_receipt=f"posta-certificata@{domains[0]}",
        managed_domains=frozenset(domains),
    )


def names(directory: Directory) -> list[str]:
    return [each.name for each in directory.records]


@pytest.mark.edge("A15")
@pytest.mark.req("DIR-01", "DIR-10", "DIR-12")
def test_the_rfc_s_example_is_read() -> None:
    directory = read_directory(RFC)
    assert directory.refused == ()
    first, secondary, second = directory.records
    assert [hashlib.sha1(each.certificates[0]).hexdigest() for each in (first, second)] == [
        each.lower() for each in RFC_HASHES
    ]
    assert [len(each.certificates[0]) for each in (first, second)] == [778, 802]
    assert first.name == "Anonymous Certified Mail S.p.A."
    assert first.mail_receipt == "notifications@anpocert.it.example"
    assert first.managed_domains == {
        "mail.anpocert.example.com",
        "cert.company.example.com",
        "costmec.example.com",
    }
    assert secondary.unit == "Secondary Environment"
    assert secondary.ldif_url is None
    assert first.ldif_url == "http://anpocert.example.com/anpocert.ldif.p7m"
    assert directory.by_domain("personnel.anpocert.example.com") == secondary
    assert directory.by_certificate(second.certificates[0]) == second
    assert directory.version == hashlib.sha256(RFC).hexdigest()


def test_a_certificate_shared_by_two_environments_answers_for_both() -> None:
    directory = read_directory(RFC)
    shared = directory.by_certificate(directory.records[0].certificates[0])
    assert shared is not None
    assert shared.managed_domains == directory.records[0].managed_domains | directory.records[1].managed_domains
    assert shared.mail_receipt == "notifications@anpocert.it.example"


@pytest.mark.req("DIR-13")
def test_a_certificate_that_lost_a_character_costs_its_record_alone() -> None:
    lines = RFC.split(b"\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(b" sKycPSnH"))
    lines[at] = b" sKycSnHbCfuphrKvXjQvR2da75U4zGSkroiyvJ2s9TtiCcT3lQtIjmvrF"
    directory = read_directory(b"\n".join(lines))
    assert len(directory.records) == 2
    (refusal,) = directory.refused
    assert "base64" in refusal.reason


@pytest.mark.edge("A10")
@pytest.mark.req("DIR-10")
def test_a_certificate_is_found_by_hash_and_then_compared(net: Network) -> None:
    directory = read_directory(write_ldif(records(net)))
    assert directory.by_certificate(net.alfa.der) == records(net)[0]
    assert directory.by_certificate(net.alfa.der + b"\0") is None
    sha1 = hashlib.sha1(net.alfa.der).digest()
    forged = replace(directory, certificates={hashlib.sha1(b"x").digest(): directory.certificates[sha1]})
    assert forged.by_certificate(b"x") is None


@pytest.mark.req("DIR-10")
def test_hashes_are_compared_without_case(net: Network) -> None:
    data = write_ldif(records(net))
    assert read_directory(data.replace(hashlib.sha1(net.alfa.der).hexdigest().upper().encode(), sha1_mixed(net)))


def sha1_mixed(net: Network) -> bytes:
    text = hashlib.sha1(net.alfa.der).hexdigest()
    return "".join(each.upper() if at % 2 else each for at, each in enumerate(text)).encode()


@pytest.mark.req("DIR-11")
@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ("alfa.example", True),
        ("ALFA.Example", True),
        ("sub.alfa.example", False),
        ("example", False),
        ("xalfa.example", False),
        ("", False),
        ("città.example", True),
        ("xn--citt-3na.example", True),
    ],
)
def test_domains_are_found_whole_and_without_case(domain: str, found: bool) -> None:
    directory = read_directory(write_ldif([record("Alfa", "Alfa.example", "XN--citt-3na.example")]))
    assert directory.is_certified(domain) == found


@pytest.mark.edge("E23")
@pytest.mark.req("DIR-12")
def test_a_record_may_hold_an_old_and_a_new_certificate() -> None:
    directory = read_directory(write_ldif([replace(record("Alfa", "alfa.example"), certificates=(b"old", b"new"))]))
    assert directory.by_certificate(b"old") == directory.by_certificate(b"new") == directory.records[0]


def spoiled(*changes: tuple[bytes, bytes]) -> Directory:
    """Two providers, and the first one's record changed."""
    first, second = write_ldif([record("Alfa", "alfa.example")]), write_ldif([record("Beta", "beta.example")])
    for before, after in changes:
        assert before in first
        first = first.replace(before, after)
    return read_directory(first + b"\n" + second)


@pytest.mark.req("DIR-14")
def test_a_hash_that_does_not_match_refuses_the_record() -> None:
    sha1 = hashlib.sha1(b"Alfa").hexdigest().upper().encode()
    directory = spoiled((sha1, sha1[::-1]))
    assert names(directory) == ["Beta"]
    assert directory.refused == (Refusal("providerName=Alfa,o=postacert", "a stated hash and its certificate differ"),)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"mailReceipt: posta-certificata@alfa.example\n", b"", "no mailReceipt"),
        (b"posta-certificata@alfa.example", b"<posta-certificata@alfa.example>", "no address"),
        (b"posta-certificata@alfa.example", b'"posta certificata"@alfa.example', "no address"),
        (b"managedDomains: alfa.example\n", b"", "no domain"),
        (b"managedDomains: alfa.example", b"managedDomains: *.example", "no domain"),
        (b"managedDomains: alfa.example", b"managedDomains: .example", "no domain"),
        (b"providerName: Alfa\n", b"", "no providerName"),
        (b"providerName: Alfa\n", b"providerName: Alfa\nproviderName: Gamma\n", "2 values"),
        (b"providerName: Alfa\n", b"providerName:: QQAA\n", "control"),
        (b"providerName: Alfa\n", b"providerName:: /w==\n", "UTF-8"),
        (b"providerCertificate;binary::", b"userCertificate;binary::", "0 certificates"),
    ],
)
def test_a_record_that_lacks_something_is_refused_alone(before: bytes, after: bytes, reason: str) -> None:
    directory = spoiled((before, after))
    assert names(directory) == ["Beta"]
    assert reason in directory.refused[0].reason


@pytest.mark.req("DIR-14")
def test_a_domain_belongs_to_the_first_that_claims_it() -> None:
    directory = read_directory(
        write_ldif([record("Alfa", "alfa.example"), record("Mallory", "m.example", "ALFA.example")])
    )
    assert names(directory) == ["Alfa"]
    assert not directory.is_certified("m.example")
    assert directory.refused[0].reason == "alfa.example is managed by Alfa"


@pytest.mark.req("DIR-14")
def test_a_domain_stays_with_who_had_it() -> None:
    previous = read_directory(write_ldif([record("Alfa", "alfa.example")]))
    mallory = record("Mallory", "m.example", "alfa.example")
    newer = write_ldif([mallory, record("Alfa", "alfa.example"), record("Beta", "beta.example")])
    assert names(read_directory(newer)) == ["Mallory", "Beta"]
    assert names(read_directory(newer, previous=previous)) == ["Alfa", "Beta"]


def test_a_domain_may_move_when_it_is_given_up() -> None:
    previous = read_directory(write_ldif([record("Alfa", "alfa.example", "moving.example")]))
    now = [record("Alfa", "alfa.example"), record("Beta", "beta.example", "moving.example")]
    directory = read_directory(write_ldif(now), previous=previous)
    assert directory.by_domain("moving.example") == now[1]


def test_a_certificate_belongs_to_one_provider() -> None:
    directory = read_directory(
        write_ldif([record("Alfa", "alfa.example"), record("Mallory", "m.example", certificate=b"Alfa")])
    )
    assert names(directory) == ["Alfa"]
    assert "certificate" in directory.refused[0].reason


def test_garbage_holds_no_provider() -> None:
    for garbage in (b"", b"\n\n", b"\xff\x00\n:", b"dn: o=postacert\nobjectclass: top\n"):
        assert read_directory(garbage).records == ()


@pytest.mark.req("DIR-01")
def test_names_are_escaped_in_the_distinguished_name() -> None:
    odd = record('A, B + "C" S.p.A. ', "alfa.example", unit="#1")
    assert odd.dn == 'providerUnit=\\#1,providerName=A\\, B \\+ \\"C\\" S.p.A.\\ ,o=postacert'
    (read,) = read_directory(write_ldif([odd])).records
    assert (read.name, read.owner) == (odd.name, odd.owner)


@pytest.mark.req("DIR-02")
def test_a_secondary_record_has_no_location() -> None:
    main = replace(record("Alfa", "alfa.example"), ldif_url="https://alfa.example/a.ldif.p7m")
    second = replace(main, unit="Two", managed_domains=frozenset({"two.example"}))
    read = read_directory(write_ldif([main, second])).records
    assert [each.ldif_url for each in read] == ["https://alfa.example/a.ldif.p7m", None]


@pytest.mark.req("DIR-03")
def test_the_root_names_the_whole_directory() -> None:
    data = write_ldif([], "https://index.example/index.ldif.p7m")
    assert b"dn: o=postacert\n" in data
    assert b"\nLDIFLocationURL: https://index.example/index.ldif.p7m\n" in data


def signed(net: Network, at_ldif: bytes | None = None) -> bytes:
    return sign_index(at_ldif or write_ldif(records(net)), net.authority.index_signer().signer(), AT)


@pytest.mark.req("DIR-04", "DIR-08")
def test_a_signed_index_is_read(net: Network) -> None:
    directory = read_signed_index(signed(net), (net.authority.root.der,), AT)
    assert names(directory) == ["Alfa PEC", "Beta PEC"]
    assert directory.signed_at == AT


@pytest.mark.req("DIR-04")
def test_openssl_verifies_our_index_and_we_verify_openssl_s(net: Network, ca_file: Path, tmp_path: Path) -> None:
    when = str(int(AT.timestamp()))
    done = openssl("cms", "-verify", "-inform", "DER", "-binary", "-CAfile", ca_file, "-attime", when, data=signed(net))
    assert done.stdout == write_ldif(records(net))
    key, certificate, _ = write_keys(tmp_path, net.authority.index_signer())
    sign = ("cms", "-sign", "-nodetach", "-binary", "-outform", "DER", "-signer", certificate, "-inkey", key)
    for options in ((), ("-stream",), ("-md", "sha1"), ("-noattr",)):
        p7m = openssl(*sign, *options, data=write_ldif(records(net))).stdout
        assert names(read_signed_index(p7m, (net.authority.root.der,), AT)) == ["Alfa PEC", "Beta PEC"]


@pytest.mark.req("DIR-08")
def test_an_index_that_was_changed_is_refused(net: Network) -> None:
    p7m = signed(net)
    for at in range(0, len(p7m), 37):
        changed = bytearray(p7m)
        changed[at] ^= 1
        try:
            read = read_signed_index(bytes(changed), (net.authority.root.der,), AT)
        except IndexRefused:
            continue
        assert names(read) == ["Alfa PEC", "Beta PEC"]  # a byte that is not signed, such as of the other certificates
        assert read.version == hashlib.sha256(write_ldif(records(net))).hexdigest()


@pytest.mark.edge("A16")
@pytest.mark.req("DIR-08")
def test_an_index_signed_by_a_stranger_or_at_another_time_is_refused(net: Network) -> None:
    anchors = (net.authority.root.der,)
    stranger = Authority.create([], AT).index_signer()
    with pytest.raises(IndexRefused, match="not trusted"):
        read_signed_index(sign_index(write_ldif(records(net)), stranger.signer(), AT), anchors, AT)
    with pytest.raises(IndexRefused, match="not trusted"):
        read_signed_index(signed(net), anchors, AT + timedelta(days=900))
    with pytest.raises(IndexRefused, match="not trusted"):
        read_signed_index(signed(net), (), AT)


@pytest.mark.req("DIR-08")
def test_an_index_without_content_signature_or_provider_is_refused(net: Network, tmp_path: Path) -> None:
    anchors = (net.authority.root.der,)
    key, certificate, _ = write_keys(tmp_path, net.authority.index_signer())
    sign = ("cms", "-sign", "-binary", "-outform", "DER", "-signer", certificate, "-inkey", key)
    ldif = write_ldif(records(net))
    for p7m in (
        b"",
        ldif,
        openssl(*sign, data=ldif).stdout,
        openssl(*sign, "-nodetach", "-nocerts", data=ldif).stdout,
        signed(net, write_ldif([])),
    ):
        with pytest.raises(IndexRefused):
            read_signed_index(p7m, anchors, AT)


def test_an_index_over_the_limit_is_refused(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_INDEX_BYTES", 1000)
    with pytest.raises(IndexRefused, match="larger"):
        read_signed_index(signed(net), (net.authority.root.der,), AT)


def test_the_service_address_is_the_mail_receipt(net: Network) -> None:
    found = read_directory(write_ldif(records(net))).by_domain("alfa.example")
    assert found is not None
    assert found.mail_receipt == ALFA_ADDRESS


def test_names_of_records_are_read_in_both_ways_of_escaping() -> None:
    """RFC 4514 has both, and LDAP servers turn the one into the other."""
    for written in ('Beta\\, PEC \\+ \\"Figli\\"', "Beta\\2C PEC \\2B \\22Figli\\22"):
        assert unescaped(written) == 'Beta, PEC + "Figli"'
    assert unescaped("Perch\\C3\\A9") == "Perché"
    assert unescaped("a\\\\b") == "a\\b"
