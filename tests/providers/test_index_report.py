"""What ``index check`` finds, and what ``index diff`` calls a change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from providers.directory import read_directory, write_ldif
from providers.index_diff import changes
from providers.index_report import Finding, Weight, report_on
from providers.records import ProviderRecord, write_records
from tests.providers.authorities import AT, Network, records, rsa_key

URL = "https://index.example/index.ldif.p7m"
RFC = Path(__file__).parent / "data"


def found(ldif: bytes, at: datetime = AT, *, whole: bool = True) -> list[Finding]:
    return list(report_on(ldif, at, whole=whole)[1])


def rules(ldif: bytes, at: datetime = AT) -> set[tuple[str, str]]:
    return {(finding.weight.value, finding.rule) for finding in found(ldif, at)}


def test_an_index_of_the_lab_has_no_fault(net: Network) -> None:
    assert found(write_ldif(records(net), URL)) == []


def test_without_a_root_or_its_address_it_is_not_the_whole_directory(net: Network) -> None:
    alone = write_records(records(net))
    assert ("fault", "DIR-01") in rules(alone)
    assert found(alone, whole=False) == []
    assert rules(write_ldif(records(net))) == {("fault", "DIR-03")}
    assert rules(write_ldif(records(net), "http://index.example/")) == {("fault", "DIR-03")}


def test_an_index_of_nobody_is_a_fault() -> None:
    assert ("fault", "DIR-01") in rules(write_ldif([], URL))
    assert {weight for weight, _ in rules(b"\xff\xfe nonsense")} == {"fault"}


def _wrong_hash(ldif: bytes) -> bytes:
    lines = ldif.split(b"\n")
    at = next(number for number, line in enumerate(lines) if line.startswith(b"providerCertificateHash"))
    lines[at] = b"providerCertificateHash: " + b"0" * 40
    return b"\n".join(lines)


def _no_address(ldif: bytes) -> bytes:
    return ldif.replace(b"mailReceipt: posta-certificata@alfa", b"mailReceipt: posta certificata@alfa")


def _claims_what_is_anothers(ldif: bytes) -> bytes:
    return ldif.replace(b"managedDomains: beta.example", b"managedDomains: beta.example\nmanagedDomains: alfa.example")


@pytest.mark.req("DIR-14")
@pytest.mark.parametrize("damage", [_wrong_hash, _no_address, _claims_what_is_anothers])
def test_records_that_are_refused_are_faults_by_name(net: Network, damage: object) -> None:
    whole = write_ldif(records(net), URL)
    damaged = damage(whole)  # type: ignore[operator]
    assert damaged != whole
    directory, findings = report_on(damaged, AT)
    assert [finding.rule for finding in findings] == ["DIR-14"]
    assert findings[0].where.startswith("providerName=")
    assert len(directory.records) == 1


def test_names_and_addresses_that_are_not_of_the_form_are_told(net: Network) -> None:
    whole = write_ldif(records(net), URL)
    assert ("fault", "DIR-01") in rules(
        whole.replace(b"dn: providerName=Alfa PEC,o=postacert", b"dn: cn=Alfa,o=postacert")
    )
    assert ("note", "DIR-01") in rules(whole.replace(b"dn: providerName=Alfa PEC", b"dn: providerName=Alpha PEC"))
    alfa, beta = records(net)
    assert ("fault", "DIR-03") in rules(write_ldif([replace(alfa, ldif_url="http://alfa.example/"), beta], URL))


@pytest.mark.req("DIR-02")
def test_families_have_one_main_record_and_units_no_address(net: Network) -> None:
    alfa, beta = records(net)
    unit = replace(alfa, unit="Secondo ambiente", managed_domains=frozenset({"due.alfa.example"}))
    assert not {weight for weight, _ in rules(write_ldif([alfa, unit, beta], URL))} & {"fault"}
    assert ("fault", "DIR-02") in rules(write_ldif([unit, beta], URL))
    assert ("fault", "DIR-02") in rules(write_ldif([alfa, alfa, beta], URL))
    located = write_ldif([alfa, unit, beta], URL).replace(
        b"providerUnit: Secondo ambiente\n", b"providerUnit: Secondo ambiente\nLDIFLocationURL: https://a.example/\n"
    )
    assert ("fault", "DIR-02") in rules(located)


def test_each_certificate_is_held_against_the_profile(net: Network) -> None:
    poor = net.authority.provider_certificate(
        "Alfa PEC", "posta-certificata@alfa.example", key=rsa_key(0), digital_signature=False
    )
    alfa, beta = records(net)
    whole = write_ldif([replace(alfa, certificates=(alfa.certificates[0], poor.der)), beta], URL)
    (finding,) = [each for each in found(whole) if each.rule == "CRT"]
    assert finding.text == "certificate 2: the key usage does not allow digital signatures"
    assert finding.weight is Weight.FAULT


def test_an_address_in_a_domain_that_is_not_managed_is_told(net: Network) -> None:
    alfa, beta = records(net)
    whole = write_ldif([replace(alfa, managed_domains=frozenset({"other.example"})), beta], URL)
    assert ("note", "SEC-05") in rules(whole)


def test_certificates_that_end_are_told_in_time(net: Network) -> None:
    whole = write_ldif(records(net), URL)
    last = AT + timedelta(days=820)
    assert rules(whole, last - timedelta(days=31)) == set()
    assert rules(whole, last - timedelta(days=29)) == {("note", "DIR-15")}
    assert rules(whole, last + timedelta(days=1)) == {("note", "CRT-09"), ("fault", "DIR-15")}
    alfa, beta = records(net)
    renewed = [replace(record, certificates=(*record.certificates, _next(net, record))) for record in (alfa, beta)]
    assert rules(write_ldif(renewed, URL), last - timedelta(days=29)) == set()


def _next(net: Network, record: ProviderRecord) -> bytes:
    lifetime = (AT + timedelta(days=700), AT + timedelta(days=1500))
    issued = net.authority.provider_certificate(record.name, record.mail_receipt, key=rsa_key(0), lifetime=lifetime)
    return issued.der


def test_the_rfc_s_own_example_can_be_reported_on() -> None:
    (file,) = sorted(RFC.glob("*whole*.ldif")) or sorted(RFC.glob("*.ldif"))[-1:]
    directory, findings = report_on(file.read_bytes(), datetime(2026, 1, 1, tzinfo=UTC))
    assert len(directory.records) >= 2
    assert ("fault", "DIR-15") in {(finding.weight.value, finding.rule) for finding in findings}  # of 2003 or so


def test_changes_are_told_record_by_record(net: Network) -> None:
    alfa, beta = records(net)
    gamma = replace(
        beta, name="Gamma PEC", managed_domains=frozenset({"gamma.example"}), certificates=(_next(net, beta),)
    )
    moved = replace(
        alfa,
        managed_domains=frozenset({"nuovo.example"}),
        certificates=(*alfa.certificates, _next(net, alfa)),
        mail_receipt="servizio@alfa.example",
    )
    old, new = (read_directory(write_ldif(each)) for each in ([alfa, beta], [gamma, moved]))
    assert changes(old, old) == ()
    changed, gone, came = changes(old, new)
    assert (changed.kind, gone.kind, came.kind) == ("changed", "gone", "new")
    assert changed.record == "providerName=Alfa PEC,o=postacert"
    assert changed.removed == ("receipts to posta-certificata@alfa.example", "domain alfa.example")
    assert changed.added[:2] == ("receipts to servizio@alfa.example", "domain nuovo.example")
    assert len(changed.added) == 3
    assert changed.added[2].startswith("certificate ")
    assert gone.removed[0] == "receipts to posta-certificata@beta.example"
    assert came.added
