"""What follows from a scanner's word, for every word and every policy."""

from itertools import product
from typing import get_args

import pytest

from gateway.points.incoming import Scan
from gateway.points.screening import CLEAN, Finding, Look, NotScreened, ScanPolicy, Verdict, finding

POLICIES = [
    ScanPolicy(encrypted=encrypted, unscannable=unscannable)
    for encrypted, unscannable in product(
        get_args(ScanPolicy.__annotations__["encrypted"]), get_args(ScanPolicy.__annotations__["unscannable"])
    )
]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_no_policy_lets_a_virus_pass_or_stops_what_is_clean(policy: ScanPolicy) -> None:
    assert finding(Verdict(Look.CLEAN), policy) == CLEAN
    found = finding(Verdict(Look.INFECTED, "Eicar"), policy)
    assert found.scan is Scan.INFECTED
    assert found.reason is not None
    assert (found.reason.italian, found.reason.english) == ("Eicar", "Eicar")


def test_a_virus_without_a_name_has_one_in_the_notices() -> None:
    found = finding(Verdict(Look.INFECTED), ScanPolicy())
    assert found.reason is not None
    assert found.reason.italian == "virus"


@pytest.mark.parametrize(
    ("look", "policy", "expected"),
    [
        (Look.ENCRYPTED, ScanPolicy(encrypted="pass"), "pass"),
        (Look.ENCRYPTED, ScanPolicy(encrypted="refuse"), "refuse"),
        (Look.INCOMPLETE, ScanPolicy(unscannable="pass"), "pass"),
        (Look.INCOMPLETE, ScanPolicy(unscannable="refuse"), "refuse"),
        (Look.INCOMPLETE, ScanPolicy(unscannable="defer"), "defer"),
        (Look.INCOMPLETE, ScanPolicy(), "defer"),
        (Look.ENCRYPTED, ScanPolicy(), "pass"),
    ],
)
def test_a_doubt_is_decided_by_the_policy(look: Look, policy: ScanPolicy, expected: str) -> None:
    verdict = Verdict(look, "Heuristics.X")
    if expected == "defer":
        with pytest.raises(NotScreened, match=r"Heuristics\.X"):
            finding(verdict, policy)
        return
    found: Finding = finding(verdict, policy)
    assert (found.scan is Scan.INFECTED) is (expected == "refuse")
    assert bool(found.remark) is (expected == "pass")
    told = found.reason.english if found.reason is not None else found.remark
    assert "Heuristics.X" in told
