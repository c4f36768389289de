"""``ceralacca index pull`` and ``push``, with a real LDAP server that has the schema of RFC 6109."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from providers.directory import read_directory, write_ldif
from providers.index_diff import changes
from providers.index_report import report_on
from tests import throwaway
from tests.drivers.slapd import ADMIN, PASSWORD, Slapd, slapd
from tests.providers.authorities import AT, Network, records
from tests.providers.fixtures import ca_file, net, root_file  # noqa: F401

URL = "https://index.example/index.ldif.p7m"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> throwaway.Throwaway:
    return throwaway.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(tmp_path: Path, tls: throwaway.Throwaway) -> Iterator[Slapd]:
    with slapd(tmp_path / "slapd", tls.certificate, tls.key) as started:
        yield started


@pytest.fixture
def admin(tmp_path: Path) -> tuple[str | Path, ...]:
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    return "--user", ADMIN, "--password-file", password


def ceralacca(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["index", *map(str, arguments)])


@pytest.fixture
def index(net: Network, tmp_path: Path) -> Path:  # noqa: F811
    """Two providers, one with a secondary environment and odd characters, and a certificate more."""
    alfa, beta = records(net)
    beta = replace(beta, name='Beta, PEC + "Figli"', certificates=(*beta.certificates, net.authority.root.der))
    unit = replace(beta, unit="Secondo ambiente", managed_domains=frozenset({"due.beta.example"}))
    file = tmp_path / "index.ldif"
    located = replace(alfa, ldif_url="https://alfa.example/record.ldif.p7m", description="Perché no")
    file.write_bytes(write_ldif([located, beta, unit], URL))
    return file


@pytest.mark.req("DIR-01", "DIR-02")
def test_an_index_goes_to_the_server_and_comes_back_the_same(
    server: Slapd, admin: tuple[str | Path, ...], index: Path, tmp_path: Path
) -> None:
    result = ceralacca("push", "--ldap", server.plain, "--file", index, *admin)
    assert result.exit_code == 0, result.output
    assert "4 entries added, 0 changed, 0 removed" in result.output
    back = tmp_path / "back.ldif"
    result = ceralacca("pull", "--ldap", server.plain, "--out", back)
    assert result.exit_code == 0, result.output
    assert "3 providers, 3 domains" in result.output
    before, after = (read_directory(file.read_bytes()) for file in (index, back))
    assert changes(before, after) == ()
    assert set(before.records) == set(after.records)
    assert not [each for each in report_on(back.read_bytes(), AT)[1] if each.rule.startswith("DIR")]
    again = ceralacca("push", "--ldap", server.plain, "--file", index, *admin)
    assert "0 entries added, 0 changed, 0 removed" in again.output


def test_what_changed_is_changed_and_what_is_gone_is_removed(
    server: Slapd,
    admin: tuple[str | Path, ...],
    index: Path,
    tmp_path: Path,
    net: Network,  # noqa: F811
) -> None:
    ceralacca("push", "--ldap", server.plain, "--file", index, *admin)
    alfa, _ = records(net)
    later = tmp_path / "later.ldif"
    moved = replace(alfa, managed_domains=frozenset({"alfa.example", "nuovo.example"}), certificates=(net.beta.der,))
    later.write_bytes(write_ldif([moved], URL))
    result = ceralacca("push", "--ldap", server.plain, "--file", later, *admin)
    assert "0 entries added, 1 changed, 2 removed" in result.output
    back = tmp_path / "back.ldif"
    ceralacca("pull", "--ldap", server.plain, "--out", back)
    assert changes(read_directory(later.read_bytes()), read_directory(back.read_bytes())) == ()


def test_other_programs_find_a_provider_by_its_domain_as_the_rfc_says(
    server: Slapd, admin: tuple[str | Path, ...], index: Path
) -> None:
    ceralacca("push", "--ldap", server.plain, "--file", index, *admin)
    command = ["ldapsearch", "-x", "-LLL", "-H", server.plain, "-b", "o=postacert"]
    found = subprocess.run([*command, "(managedDomains=ALFA.example)", "mailReceipt"], capture_output=True, text=True)
    if found.returncode == 127:
        pytest.skip("ldapsearch is not installed (apt: ldap-utils)")
    assert found.stdout.startswith(
        "dn: providerName=Alfa PEC,o=postacert\nmailReceipt: posta-certificata@alfa.example\n"
    )


def test_tls_is_verified_by_both_ways(
    server: Slapd, admin: tuple[str | Path, ...], index: Path, tls: throwaway.Throwaway, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = throwaway.make(other)
    trusted = ("--ca", tls.certificate)
    assert ceralacca("push", "--ldap", server.secure, "--file", index, *admin, *trusted).exit_code == 0
    assert ceralacca("pull", "--ldap", server.secure, *trusted).exit_code == 0
    start = server.plain.replace("127.0.0.1", "localhost")
    assert ceralacca("pull", "--ldap", start, "--start-tls", *trusted).exit_code == 0
    for way in (("--ldap", server.secure), ("--ldap", start, "--start-tls")):
        result = ceralacca("pull", *way, "--ca", stranger.certificate)
        assert result.exit_code == 2, result.output


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost/", "an address is ldaps://"),
        ("ldaps:///o=postacert", "an address is ldaps://"),
        ("ldap://directory.example", "not in clear to another machine"),
        ("ldap://10.0.0.1", "not in clear to another machine"),
        ("ldap://127.0.0.1:1", "ldap://127.0.0.1:1: "),
    ],
)
def test_where_nothing_can_be_read_safely_nothing_is(url: str, reason: str) -> None:
    result = ceralacca("pull", "--ldap", url)
    assert result.exit_code == 2
    assert reason in result.output


def test_nobody_changes_the_directory_without_a_password(server: Slapd, index: Path, tmp_path: Path) -> None:
    assert ceralacca("push", "--ldap", server.plain, "--file", index).exit_code == 2
    wrong, empty = tmp_path / "wrong", tmp_path / "empty"
    wrong.write_text("another")
    empty.write_text("\n")
    for file, reason in ((wrong, "nvalidCredentials"), (empty, "its first line is empty")):
        result = ceralacca("push", "--ldap", server.plain, "--file", index, "--user", ADMIN, "--password-file", file)
        assert result.exit_code == 2
        assert reason in result.output
        assert "another" not in result.output
    assert ceralacca("push", "--ldap", server.plain, "--file", index, "--user", ADMIN).exit_code == 2


def test_an_empty_directory_is_told_and_an_empty_index_removes_nothing(
    server: Slapd, admin: tuple[str | Path, ...], index: Path, tmp_path: Path
) -> None:
    assert "there is no o=postacert" in ceralacca("pull", "--ldap", server.plain).output
    ceralacca("push", "--ldap", server.plain, "--file", index, *admin)
    nobody = tmp_path / "nobody.ldif"
    nobody.write_bytes(write_ldif([], URL))
    result = ceralacca("push", "--ldap", server.plain, "--file", nobody, *admin)
    assert result.exit_code == 2
    assert "nothing was changed" in result.output
    assert ceralacca("pull", "--ldap", server.plain).exit_code == 0
