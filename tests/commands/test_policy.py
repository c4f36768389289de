"""``ceralacca account policy``, and names in their own letters on the command line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.storage import accounts
from gateway.storage.engine import Storage

PASSWORD = "correct horse battery\n"
Run = Callable[..., Result]
ANNA = "anna@alfa.example"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, on a storage with a domain and an account."""
    file = tmp_path / "gateway.toml"
    file.write_text(example_toml())
    monkeypatch.setenv("CERALACCA_STORAGE__URL", f"sqlite:///{tmp_path}/ceralacca.sqlite")
    monkeypatch.setenv("CERALACCA_PROVIDER__DOMAIN", "alfa.example")
    monkeypatch.setenv("CERALACCA_PROVIDER__SERVICE_ADDRESS", "posta-certificata@alfa.example")

    def ceralacca(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(file)], input=given)

    assert ceralacca("domain", "add", "alfa.example").exit_code == 0
    assert ceralacca("account", "add", ANNA, given=PASSWORD).exit_code == 0
    return ceralacca


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ordinary", "wrap"], "ordinary mail comes in an anomaly envelope (its own)"),
        (["--ordinary", "refuse"], "ordinary mail is refused (its own)"),
        (["--ordinary", "folder"], "ordinary mail comes in an anomaly envelope into Junk (its own)"),
        (["--ordinary", "folder", "--folder", "Città"], "comes in an anomaly envelope into Città (its own)"),
        (["--ordinary", "forward", "--to", "a@città.example"], "and a copy goes to a@xn--citt-3na.example (its own)"),
    ],
)
def test_a_box_has_its_own_policy_until_it_goes_back_to_the_default(run: Run, options: list[str], said: str) -> None:
    assert run("account", "policy", ANNA).output.endswith("an anomaly envelope (the default)\n")
    assert said in run("account", "policy", ANNA, *options).output
    assert said in run("account", "policy", ANNA).output
    assert "(the default)" in run("account", "policy", ANNA, "--ordinary", "default").output
    assert "(the default)" in run("account", "policy", ANNA).output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nobody@alfa.example"], "no such mailbox"),
        (["postmaster@alfa.example", "--ordinary", "refuse"], "such a box takes everything"),
        (["posta-certificata@alfa.example", "--ordinary", "refuse"], "such a box takes everything"),
        ([ANNA, "--ordinary", "forward"], "belong together"),
        ([ANNA, "--ordinary", "wrap", "--to", "x@mail.example"], "belong together"),
        ([ANNA, "--ordinary", "forward", "--to", "nonsense"], "is no address"),
        ([ANNA, "--ordinary", "forward", "--to", "bruno@alfa.example"], "is a certified address"),
        ([ANNA, "--ordinary", "folder", "--folder", "inbox"], "is no folder for ordinary mail"),
        ([ANNA, "--ordinary", "folder", "--folder", " "], "is no folder for ordinary mail"),
        ([ANNA, "--ordinary", "folder", "--folder", "a\tb"], "is no folder for ordinary mail"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, arguments: list[str], why: str) -> None:
    result = run("account", "policy", *arguments)
    assert result.exit_code == 1
    assert why in result.output


def test_names_are_taken_and_shown_in_their_own_letters(run: Run, tmp_path: Path) -> None:
    assert run("domain", "add", "Città.example").output == "xn--citt-3na.example: added\n"
    assert run("domain", "add", "straße.example").output == "xn--strae-oqa.example: added\n"  # IDNA 2008, not "strasse"
    assert "xn--citt-3na.example (città.example)\n" in run("domain", "list").output
    assert run("account", "add", "bruno@CITTÀ.example", given=PASSWORD).exit_code == 0
    assert run("account", "alias", "bruno@città.example", "ufficio@xn--citt-3na.example").exit_code == 0
    assert "bruno@xn--citt-3na.example (bruno@città.example)  user" in run("account", "list").output
    storage = Storage.open(f"sqlite:///{tmp_path}/ceralacca.sqlite")
    try:
        box = storage.read_now(lambda connection: accounts.mailbox_of(connection, "ufficio@città.example"))
    finally:
        storage.close()
    assert box is not None
    assert box.address == "bruno@xn--citt-3na.example"  # only A-labels are kept, and travel


@pytest.mark.parametrize("address", ["perché@alfa.example", "аnna@alfa.example"])
def test_a_local_part_that_certified_mail_cannot_carry_is_refused_in_so_many_words(run: Run, address: str) -> None:
    for arguments in (["add", address], ["alias", ANNA, address], ["policy", address]):
        result = run("account", *arguments, given=PASSWORD)
        assert result.exit_code == 1
        assert "SMTPUTF8, which certified mail does not know" in result.output


@pytest.mark.parametrize("name", ["a b.example", "xn--\u00e0.example", "\u200d.example", "à" * 100 + ".example"])
def test_what_is_no_domain_in_any_script_is_refused(run: Run, name: str) -> None:
    assert run("domain", "add", "--", name).exit_code == 1
