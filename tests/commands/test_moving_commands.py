"""``ceralacca export`` and ``account collect``: whose box a folder holds, and files that could not be read later."""

from pathlib import Path

import pytest

from tests.commands.test_box import ANNA, Run, run

__all__ = ["run"]

BRUNO = "bruno@alfa.example"


def test_a_folder_holds_one_box(run: Run, tmp_path: Path) -> None:
    assert run("account", "add", BRUNO, given="correct horse battery\n").exit_code == 0
    folder = str(tmp_path / "anna")
    for _ in range(2):
        assert run("export", ANNA, "--to", folder).exit_code == 0
    refused = run("export", BRUNO, "--to", folder)
    assert refused.exit_code == 1
    assert refused.output == f"{folder}: holds the box of {ANNA}; name another folder for {BRUNO}\n"


def test_an_export_is_not_spilled_among_files_of_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").touch()
    refused = run("export", ANNA, "--to", str(tmp_path / "home"))
    assert refused.exit_code == 1
    assert "is not empty, and no earlier export" in refused.output


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_what_is_written_says_whose_it_is(run: Run, tmp_path: Path, form: str) -> None:
    assert run("export", ANNA, "--to", str(tmp_path / "box"), "--format", form).exit_code == 0
    assert (tmp_path / "box" / "ceralacca-account").read_text() == f"{ANNA}\n"


def test_nothing_is_collected_with_files_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    (password := tmp_path / "password").write_text("segreto\n")
    password.chmod(0o644)
    (page := tmp_path / "ca.pem").write_text("no certificate\n")
    asked = ("account", "collect", ANNA, "--imap", "imap.beta.example")
    assert run(*asked, "--password-file", str(tmp_path / "none")).output == (
        f"{tmp_path / 'none'}: No such file or directory\n"
    )
    assert "open to others (mode 0644)" in run(*asked, "--password-file", str(password)).output
    password.chmod(0o600)
    assert run(*asked, "--password-file", str(password), "--ca-file", str(page)).output.startswith(f"{page}: ")
    assert run("account", "collect", ANNA).output == f"{ANNA}: nothing is collected\n"
    assert run(*asked, "--password-file", str(password)).exit_code == 0
