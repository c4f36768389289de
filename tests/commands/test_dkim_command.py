"""``ceralacca domain dkim`` and ``domain dns``: keys on disk, records that a name server takes as they are."""

from collections.abc import Callable
from pathlib import Path

import dkim
import dns.name
import dns.rdatatype
import dns.zone
import pytest
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.drivers.dkim_keys import DkimKeys
from gateway.drivers.dkim_signer import dkim_signature
from receipts.octets import Octets
from receipts.scanner import scan_header
from tests.drivers.test_dkim import AT

Run = Callable[..., Result]
RAW = b"From: posta-certificata@alfa.example\r\nSubject: x\r\n\r\nx\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dkim"


@pytest.fixture
def run(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    file = tmp_path / "gateway.toml"
    file.write_text(example_toml())
    monkeypatch.setenv("CERALACCA_PROVIDER__DOMAIN", "alfa.example")
    monkeypatch.setenv("CERALACCA_PROVIDER__SERVICE_ADDRESS", "posta-certificata@alfa.example")
    monkeypatch.setenv("CERALACCA_DKIM__FOLDER", str(folder))

    def ceralacca(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["domain", *arguments, "--config", str(file)])

    return ceralacca


def zone_of(output: str, domain: str) -> dns.zone.Zone:
    """The lines that were printed, read as a name server reads them."""
    basis = f"{domain}. 60 IN SOA ns.{domain}. x.{domain}. 1 1 1 1 1\n{domain}. 60 IN NS ns.{domain}.\n"
    return dns.zone.from_text(basis + output, origin=f"{domain}.", relativize=False)


def text(zone: dns.zone.Zone, name: str) -> bytes:
    found = zone.find_rdataset(dns.name.from_text(name), dns.rdatatype.TXT)
    return b"".join(found[0].strings)


def signed_with(folder: Path, zone: dns.zone.Zone) -> bool:
    """Whether what is signed now holds by the records of the zone."""
    key = DkimKeys(folder).current("alfa.example")
    assert key is not None
    message = Octets.of(RAW)
    raw = dkim_signature(message, scan_header(message), key, AT) + RAW
    return bool(dkim.verify(raw, dnsfunc=lambda name, timeout=5: text(zone, name.decode())))


def test_the_first_key_signs_at_once_and_what_is_printed_publishes_it(run: Run, folder: Path) -> None:
    result = run("dkim", "alfa.example")
    assert result.exit_code == 0
    assert signed_with(folder, zone_of(result.output, "alfa.example"))
    assert run("dkim", "alfa.example").output == result.output  # said again, nothing is made
    assert len(DkimKeys(folder).selectors("alfa.example")) == 1


def test_a_key_is_replaced_without_a_moment_in_which_none_holds(run: Run, folder: Path) -> None:
    before = zone_of(run("dkim", "alfa.example", "--selector", "one").output, "alfa.example")
    result = run("dkim", "alfa.example", "--rotate", "--selector", "Two")
    assert "; one: in use\n" in result.output
    assert "; two: not in use\n" in result.output
    both = zone_of(result.output, "alfa.example")
    assert signed_with(folder, before)
    assert signed_with(folder, both)
    assert run("dkim", "alfa.example", "--remove", "one").exit_code == 1  # still in use
    assert "signs with two from now on" in run("dkim", "alfa.example", "--use", "two").output
    assert signed_with(folder, both)
    assert run("dkim", "alfa.example", "--remove", "one").exit_code == 0
    after = run("dkim", "alfa.example").output
    assert "one" not in after
    assert signed_with(folder, zone_of(after, "alfa.example"))


def test_keys_of_one_day_have_names_of_their_own(run: Run, folder: Path) -> None:
    for _ in range(3):
        assert run("dkim", "alfa.example", "--rotate").exit_code == 0
    assert len(DkimKeys(folder).selectors("alfa.example")) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["alfa.example", "--use", "none"],
        ["alfa.example", "--remove", "none"],
        ["alfa.example", "--selector", "../x"],
        ["alfa.example", "--selector", "a b"],
        ["alfa.example", "--selector", "é"],
        ["alfa.example", "--selector", "x" * 64],
    ],
)
def test_nonsense_is_refused(run: Run, arguments: list[str]) -> None:
    assert run("dkim", *arguments).exit_code == 1


def test_a_selector_is_never_used_twice(run: Run) -> None:
    run("dkim", "alfa.example", "--selector", "one")
    assert run("dkim", "alfa.example", "--selector", "ONE").exit_code == 1


def test_without_a_folder_there_are_no_keys_but_the_other_records(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CERALACCA_DKIM__FOLDER")
    assert run("dkim", "alfa.example").exit_code == 1
    assert run("dns", "alfa.example").exit_code == 0


def test_a_customer_s_domain_is_told_that_no_mail_comes_from_it(run: Run) -> None:
    result = run("dkim", "comune.example")
    assert "no mail comes from comune.example itself" in result.output
    assert "alfa.example" in result.output


@pytest.mark.parametrize("domain", ["alfa.example", "città.example"])
def test_every_record_of_a_domain(run: Run, domain: str) -> None:
    """For a customer's domain as for our own: the MX is ours, and so is who may send for it."""
    wire = domain.encode("idna").decode()
    run("dkim", domain)
    zone = zone_of(run("dns", domain).output, wire)
    [exchanger] = zone.find_rdataset(dns.name.from_text(wire), dns.rdatatype.MX)
    assert str(exchanger.exchange) == "alfa.example."
    assert text(zone, wire) == b"v=spf1 mx a:alfa.example -all"
    assert text(zone, f"_dmarc.{wire}") == b"v=DMARC1; p=reject; rua=mailto:postmaster@alfa.example"
    [selector] = [name for name in zone.nodes if b"_domainkey" in name.labels]
    assert text(zone, str(selector)).startswith(b"v=DKIM1; k=rsa; p=")
    [submission] = zone.find_rdataset(dns.name.from_text(f"_submissions._tcp.{wire}"), dns.rdatatype.SRV)
    assert (submission.port, str(submission.target)) == (465, "alfa.example.")
