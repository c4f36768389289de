"""Names, ports and passwords of a lab."""

import json
from pathlib import Path

import pytest

from gateway.lab.plan import MAX_PROVIDERS, SERVICES, LabPlan, NoPlan, load_or_draw


def ports(plan: LabPlan) -> list[int]:
    return [plan.ordinary_port, *(port for one in plan.providers for port in one.ports.values())]


def test_no_port_and_no_password_is_given_twice(tmp_path: Path) -> None:
    plan = load_or_draw(tmp_path, providers=MAX_PROVIDERS, accounts=12)
    assert len(set(ports(plan))) == len(ports(plan)) == 1 + len(SERVICES) * MAX_PROVIDERS
    accounts = [account for one in plan.providers for account in (one.service, *one.accounts)]
    assert len({account.password for account in accounts}) == len(accounts)
    assert len({account.address for account in accounts}) == len(accounts)
    assert [account.address for account in plan.providers[0].accounts[-3:]] == [
        *("luca@alfa.example", "anna2@alfa.example", "bruno2@alfa.example")
    ]


def test_a_password_can_be_given_to_any_program(tmp_path: Path) -> None:
    plan = load_or_draw(tmp_path, providers=1, accounts=100)
    assert all(account.password.isalnum() for account in plan.providers[0].accounts)


def test_a_kept_plan_grows_and_never_shrinks(tmp_path: Path) -> None:
    first = load_or_draw(tmp_path, providers=2, accounts=3)
    assert load_or_draw(tmp_path, providers=1, accounts=1) == first
    grown = load_or_draw(tmp_path, providers=3, accounts=4)
    assert len(grown.providers) == 3
    for before, after in zip(first.providers, grown.providers, strict=False):
        assert (after.ports, after.service) == (before.ports, before.service)
        assert (after.accounts[:3], len(after.accounts)) == (before.accounts, 4)
    assert len(set(ports(grown))) == len(ports(grown))
    assert load_or_draw(tmp_path, providers=2, accounts=3) == grown


def test_a_plan_older_than_a_service_gets_a_port_for_it(tmp_path: Path) -> None:
    first = load_or_draw(tmp_path, providers=1, accounts=1)
    file = tmp_path / "plan.json"
    raw = json.loads(file.read_text())
    del raw["providers"][0]["ports"]["imaps"]
    file.write_text(json.dumps(raw))
    again = load_or_draw(tmp_path, providers=1, accounts=1)
    kept = {service: port for service, port in first.providers[0].ports.items() if service != "imaps"}
    assert {service: again.providers[0].ports[service] for service in kept} == kept
    assert again.providers[0].ports["imaps"] not in kept.values()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    load_or_draw(tmp_path, providers=1, accounts=1)
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"providers": [{"name": "x"}]}), "\xff"])
def test_something_else_under_its_name_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content, encoding="latin-1")
    with pytest.raises(NoPlan, match=r"plan\.json: this is not the plan of a lab"):
        load_or_draw(tmp_path, providers=1, accounts=1)
