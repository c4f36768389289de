"""``ceralacca account quota``, ``usage``, ``receipts`` and ``notice``."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.storage.engine import Storage

Run = Callable[..., Result]
ANNA = "anna@alfa.example"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, on a storage with a domain and an account."""
    file = tmp_path / "gateway.toml"
    file.write_text(example_toml())
    monkeypatch.setenv("CERALACCA_STORAGE__URL", f"sqlite:///{tmp_path}/ceralacca.sqlite")

    def ceralacca(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(file)], input=given)

    assert ceralacca("domain", "add", "alfa.example").exit_code == 0
    assert ceralacca("account", "add", ANNA, given="correct horse battery\n").exit_code == 0
    return ceralacca


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("500MB", "500 MB"),
        ("20 gb", "20000 MB"),
        ("1000000", "1 MB"),
        ("20", "20 bytes"),  # somebody forgot "GB", and sees it
        ("none", "no limit"),
        ("default", "5000 MB (default)"),
    ],
)
def test_a_box_has_a_quota_of_its_own_until_it_goes_back_to_the_default(run: Run, size: str, said: str) -> None:
    assert run("account", "quota", ANNA).output == f"{ANNA}: 5000 MB (default)\n"
    assert run("account", "quota", ANNA, size).output == f"{ANNA}: {said}\n"
    assert run("account", "quota", ANNA).output == f"{ANNA}: {said}\n"


@pytest.mark.parametrize("size", ["0", "-5MB", "5TB", "5 M B", "9" * 16, "1.5GB", "zwölf"])
def test_what_is_no_size(run: Run, size: str) -> None:
    assert run("account", "quota", ANNA, "--", size).exit_code != 0


def test_usage_is_told_of_one_box_or_of_all(run: Run) -> None:
    line = f"{ANNA}  0.0 MB of 5000 MB  0.0%  not filling up\n"
    assert run("account", "usage", ANNA).output == line
    assert run("account", "usage").output == line
    assert run("account", "quota", ANNA, "none").exit_code == 0
    assert run("account", "usage").output == f"{ANNA}  0.0 MB of no limit\n"


def test_rules_are_added_listed_and_removed(run: Run) -> None:
    options = ["--sender", "x@", "--larger", "5MB", "--folder", "Grandi", "--mark", "Flagged", "--stop"]
    told = "sender 'x@' and larger '5000000': mark Flagged, folder Grandi; then no other rule\n"
    assert run("account", "rule", "add", ANNA, *options).output == f"1  {told}"
    assert run("account", "rule", "add", ANNA, "--forward", "a@mail.example").exit_code == 0
    assert run("account", "rule", "add", ANNA, "--copy", "Copie").output == "3  every message: copy Copie\n"
    assert run("account", "rule", "remove", ANNA, "3").exit_code == 0
    listed = f"1  {told}2  every message: forward a@mail.example\n"
    assert run("account", "rule", "list", ANNA).output == listed
    assert run("account", "rule", "remove", ANNA, "1").exit_code == 0
    assert "no rule 1" in run("account", "rule", "remove", ANNA, "1").output
    assert run("account", "rule", "list", ANNA).output == listed.splitlines(keepends=True)[1]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--sender", "x"], "does something"),
        (["--sender", " ", "--notify"], "1 to 500 characters"),
        (["--kind", "busta", "--notify"], "a kind is one of"),
        (["--larger", "5MB", "--smaller", "1MB", "--notify"], "no message is larger than 5MB and smaller than 1MB"),
        (["--mark", "Flaged"], "these are: Seen, Answered, Flagged"),
        (["--larger", "viel", "--notify"], "a size is written as"),
        (["--larger", "default", "--notify"], "a size is written as"),
        (["--mark", "$Delivered"], "no mark that a rule may set"),
        (["--folder", "a//b"], "no folder can be called so"),
        (["--forward", "niemand"], "is no address"),
    ],
)
def test_rules_that_cannot_be(run: Run, options: list[str], why: str) -> None:
    done = run("account", "rule", "add", ANNA, *options)
    assert done.exit_code != 0
    assert why in done.output


def test_receipts_go_where_the_holder_wants_them(run: Run) -> None:
    assert run("account", "receipts", ANNA).output == f"{ANNA}: receipts go to the folder for receipts\n"
    assert run("account", "receipts", ANNA, "inbox").output == f"{ANNA}: receipts go to the inbox\n"
    assert run("account", "receipts", ANNA).output == f"{ANNA}: receipts go to the inbox\n"


def test_the_notice_address_is_set_and_taken_away(run: Run) -> None:
    told = f"{ANNA}: anna@mail.example, told when the box fills up\n"
    assert run("account", "notice", ANNA, "anna@mail.example").output == told
    assert run("account", "notice", ANNA).output == told
    assert run("account", "notice", ANNA, "none").output == f"{ANNA}: no notice address\n"


def test_a_holder_chooses_when_to_hear_and_of_what(run: Run) -> None:
    start = f"{ANNA}: anna@mail.example, told"
    assert run("account", "notice", ANNA, "anna@mail.example", "--when", "daily").output == (
        f"{start} daily of certified, failures\n"
    )
    assert run("account", "notice", ANNA, "--when", "immediately", "--about", "receipts").output == (
        f"{start} immediately of receipts\n"
    )
    everything = f"{start} hourly of certified, failures, receipts, ordinary\n"
    assert run("account", "notice", ANNA, "--when", "hourly", "--about", "all").output == everything
    assert run("account", "notice", ANNA).output == everything
    assert run("account", "notice", ANNA, "--when", "off").output == f"{start} when the box fills up\n"
    assert run("account", "notice", ANNA, "--when", "daily").exit_code == 0
    assert run("account", "notice", ANNA, "none").output == f"{ANNA}: no notice address\n"
    assert run("account", "notice", ANNA, "anna@mail.example").output == f"{start} when the box fills up\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--when", "daily"], "no address to send notices to"),
        (["none", "--when", "daily"], "no address to send notices to"),
        (["a@mail.example", "--about", "all"], "--about goes with --when"),
        (["a@mail.example", "--when", "off", "--about", "all"], "--about goes with --when"),
        ([ANNA], "is a box of this provider"),
    ],
)
def test_notices_that_cannot_be(run: Run, options: list[str], why: str) -> None:
    done = run("account", "notice", ANNA, *options)
    assert done.exit_code != 0
    assert why in " ".join(done.output.split())
    assert run("account", "notice", ANNA).output == f"{ANNA}: no notice address\n"


@pytest.mark.parametrize("command", ["quota", "receipts", "notice", "usage"])
def test_boxes_that_are_not_there_or_take_everything(run: Run, command: str) -> None:
    assert "no such mailbox" in run("account", command, "nobody@alfa.example").output
    assert "takes everything" in run("account", command, "postmaster@alfa.example").output


def test_usage_says_that_a_box_is_full(run: Run, tmp_path: Path) -> None:
    assert run("account", "quota", ANNA, "1MB").exit_code == 0
    storage = Storage.open(f"sqlite:///{tmp_path}/ceralacca.sqlite")
    try:
        storage.write_now(lambda c: c.exec_driver_sql("UPDATE mailboxes SET used_bytes = 1000000").rowcount)
    finally:
        storage.close()
    assert run("account", "usage", ANNA).output == f"{ANNA}  1.0 MB of 1 MB  100.0%  full\n"
