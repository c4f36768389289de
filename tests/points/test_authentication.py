"""Verdicts on the origin of ordinary mail, as programs and as people read them."""

import pytest

from gateway.points.authentication import (
    Authentication,
    Dkim,
    Dmarc,
    Result,
    Spf,
    authentication_results,
    forged_results,
    told,
)
from receipts.octets import Octets
from receipts.scanner import scan_header

FOUND = Authentication(
    spf=Spf(result=Result.PASS, domain="mail.example"),
    dkim=(
        Dkim(result=Result.FAIL, domain="mail.example", selector="s1", reason="body hash did not verify"),
        Dkim(result=Result.PASS, domain="list.example", selector="s2"),
    ),
    dmarc=Dmarc(result=Result.PASS, domain="mail.example", policy="reject"),
)


def test_the_field_is_that_of_rfc_8601() -> None:
    assert authentication_results("alfa.example", FOUND).decode().split("\r\n") == [
        "Authentication-Results: alfa.example;",
        " spf=pass smtp.mailfrom=mail.example;",
        ' dkim=fail reason="body hash did not verify" header.d=mail.example header.s=s1;',
        " dkim=pass header.d=list.example header.s=s2;",
        " dmarc=pass (p=reject) header.from=mail.example",
        "",
    ]


def test_a_bounce_is_judged_by_helo_and_what_is_not_there_is_not_named() -> None:
    found = Authentication(
        spf=Spf(result=Result.NONE, domain="mx.mail.example", by_helo=True),
        dkim=(Dkim(result=Result.NONE),),
        dmarc=Dmarc(result=Result.TEMPERROR),
    )
    lines = authentication_results("alfa.example", found).decode()
    assert lines == (
        "Authentication-Results: alfa.example;\r\n spf=none smtp.helo=mx.mail.example;\r\n dkim=none;\r\n"
        " dmarc=temperror\r\n"
    )


@pytest.mark.parametrize(
    "domain", ["a\r\nX: y.example", 'a"b.example', "a;b.example", "a b.example", "à.example", "x" * 5_000, "[1.2.3.4]"]
)
def test_what_a_stranger_wrote_stays_in_its_place(domain: str) -> None:
    found = Authentication(
        spf=Spf(result=Result.FAIL, domain=domain),
        dkim=(Dkim(result=Result.PASS, domain=domain, selector=domain, reason=domain),),
        dmarc=Dmarc(result=Result.FAIL, domain=domain),
    )
    field = authentication_results("alfa.example", found)
    header = scan_header(Octets.of(field + b"\r\n"))
    assert [one.name for one in header.fields] == ["Authentication-Results"]
    assert not header.faults
    assert field.count(b"\r\n") == 4
    assert max(map(len, field.split(b"\r\n"))) < 998


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        ("alfa.example; spf=pass", True),
        ("ALFA.example;spf=pass", True),
        (" alfa.example 1; none", True),
        ("(a comment) alfa.example; none", True),
        ('"alfa.example"; none', True),
        ("alfa.example", True),
        ("alfa.example.; none", True),
        ("\r\n alfa.example;\r\n spf=pass", True),
        ("mail.example; spf=pass", False),
        ("sub.alfa.example; spf=pass", False),
        ("alfa.example.evil; none", False),
        ("", False),
    ],
)
def test_verdicts_in_our_name_are_found(value: str, ours: bool) -> None:
    header = scan_header(Octets.of(f"Authentication-Results: {value}\r\nTo: x\r\n\r\n".encode()))
    assert bool(forged_results(header, "Alfa.example")) is ours


def test_people_read_one_line_in_each_language() -> None:
    note = told(FOUND)
    assert note.italian == (
        "Verifica del mittente: SPF superata [mail.example]; DKIM superata [list.example]; "
        "DMARC superata [mail.example, p=reject]"
    )
    assert note.english == (
        "Sender checks: SPF passed [mail.example]; DKIM passed [list.example]; DMARC passed [mail.example, p=reject]"
    )


@pytest.mark.parametrize("result", list(Result))
def test_each_result_has_its_words(result: Result) -> None:
    note = told(Authentication(spf=Spf(result=result), dkim=(Dkim(result=result),), dmarc=Dmarc(result=result)))
    assert note.italian != note.english
