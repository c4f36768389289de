"""``ceralacca index`` reads an index only if its signature holds, and signs only what would be read whole."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.drivers.keyfiles import write_secret
from gateway.lab.authority import Authority
from providers.directory import ProviderRecord, write_ldif


def ceralacca(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["index", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority's key and certificates, and the records of one provider."""
    folder = tmp_path_factory.mktemp("index")
    now = datetime.now(UTC)
    authority = Authority.create([("Alfa PEC", "alfa.example")], now)
    signer = authority.index_signer()
    provider = authority.provider_certificate("Alfa PEC", "posta-certificata@alfa.example")
    record = ProviderRecord(
        name="Alfa PEC",
        certificates=(provider.der,),
        mail_receipt="posta-certificata@alfa.example",
        managed_domains=frozenset({"alfa.example", "pec.alfa.example"}),
    )
    (folder / "index.ldif").write_bytes(write_ldif([record]))
    write_secret(folder / "key.pem", signer.key_pem)
    (folder / "certificate.pem").write_bytes(signer.pem)
    (folder / "root.pem").write_bytes(authority.root_pem)
    (folder / "other.pem").write_bytes(Authority.create([], now).root_pem)
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> Path:
    """The records, signed by the command."""
    keys = ("--key", folder / "key.pem", "--certificate", folder / "certificate.pem")
    result = ceralacca("sign", folder / "index.ldif", folder / "index.ldif.p7m", *keys)
    assert result.exit_code == 0, result.output
    return folder / "index.ldif.p7m"


def test_signed_index_is_shown(index: Path, folder: Path) -> None:
    result = ceralacca("show", "--file", index, "--ca", folder / "root.pem")
    assert result.exit_code == 0, result.output
    assert "1 providers, signed " in result.output
    assert "\nAlfa PEC\n  receipts to  posta-certificata@alfa.example\n" in result.output
    assert "domains      alfa.example, pec.alfa.example\n" in result.output


def test_json_holds_the_same(index: Path, folder: Path) -> None:
    shown = json.loads(ceralacca("show", "--file", index, "--ca", folder / "root.pem", "--json").output)
    (provider,) = shown["providers"]
    assert provider["name"] == "Alfa PEC"
    assert provider["managed_domains"] == ["alfa.example", "pec.alfa.example"]
    assert shown["refused"] == []


def test_configured_index_is_the_default(index: Path, folder: Path) -> None:
    config = folder / "gateway.toml"
    config.write_text(example_toml().replace('"index-ca.pem"', '"root.pem"'))
    result = ceralacca("find", "ALFA.example", "--config", config)
    assert (result.exit_code, result.output) == (0, "ALFA.example: Alfa PEC\n")


def test_what_holds_no_provider_is_not_compared(index: Path, tmp_path: Path) -> None:
    (page := tmp_path / "README.md").write_text("# Ceralacca\n\nno record\n")
    result = ceralacca("diff", index, page)
    assert result.exit_code == 2
    assert result.output.startswith(f"{page}: no provider can be read in it: ")
    missing = ceralacca("check", tmp_path / "none")
    assert (missing.exit_code, missing.output) == (2, f"{tmp_path / 'none'}: No such file or directory\n")


def test_domains_and_addresses_are_found_whole(index: Path, folder: Path) -> None:
    given = ("--file", index, "--ca", folder / "root.pem")
    result = ceralacca("find", "anna@pec.alfa.example", "sub.alfa.example", *given)
    assert result.exit_code == 1
    assert result.output == "anna@pec.alfa.example: Alfa PEC\nsub.alfa.example: not certified\n"


def test_signer_of_another_authority_is_not_believed(index: Path, folder: Path) -> None:
    result = ceralacca("show", "--file", index, "--ca", folder / "other.pem")
    assert result.exit_code == 2
    assert "not trusted" in result.output


def test_changed_or_missing_index_is_refused(index: Path, folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.p7m"
    changed.write_bytes(index.read_bytes().replace(b"alfa.example", b"beta.example", 1))
    assert ceralacca("show", "--file", changed, "--ca", folder / "root.pem").exit_code == 2
    assert ceralacca("show", "--file", tmp_path / "none.p7m", "--ca", folder / "root.pem").exit_code == 2
    assert ceralacca("show", "--file", index).exit_code == 2


def test_records_that_would_be_refused_are_not_signed(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.ldif"
    bad.write_bytes((folder / "index.ldif").read_bytes().replace(b"mailReceipt: posta", b"mailReceipt: po sta"))
    keys = ("--key", folder / "key.pem", "--certificate", folder / "certificate.pem")
    result = ceralacca("sign", bad, tmp_path / "bad.p7m", *keys)
    assert result.exit_code == 2
    assert "mailReceipt is no address" in result.output
    assert not (tmp_path / "bad.p7m").exists()
