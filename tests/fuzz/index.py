"""LDIF and the provider index: nothing raises, and what is accepted keeps the rules."""

from hypothesis import given
from hypothesis import strategies as st

from providers.directory import ProviderRecord, read_directory, write_ldif
from providers.ldif import LdifFault, LdifRecord, read_ldif, write_record

__all__ = ["indexes", "ldif"]

LINES = (
    *(
        b"dn: o=postacert",
        b"dn:: bz1j",
        b"version: 1",
        b"# x",
        b" folded",
        b"",
        b"-",
        b"changetype: add",
        b"a:< file:x",
    ),
    *(b"objectclass: provider", b"providerName: Alfa", b"providerName: Beta", b"mailReceipt: a@b.example"),
    *(b"managedDomains: a.example", b"managedDomains: b.example", b"managedDomains: *", b"providerUnit: Due"),
    *(b"providerCertificate;binary:: QQ==", b"providerCertificate;binary:: QUI=", b"providerCertificate;binary:: Q"),
    *(b"providerCertificateHash: 6dcd4ce23d88e2ee9568ba546c007c63d9131c1b", b"dn: providerName=Alfa,o=postacert"),
    *(b"providerCertificateHash: 06D945942AA26A61BE18C3E22BF19BBCA8DD2B5D", b"dn: providerName=A\\,B,o=postacert"),
)
HOSTILE = st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=20)), max_size=40)
ENDS = st.sampled_from((b"\n", b"\r\n"))
NAMES = st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=1, max_size=30).filter(
    lambda text: text.strip() == text and text.isprintable()
)
DOMAINS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{1,8}){1,2}", fullmatch=True)
VALUES = st.lists(st.tuples(st.from_regex(r"[a-z]{2,8}", fullmatch=True), st.binary(max_size=100)), max_size=8)


@st.composite
def records(draw: st.DrawFn) -> ProviderRecord:
    domains = draw(st.frozensets(DOMAINS, min_size=1, max_size=4))
    return ProviderRecord(
        name=draw(NAMES),
        certificates=tuple(draw(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=2, unique=True))),
        mail_receipt=f"posta-certificata@{min(domains)}",
        managed_domains=domains,
        description=draw(st.one_of(st.none(), NAMES)),
    )


@given(HOSTILE, ENDS, VALUES, st.binary(max_size=60))
def ldif(lines: list[bytes], end: bytes, values: list[tuple[str, bytes]], noise: bytes) -> None:
    for data in (end.join(lines), noise, end.join(lines) + noise):
        assert all(isinstance(each, LdifRecord | LdifFault) for each in read_ldif(data))
    written = write_record("o=x", [(name, value) for name, value in values if name not in {"dn", "version"}])
    (record,) = read_ldif(written.replace(b"\n", end))
    if isinstance(record, LdifRecord):
        for name in record.attributes:
            assert list(record.all(name)) == [value for each, value in values if each == name]
    else:
        assert any(name == "changetype" for name, _ in values)


@given(HOSTILE, ENDS, st.lists(records(), max_size=5))
def indexes(lines: list[bytes], end: bytes, well_formed: list[ProviderRecord]) -> None:
    good = write_ldif(well_formed)
    previous = read_directory(good)
    assert set(previous.records) <= set(well_formed)
    assert len(previous.records) + len(previous.refused) == len(well_formed)
    for data in (end.join(lines), good + b"\n" + end.join(lines), good[: len(good) // 2]):
        found = read_directory(data, previous=previous)
        owners: dict[str, str] = {}
        for record in found.records:
            assert record.certificates
            assert record.managed_domains
            for domain in record.managed_domains:
                assert owners.setdefault(domain, record.owner) == record.owner
                assert found.is_certified(domain.upper())
            for certificate in record.certificates:
                holder = found.by_certificate(certificate)
                assert holder is not None
                assert holder.managed_domains >= record.managed_domains
