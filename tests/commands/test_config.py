"""``ceralacca check-config`` names what is wrong and leaves with 2; ``example-config`` prints the example."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.example import example_toml
from gateway.cli import app

FILES = ("tls.pem", "signing.pem", "roots.pem", "index.ldif.p7m", "index-ca.pem")
SECRETS = ("tls.key", "signing.key")


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The example, with all the files that it names."""
    for name in (*FILES, *SECRETS):
        (tmp_path / name).touch(mode=0o600)
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


def test_configuration_that_is_not_there_or_no_text(configuration: Path) -> None:
    assert check(configuration.parent / "none.toml") == (
        2,
        f"{configuration.parent / 'none.toml'}: cannot be read: No such file or directory\n",
    )
    configuration.write_bytes(b"\xff\xfe")
    assert check(configuration) == (2, f"{configuration}: cannot be read: is not UTF-8\n")


def test_example_is_printed() -> None:
    assert CliRunner().invoke(app, ["example-config"]).output == example_toml()
