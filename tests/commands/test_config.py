"""``ceralacca check-config`` names what is wrong and leaves with 2; ``example-config`` prints the example."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.example import example_toml
from gateway.cli import app
from gateway.lab.authority import Authority

SERVICE = "posta-certificata@alfa.example"
SECRETS = ("tls.key", "signing.key")


@pytest.fixture(scope="module")
def usable() -> dict[str, bytes]:
    """What stands in the files that the example names."""
    authority = Authority.create([("Alfa PEC", "alfa.example")], datetime.now(UTC))
    tls, signing = authority.tls_certificate(), authority.provider_certificate("Alfa PEC", SERVICE)
    return {
        "tls.pem": tls.pem,
        "tls.key": tls.key_pem,
        "signing.pem": signing.pem,
        "signing.key": signing.key_pem,
        "roots.pem": authority.root_pem,
        "index-ca.pem": authority.root_pem,
        "index.ldif.p7m": b"",
    }


@pytest.fixture
def configuration(tmp_path: Path, usable: dict[str, bytes]) -> Path:
    """The example, with all the files that it names."""
    for name, content in usable.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "gateway.toml"
    path.write_text(example_toml())
    return path


def check(path: Path, **environment: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check-config", "--config", str(path)], env=environment)
    return result.exit_code, result.output


def test_good_configuration(configuration: Path) -> None:
    code, output = check(configuration)
    assert (code, output) == (0, f"{configuration}: good, for Alfa PEC (alfa.example)\n")


def test_every_fault_is_a_line_with_file_and_line(configuration: Path) -> None:
    configuration.write_text("[provider]\nnam = 'x'\n[limits]\nmax_recipients = 'many'\n")
    code, output = check(configuration)
    assert code == 2
    assert f'{configuration}: line 2: provider.nam: unknown key, perhaps "name"\n' in output
    assert f"{configuration}: line 4: limits.max_recipients: must be a whole number\n" in output


def test_environment_is_checked_too(configuration: Path) -> None:
    code, output = check(configuration, CERALACCA_LIMITS__MAX_RECIPIENTS="3")
    assert code == 2
    assert "CERALACCA_LIMITS__MAX_RECIPIENTS: limits.max_recipients: must be greater than or equal to 50" in output


def test_missing_file_and_folder_in_place_of_a_file(configuration: Path) -> None:
    (configuration.parent / "roots.pem").unlink()
    (configuration.parent / "index-ca.pem").unlink()
    (configuration.parent / "index-ca.pem").mkdir()
    code, output = check(configuration)
    assert code == 2
    assert "trust.ca_file" in output
    assert "No such file" in output
    assert "index.signer_ca_file" in output
    assert output.count("\n") == 2


@pytest.mark.parametrize("name", SECRETS)
def test_key_that_others_may_read_is_refused(configuration: Path, name: str) -> None:
    (configuration.parent / name).chmod(0o644)
    code, output = check(configuration)
    assert code == 2
    assert f"{name}: open to others" in output


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("tls.pem", "tls: {folder}/tls.pem: no certificates in PEM"),
        ("tls.key", "tls: {folder}/tls.key: neither a PEM key nor PKCS#12 that this password opens"),
        ("signing.pem", "signing: {folder}/signing.pem: no certificates in PEM"),
        ("roots.pem", "trust.ca_file: {folder}/roots.pem: no certificates in PEM"),
        ("index-ca.pem", "index.signer_ca_file: {folder}/index-ca.pem: no certificates in PEM"),
    ],
)
def test_a_file_of_something_else_is_named(configuration: Path, name: str, fault: str) -> None:
    (configuration.parent / name).write_text("alfa\n")
    expected = f"{configuration}: {fault.format(folder=configuration.parent)}\n"
    assert check(configuration) == (2, expected)


def test_a_certificate_over_another_key_is_named(configuration: Path, usable: dict[str, bytes]) -> None:
    (configuration.parent / "tls.key").write_bytes(usable["signing.key"])
    code, output = check(configuration)
    assert code == 2
    assert f"tls.key: is not the key of the certificate in {configuration.parent}/tls.pem" in output


def test_a_certificate_that_has_ended_is_named_with_its_day(configuration: Path) -> None:
    authority = Authority.create([("Alfa PEC", "alfa.example")], datetime.now(UTC) - timedelta(days=3000))
    ended = authority.tls_certificate()
    (configuration.parent / "tls.pem").write_bytes(ended.pem)
    (configuration.parent / "tls.key").write_bytes(ended.key_pem)
    day = ended.certificate.not_valid_after_utc
    fault = f"tls.certificate_file: {configuration.parent}/tls.pem: the certificate ended on {day:%Y-%m-%d}"
    assert check(configuration) == (2, f"{configuration}: {fault}\n")


def test_configuration_that_is_not_there_or_no_text(configuration: Path) -> None:
    assert check(configuration.parent / "none.toml") == (
        2,
        f"{configuration.parent / 'none.toml'}: cannot be read: No such file or directory\n",
    )
    configuration.write_bytes(b"\xff\xfe")
    assert check(configuration) == (2, f"{configuration}: cannot be read: is not UTF-8\n")


def test_example_is_printed() -> None:
    assert CliRunner().invoke(app, ["example-config"]).output == example_toml()
