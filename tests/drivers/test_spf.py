"""SPF by RFC 7208: each mechanism, each bound, and a second opinion from pyspf."""

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
import spf as second_opinion

from gateway.drivers.spf import check_spf
from gateway.drivers.spf_record import BadRecord, parse_record
from gateway.points.authentication import Result
from tests.drivers.zone import Zone

RECORDS = {
    "host.mail.example A": ["192.0.2.10"],
    "host.mail.example AAAA": ["2001:db8::10"],
    "mail.example A": ["192.0.2.1"],
    "mail.example MX": ["10 mx1.mail.example", "20 mx2.mail.example"],
    "mx1.mail.example A": ["192.0.2.11"],
    "mx2.mail.example A": ["192.0.2.12"],
    "many.example MX": [f"{n} mx1.mail.example" for n in range(11)],
    "10.2.0.192.in-addr.arpa PTR": ["host.mail.example", "other.example"],
    "99.2.0.192.in-addr.arpa PTR": ["host.mail.example"],
    "yes.example TXT": ["v=spf1 ip4:192.0.2.0/24 -all"],
    "no.example TXT": ["v=spf1 -all"],
    "soft.example TXT": ["v=spf1 ~all"],
    "wrong.example TXT": ["v=spf1 ip5:1.2.3.4 -all"],
    "two.example TXT": ["v=spf1 -all", "v=spf1 +all"],
    "other-text.example TXT": ["google-site-verification=1", "v=spf10 +all"],
    "around.example TXT": ["v=spf1 include:around.example -all"],
    "anna.x.sub.example A": ["127.0.0.2"],
    "10.2.0.192.list.example A": ["127.0.0.2"],
    "broken-inside.example TXT": ["v=spf1 include:broken.example -all"],
}
ADDRESS = "192.0.2.10"
P, F, S, N, NO, T, E = (
    Result.PASS,
    Result.FAIL,
    Result.SOFTFAIL,
    Result.NEUTRAL,
    Result.NONE,
    Result.TEMPERROR,
    Result.PERMERROR,
)
CASES: Sequence[tuple[str, str, Result]] = [
    ("v=spf1", ADDRESS, N),
    ("v=spf1 -all", ADDRESS, F),
    ("v=spf1 +all", ADDRESS, P),
    ("v=spf1 ~all", ADDRESS, S),
    ("v=spf1 ?all", ADDRESS, N),
    ("V=SPF1 ALL", ADDRESS, P),
    ("v=spf1 ip4:192.0.2.10 -all", ADDRESS, P),
    ("v=spf1 ip4:192.0.2.0/28 -all", ADDRESS, P),
    ("v=spf1 ip4:192.0.2.0/29 -all", ADDRESS, F),
    ("v=spf1 ip4:192.0.2.10/33 -all", ADDRESS, E),
    ("v=spf1 ip4:192.0.2 -all", ADDRESS, E),
    ("v=spf1 ip4 -all", ADDRESS, E),
    ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::10", P),
    ("v=spf1 ip6:2001:db8::/32 -all", ADDRESS, F),
    ("v=spf1 ip4:192.0.2.10 -all", "::ffff:192.0.2.10", P),
    ("v=spf1 ip6:2001:db8::/129 -all", "2001:db8::10", E),
    ("v=spf1 a:host.mail.example -all", ADDRESS, P),
    ("v=spf1 a:host.mail.example -all", "2001:db8::10", P),
    ("v=spf1 a:host.mail.example//64 -all", "2001:db8::99", P),
    ("v=spf1 a:host.mail.example/24 -all", "192.0.2.99", P),
    ("v=spf1 a:host.mail.example/24//64 -all", "192.0.2.99", P),
    ("v=spf1 a:host.mail.example/33 -all", ADDRESS, E),
    ("v=spf1 a:host.mail.example/024 -all", ADDRESS, E),
    ("v=spf1 a -all", "192.0.2.1", P),
    ("v=spf1 a/24 -all", "192.0.2.99", P),
    ("v=spf1 a: -all", ADDRESS, E),
    ("v=spf1 a:nowhere.example -all", ADDRESS, F),
    ("v=spf1 a:museum -all", ADDRESS, E),
    ("v=spf1 a:1.2.3.4 -all", ADDRESS, E),
    ("v=spf1 a:host.mail.example. -all", ADDRESS, P),
    ("v=spf1 mx -all", "192.0.2.12", P),
    ("v=spf1 mx -all", ADDRESS, F),
    ("v=spf1 mx/24 -all", ADDRESS, P),
    ("v=spf1 mx:many.example -all", ADDRESS, E),
    ("v=spf1 ptr -all", ADDRESS, P),
    ("v=spf1 ptr:mail.example -all", ADDRESS, P),
    ("v=spf1 ptr:other.example -all", ADDRESS, F),  # its name does not lead back
    ("v=spf1 ptr -all", "192.0.2.99", F),
    ("v=spf1 ptr -all", "192.0.2.98", F),
    ("v=spf1 include:yes.example -all", ADDRESS, P),
    ("v=spf1 include:no.example ?all", ADDRESS, N),
    ("v=spf1 include:soft.example ?all", ADDRESS, N),
    ("v=spf1 -include:yes.example +all", ADDRESS, F),
    ("v=spf1 include:nowhere.example +all", ADDRESS, E),
    ("v=spf1 include:wrong.example +all", ADDRESS, E),
    ("v=spf1 include +all", ADDRESS, E),
    ("v=spf1 include:broken.example -all", ADDRESS, T),
    ("v=spf1 include:broken-inside.example -all", ADDRESS, T),
    ("v=spf1 include:around.example -all", ADDRESS, E),  # ten lookups, then no more
    ("v=spf1 exists:%{l}.x.sub.example -all", ADDRESS, P),
    ("v=spf1 exists:%{ir}.list.example -all", ADDRESS, P),
    ("v=spf1 exists:%{i2r}.list.example -all", ADDRESS, F),
    ("v=spf1 exists:%{d}.nowhere.example -all", ADDRESS, F),
    ("v=spf1 exists:%{z}.x.example -all", ADDRESS, E),
    ("v=spf1 exists:%{c}.x.example -all", ADDRESS, E),  # a letter for explanations alone
    ("v=spf1 exists:%x.example -all", ADDRESS, E),
    ("v=spf1 redirect=yes.example", ADDRESS, P),
    ("v=spf1 redirect=no.example", ADDRESS, F),
    ("v=spf1 redirect=nowhere.example", ADDRESS, E),
    ("v=spf1 redirect=yes.example redirect=no.example", ADDRESS, E),
    ("v=spf1 +all redirect=nowhere.example", ADDRESS, P),
    ("v=spf1 redirect=two.example", ADDRESS, E),
    ("v=spf1 exp=why.mail.example unknown=%{d} -all", ADDRESS, F),
    ("v=spf1 exp=a.mail.example exp=b.mail.example -all", ADDRESS, E),
    ("v=spf1 unknown=%x -all", ADDRESS, E),
    ("v=spf1 all:x -all", ADDRESS, E),
    ("v=spf1 foo -all", ADDRESS, E),
    ("v=spf1 +all foo:bar", ADDRESS, E),  # the whole record is read first
    ("v=spf1  ip4:192.0.2.10   -all ", ADDRESS, P),
    ("v=spf1 a:n1.example a:n2.example a:n3.example -all", ADDRESS, E),  # two lookups may find nothing
    ("v=spf1" + " a:host.mail.example" * 11 + " +all", "198.51.100.1", E),
]


def zone(record: str) -> Zone:
    return Zone({**RECORDS, "mail.example TXT": [record]}, broken=frozenset({"broken.example"}))


@pytest.mark.parametrize(("record", "address", "result"), CASES)
async def test_each_record_has_its_result(record: str, address: str, result: Result) -> None:
    found = await check_spf(zone(record), address=address, helo="host.mail.example", reverse_path="anna@mail.example")
    assert (found.result, found.domain, found.by_helo) == (result, "mail.example", False)


@pytest.mark.parametrize(("record", "address", "result"), CASES)
def test_pyspf_says_the_same(record: str, address: str, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    known = zone(record)

    def look(name: str, kind: str, *_: Any, **__: Any) -> list[Any]:
        if name.rstrip(".") in known.broken:
            raise second_opinion.TempError("DNS")
        found: list[Any] = []
        for value in known.look(name, kind):
            match kind:
                case "TXT":
                    found.append(((name, kind), (value.encode(),)))
                case "MX":
                    preference, host = value.split()
                    found.append(((name, kind), (int(preference), host)))
                case _:
                    found.append(((name, kind), value))
        return found

    monkeypatch.setattr(second_opinion, "DNSLookup", look)
    answer, _ = second_opinion.check2(address, "anna@mail.example", "host.mail.example", querytime=0)
    assert answer == result.value


@pytest.mark.parametrize(
    ("reverse_path", "helo", "result", "domain", "by_helo"),
    [
        ("x@yes.example", "whatever", P, "yes.example", False),
        ("x@YES.example", "whatever", P, "yes.example", False),
        ("x@nothing.example", "whatever", NO, "nothing.example", False),
        ("x@other-text.example", "whatever", NO, "other-text.example", False),
        ("x@localhost", "whatever", NO, "localhost", False),
        ("x@" + "a" * 64 + ".example", "whatever", NO, "a" * 64 + ".example", False),
        ("x@broken.example", "whatever", T, "broken.example", False),
        ("", "yes.example", P, "yes.example", True),  # a bounce: by the name the host gave
        ("", "no.example", F, "no.example", True),
        ("", "", NO, "", True),
        ("", "[192.0.2.10]", NO, "[192.0.2.10]", True),
    ],
)
async def test_the_identity_is_the_reverse_path_else_helo(
    reverse_path: str, helo: str, result: Result, domain: str, by_helo: bool
) -> None:
    found = await check_spf(zone("v=spf1 -all"), address=ADDRESS, helo=helo, reverse_path=reverse_path)
    assert (found.result, found.domain, found.by_helo) == (result, domain, by_helo)


async def test_the_questions_are_bounded_whatever_records_say() -> None:
    """Ten terms that ask, ten hosts of an MX."""
    hosts = {f"h{n}.example A": ["198.51.100.1"] for n in range(10)}
    mx = {"wide.example MX": [f"{n} h{n}.example" for n in range(10)]}
    asked = Zone({**hosts, **mx, "mail.example TXT": ["v=spf1" + " mx:wide.example" * 12 + " -all"]})
    found = await check_spf(asked, address=ADDRESS, helo="h", reverse_path="x@mail.example")
    assert found.result is E
    assert len(asked.asked) <= 1 + 10 * 11


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 a:" + "a" * 1_900,
        "v=spf1 a:" + "%{d}" * 480,
        "v=spf1 a:" + "." * 1_900,
        "v=spf1 exists:" + "%{d1" * 480,
        "v=spf1 a:" + "/" * 1_900,
        "v=spf1 " + "a=%{d-----}" * 170,
        "v=spf1 " + "x" * 100_000,
    ],
)
def test_no_record_takes_long_to_read(record: str) -> None:
    with contextlib.suppress(BadRecord):
        parse_record(record)
