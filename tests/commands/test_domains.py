"""``ceralacca domain add`` and ``remove``, aliases that go again, and what the index knows of an address."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.lab.authority import Authority
from providers.directory import ProviderRecord, sign_index, write_ldif

Run = Callable[..., Result]
ANNA = "anna@alfa.example"


def record(authority: Authority, name: str, *domains: str) -> ProviderRecord:
    service = f"posta-certificata@{domains[0]}"
    return ProviderRecord(
        name=name,
        certificates=(authority.provider_certificate(name, service).der,),
        mail_receipt=service,
        managed_domains=frozenset(domains),
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command at Alfa PEC, beside an index that lists it and Beta PEC."""
    at = datetime.now(UTC)
    authority = Authority.create([("Alfa PEC", "alfa.example"), ("Beta PEC", "beta.example")], at)
    records = [
        record(authority, "Alfa PEC", "alfa.example", "studio.example"),
        record(authority, "Beta PEC", "beta.example"),
    ]
    signed = sign_index(write_ldif(records), authority.index_signer().signer(), at)
    (tmp_path / "index.ldif.p7m").write_bytes(signed)
    (tmp_path / "index-ca.pem").write_bytes(authority.root_pem)
    file = tmp_path / "gateway.toml"
    file.write_text(example_toml())
    monkeypatch.setenv("CERALACCA_PROVIDER__NAME", "Alfa PEC")
    monkeypatch.setenv("CERALACCA_PROVIDER__DOMAIN", "alfa.example")
    monkeypatch.setenv("CERALACCA_PROVIDER__SERVICE_ADDRESS", "posta-certificata@alfa.example")
    monkeypatch.setenv("CERALACCA_STORAGE__URL", f"sqlite:///{tmp_path}/ceralacca.sqlite")

    def ceralacca(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(file)], input=given)

    assert ceralacca("domain", "add", "alfa.example", "studio.example", "new.example").exit_code == 0
    assert ceralacca("account", "add", ANNA, given="correct horse battery\n").exit_code == 0
    return ceralacca


def test_a_domain_of_another_provider_is_not_taken_by_mistake(run: Run) -> None:
    refused = run("domain", "add", "beta.example")
    assert refused.exit_code == 1
    assert refused.output == "beta.example: the index says that Beta PEC manages it; --takeover if it comes to us\n"
    assert "beta.example" not in run("domain", "list").output
    assert run("domain", "add", "beta.example", "--takeover").output == "beta.example: added\n"


def test_a_domain_without_addresses_can_be_removed(run: Run) -> None:
    assert run("domain", "remove", "new.example").output == "new.example: removed\n"
    assert run("domain", "list").output == "alfa.example\nstudio.example\n"
    assert run("domain", "remove", "new.example").output == "new.example is not a domain of this provider\n"
    assert "is the provider's own" in run("domain", "remove", "alfa.example").output


def test_a_domain_with_a_box_or_an_alias_stays(run: Run) -> None:
    assert run("account", "alias", ANNA, "anna@studio.example").exit_code == 0
    refused = run("domain", "remove", "studio.example")
    assert refused.exit_code == 1
    assert refused.output.startswith("studio.example: anna@studio.example is an address in it")
    assert run("account", "alias", ANNA, "anna@studio.example", "--remove").exit_code == 0
    assert run("domain", "remove", "studio.example").exit_code == 0


def test_an_alias_of_others_is_not_removed(run: Run) -> None:
    assert run("account", "alias", ANNA, "a@alfa.example").exit_code == 0
    for strange in ("b@alfa.example", ANNA):
        assert run("account", "alias", ANNA, strange, "--remove").output == f"{strange} is no alias of {ANNA}\n"
    assert run("account", "alias", ANNA, "a@alfa.example", "--remove").output == "a@alfa.example: removed\n"
    assert run("account", "alias", ANNA, "a@alfa.example").output == f"a@alfa.example: leads to {ANNA}\n"


@pytest.mark.parametrize("target", ["bruno@beta.example", "bruno@studio.example"])
def test_nothing_is_forwarded_to_certified_addresses_by_rule_or_policy(run: Run, target: str) -> None:
    for command in (
        ("account", "rule", "add", ANNA, "--forward", target),
        ("account", "policy", ANNA, "--ordinary", "forward", "--to", target),
    ):
        refused = run(*command)
        assert refused.exit_code == 1
        assert refused.output == f"{target}: is a certified address; forwards go to ordinary ones\n"
    assert run("account", "rule", "list", ANNA).output == "no rules\n"
