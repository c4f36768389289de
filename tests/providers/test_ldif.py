import pytest

from providers import ldif
from providers.ldif import LdifFault, LdifRecord, read_ldif, write_record


def only(data: bytes) -> LdifRecord:
    (record,) = read_ldif(data)
    assert isinstance(record, LdifRecord)
    return record


@pytest.mark.req("DIR-13")
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_folding_comments_case_options_and_base64_are_read(end: bytes) -> None:
    lines = [
        b"version: 1",
        b"# a comment",
        b"  that goes on",
        b"",
        b"DN: providerName=A",
        b" lfa,o=postacert",
        b"PROVIDERNAME: Alfa",
        b"# between",
        b"providerCertificate;binary::",
        b" AAEC",
        b" Aw==",
        b"managedDomains:alfa.example",
        b"manageddomains:   beta.example",
        b"description:",
        b"",
    ]
    record = only(end.join(lines))
    assert record.dn == "providerName=Alfa,o=postacert"
    assert record.all("providerName") == (b"Alfa",)
    assert record.all("providercertificate") == (b"\x00\x01\x02\x03",)
    assert record.all("managedDomains") == (b"alfa.example", b"beta.example")
    assert record.all("description") == (b"",)
    assert record.all("nothing") == ()


def test_a_dn_begins_a_record_without_an_empty_line_before() -> None:
    found = list(read_ldif(b"dn: o=a\no: a\ndn: o=b\no: b\n\n\n\ndn:: bz1j\n"))
    assert [record.dn for record in found if isinstance(record, LdifRecord)] == ["o=a", "o=b", "o=c"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b"dn: o=b\ngarbage\n", "not a line"),
        (b"dn: o=b\nproviderCertificate:: AAE\n", "not base64"),
        (b"dn: o=b\nproviderCertificate:: A*==\n", "not base64"),
        (b"dn: o=b\ndescription:< file:///etc/passwd\n", "elsewhere"),
        (b"dn: o=b\nchangetype: delete\n", "a change"),
        (b"dn: o=b\nchangetype: modify\nadd: o\no: x\n-\n", "not a line"),
        (b"o: b\n", "without a dn"),
        (b"dn: \xff\n", "UTF-8"),
    ],
)
def test_a_broken_record_leaves_the_others_alone(broken: bytes, why: str) -> None:
    before, fault, after = read_ldif(b"dn: o=a\no: a\n\n" + broken + b"\ndn: o=c\no: c\n")
    assert isinstance(before, LdifRecord)
    assert isinstance(after, LdifRecord)
    assert isinstance(fault, LdifFault)
    assert why in str(fault)
    assert 4 <= int(str(fault).split()[1].rstrip(":")) <= 8


def test_records_and_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldif, "MAX_RECORDS", 2)
    monkeypatch.setattr(ldif, "MAX_VALUES", 3)
    found = list(read_ldif(b"dn: o=a\n\ndn: o=b\no: 1\no: 2\no: 3\no: 4\n\ndn: o=c\n\ndn: o=d\n"))
    assert [type(each) for each in found] == [LdifRecord, LdifFault, LdifFault]


@pytest.mark.parametrize(
    "value",
    [b"", b"a", b"plain text", b" leading", b"trailing ", b":colon", b"<less", "è".encode(), b"x" * 1000, b"\x00"],
)
def test_what_is_written_is_read_again(value: bytes) -> None:
    data = write_record("o=à", [("description", value), ("providerCertificate;binary", b"\x00\xff" * 60)])
    assert max(map(len, data.splitlines())) <= 76
    assert data.isascii()
    record = only(data)
    assert record.dn == "o=à"
    assert record.all("description") == (value,)
    assert record.all("providerCertificate") == (b"\x00\xff" * 60,)
