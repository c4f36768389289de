"""What is said where clamd cannot be run; that it can is shown by all tests with a scanner."""

from pathlib import Path

import pytest

from gateway.lab import clamd
from gateway.lab.clamd import ClamdMissing, ClamdProcess
from tests.scanner import start


def test_where_it_is_not_installed_the_word_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clamd, "clamd_program", lambda: None)
    with pytest.raises(ClamdMissing, match="apt-get install clamav-daemon"):
        ClamdProcess(tmp_path)


def test_a_folder_too_deep_for_a_socket_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clamd, "clamd_program", lambda: "/bin/false")
    with pytest.raises(ClamdMissing, match="too long"):
        ClamdProcess(tmp_path / ("x" * 100))


def test_one_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "clamd"
    program.write_text("#!/bin/sh\necho 'LibClamAV Error: no such luck'\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(clamd, "clamd_program", lambda: str(program))
    process = ClamdProcess(tmp_path / "av")
    with pytest.raises(ClamdMissing, match="no such luck"):
        start(process)
    process.stop()
