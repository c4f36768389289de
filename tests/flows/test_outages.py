"""Outages are known by mail hosts, end once, and count ever more seldom when they come one after the other."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from gateway.drivers.dialer import Target
from gateway.drivers.smtp_client import Destination
from gateway.drivers.tls import TlsPolicy
from gateway.flows import outages as module
from gateway.flows.outages import LONGEST_REST, REST, Outages

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
BETA, GAMMA = "beta.example", "gamma.example"
NOTHING: frozenset[str] = frozenset()


def to(*hosts: str) -> Destination:
    return Destination(tuple(Target(host, 25) for host in hosts), TlsPolicy.VERIFY)


@pytest.fixture
def outages() -> Outages:
    return Outages()


def test_who_was_never_unreachable_has_no_mail_waiting(outages: Outages) -> None:
    assert outages.over(BETA, to("mx.beta.example"), NOW) == NOTHING


def test_an_outage_ends_once(outages: Outages) -> None:
    outages.began(BETA, to("mx.beta.example"), NOW)
    assert outages.over(BETA, to("mx.beta.example"), NOW) == {BETA}
    assert outages.over(BETA, to("mx.beta.example"), NOW) == NOTHING


def test_another_host_ends_nothing(outages: Outages) -> None:
    outages.began(BETA, to("mx.beta.example"), NOW)
    assert outages.over(GAMMA, to("mx.gamma.example"), NOW) == NOTHING


def test_all_domains_behind_the_same_hosts_are_reachable_again_together(outages: Outages) -> None:
    outages.began(BETA, to("mx1.provider.example", "mx2.provider.example"), NOW)
    outages.began(GAMMA, to("mx2.provider.example", "MX1.provider.example"), NOW)
    assert outages.over("new.example", to("mx2.provider.example", "mx1.provider.example"), NOW) == {BETA, GAMMA}


def test_a_domain_whose_hosts_could_not_be_found_out_is_reachable_when_its_mail_arrives(outages: Outages) -> None:
    outages.began(BETA, None, NOW)
    assert outages.over(GAMMA, to("mx.gamma.example"), NOW) == NOTHING
    assert outages.over(BETA, to("mx.beta.example"), NOW) == {BETA}


def test_by_turns_reachable_and_not_it_is_tried_ever_more_seldom(outages: Outages) -> None:
    """Else one message at which a peer hangs up would be tried every second as long as others pass."""
    at, ends = NOW, []
    while at < NOW + timedelta(hours=2):
        outages.began(BETA, to("mx.beta.example"), at)
        if outages.over(BETA, to("mx.beta.example"), at):
            ends.append(at)
        at += timedelta(seconds=1)
    rests = [later - earlier for earlier, later in pairwise(ends)]
    assert rests[:4] == [REST, 2 * REST, 4 * REST, 8 * REST]
    assert rests == sorted(rests)
    assert rests[-1] == LONGEST_REST
    assert len(ends) < 20


def test_an_outage_much_later_is_a_new_one(outages: Outages) -> None:
    outages.began(BETA, to("mx.beta.example"), NOW)
    outages.over(BETA, to("mx.beta.example"), NOW)
    later = NOW + timedelta(hours=1)
    outages.began(BETA, to("mx.beta.example"), later)
    assert outages.over(BETA, to("mx.beta.example"), later) == {BETA}


def test_what_could_not_follow_at_once_follows_after_a_short_rest(outages: Outages) -> None:
    outages.began(BETA, to("mx.beta.example"), NOW)
    at = NOW
    for _ in range(20):
        domains = outages.over(BETA, to("mx.beta.example"), at)
        assert domains == {BETA}
        outages.goes_on(domains, to("mx.beta.example"), at)
        assert outages.over(BETA, to("mx.beta.example"), at) == NOTHING
        at += REST


def test_a_clock_that_is_put_back_does_not_hold_mail_up(outages: Outages) -> None:
    outages.began(BETA, to("mx.beta.example"), NOW)
    outages.over(BETA, to("mx.beta.example"), NOW)
    before = NOW - timedelta(days=1)
    outages.began(BETA, to("mx.beta.example"), before)
    assert outages.over(BETA, to("mx.beta.example"), before) == {BETA}


def test_memory_is_bounded(outages: Outages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OUTAGES", 3)
    monkeypatch.setattr(module, "MOST_DOMAINS", 2)
    for number in range(5):
        outages.began(f"d{number}.example", to("mx.provider.example"), NOW)
    assert outages.over("d9.example", to("mx.provider.example"), NOW) == {"d0.example", "d1.example"}
    for number in range(10):
        outages.began(f"d{number}.example", to(f"mx{number}.example"), NOW)
    assert len(outages._outages) == 3
    assert outages.over("d0.example", to("mx0.example"), NOW) == NOTHING
    assert outages.over("d9.example", to("mx9.example"), NOW) == {"d9.example"}
