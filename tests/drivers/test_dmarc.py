"""DMARC: who speaks for the author's domain, and what that domain asks for."""

import pytest

from gateway.drivers.dmarc import check_dmarc
from gateway.points.authentication import Dkim, Dmarc, Result, Spf
from tests.drivers.zone import Zone

RECORDS = {
    "_dmarc.mail.example TXT": ["v=DMARC1; p=reject"],
    "_dmarc.strict.example TXT": ["v=DMARC1; p=quarantine; adkim=s; aspf=s"],
    "_dmarc.parent.example TXT": ["v=DMARC1; p=reject; sp=none"],
    "_dmarc.own.parent.example TXT": ["V=DMARC1 ; P=Quarantine"],
    "_dmarc.co.example TXT": ["v=DMARC1; p=reject; psd=y"],
    "_dmarc.unit.big.example TXT": ["v=DMARC1; p=none; psd=n"],
    "_dmarc.big.example TXT": ["v=DMARC1; p=none"],
    "_dmarc.two.example TXT": ["v=DMARC1; p=reject", "v=DMARC1; p=none"],
    "_dmarc.wrong.example TXT": ["v=spf1 -all"],
    "_dmarc.odd.example TXT": ["v=DMARC1; p=whatever"],
}
NOTHING = Spf(result=Result.NONE)


def spf(domain: str, result: Result = Result.PASS) -> Spf:
    return Spf(result=result, domain=domain)


def dkim(domain: str, result: Result = Result.PASS) -> Dkim:
    return Dkim(result=result, domain=domain, selector="s")


P, F, NO = Result.PASS, Result.FAIL, Result.NONE


@pytest.mark.parametrize(
    ("author", "by_spf", "by_dkim", "result", "policy"),
    [
        ("mail.example", spf("mail.example"), (), P, "reject"),
        ("mail.example", spf("bounces.mail.example"), (), P, "reject"),  # relaxed
        ("mail.example", spf("other.example"), (), F, "reject"),
        ("mail.example", spf("mail.example", Result.SOFTFAIL), (), F, "reject"),
        ("mail.example", NOTHING, (dkim("mail.example"),), P, "reject"),
        ("mail.example", NOTHING, (dkim("other.example"), dkim("a.mail.example")), P, "reject"),
        ("mail.example", NOTHING, (dkim("mail.example", Result.FAIL),), F, "reject"),
        ("mail.example", NOTHING, (), F, "reject"),
        ("a.b.mail.example", spf("c.mail.example"), (), P, "reject"),  # the organisation's record counts
        ("strict.example", spf("a.strict.example"), (dkim("a.strict.example"),), F, "quarantine"),
        ("strict.example", spf("strict.example"), (), P, "quarantine"),
        ("x.parent.example", NOTHING, (), F, "none"),  # what it says of those below
        ("own.parent.example", NOTHING, (), F, "quarantine"),
        ("own.parent.example", spf("parent.example"), (), P, "quarantine"),
        ("a.co.example", spf("a.co.example"), (), P, "reject"),
        ("a.co.example", spf("b.co.example"), (), F, "reject"),  # a public suffix: strangers to each other
        ("x.unit.big.example", spf("big.example"), (), F, "none"),  # a unit that stands by itself
        ("x.unit.big.example", spf("y.unit.big.example"), (), P, "none"),
        ("two.example", spf("two.example"), (), NO, ""),
        ("wrong.example", spf("wrong.example"), (), NO, ""),
        ("nothing.example", spf("nothing.example"), (), NO, ""),
        ("odd.example", NOTHING, (), F, "none"),
        ("", spf("mail.example"), (), NO, ""),
        ("localhost", spf("localhost"), (), NO, ""),
    ],
)
async def test_each_case(author: str, by_spf: Spf, by_dkim: tuple[Dkim, ...], result: Result, policy: str) -> None:
    found = await check_dmarc(Zone(RECORDS), author_domain=author, spf=by_spf, dkim=by_dkim)
    assert (found.result, found.policy) == (result, policy)


async def test_nobody_can_tell() -> None:
    broken = Zone(RECORDS, broken=frozenset({"_dmarc.mail.example"}))
    assert (await check_dmarc(broken, author_domain="mail.example", spf=NOTHING, dkim=())).result is Result.TEMPERROR


@pytest.mark.parametrize(
    ("by_spf", "by_dkim"),
    [(spf("mail.example", Result.TEMPERROR), ()), (NOTHING, (dkim("mail.example", Result.TEMPERROR),))],
)
async def test_what_might_have_passed_is_no_failure(by_spf: Spf, by_dkim: tuple[Dkim, ...]) -> None:
    found = await check_dmarc(Zone(RECORDS), author_domain="mail.example", spf=by_spf, dkim=by_dkim)
    assert found == Dmarc(result=Result.TEMPERROR, domain="mail.example", policy="reject")


async def test_the_walk_up_is_bounded() -> None:
    zone = Zone({})
    await check_dmarc(zone, author_domain=".".join(["a"] * 60) + ".example", spf=spf("b.example"), dkim=())
    assert len(zone.asked) == 8
