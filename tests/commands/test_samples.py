"""``ceralacca lab emit`` on the command line. What it writes is judged in tests/clients."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.lab.plan import kept_plan
from gateway.lab.running import locked
from gateway.lab.samples import SAMPLES
from tests.flows.reading import Certified


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab") / "lab"


def emit(*arguments: str | Path) -> tuple[int, bytes, str]:
    done = CliRunner().invoke(app, ["lab", "emit", *map(str, arguments)])
    return done.exit_code, done.stdout_bytes, done.stderr


def test_the_list_names_every_kind(tmp_path: Path) -> None:
    code, output, _ = emit("--list", "--dir", tmp_path / "none")
    assert code == 0
    lines = output.decode().splitlines()
    assert [line.split()[0] for line in lines] == list(SAMPLES)
    assert [line.split()[1] for line in lines] == [sample.number for sample in SAMPLES.values()]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("T5", "presa-in-carico"), ("t9", "avvenuta-consegna"), ("timeout-second", "preavviso-errore-consegna")],
)
def test_one_sample_goes_to_standard_output(folder: Path, kind: str, type_: str) -> None:
    code, output, _ = emit(kind, "--dir", folder)
    assert code == 0
    assert Certified(output).header("X-Ricevuta") == type_
    assert output.endswith(b"--\r\n")


def test_or_to_a_file_and_each_has_identifiers_of_its_own(folder: Path, tmp_path: Path) -> None:
    for name in ("one.eml", "other.eml"):
        assert emit("envelope", "--dir", folder, "--to", tmp_path / name)[:2] == (0, b"")
    one, other = (Certified((tmp_path / name).read_bytes()) for name in ("one.eml", "other.eml"))
    assert one.message_id != other.message_id


def test_the_keys_stay_and_a_lab_made_later_has_them(folder: Path) -> None:
    emit("T1", "--dir", folder)
    before = (folder / "authority" / "root.pem").read_bytes()
    emit("T1", "--dir", folder)
    assert (folder / "authority" / "root.pem").read_bytes() == before
    plan = kept_plan(folder)
    assert plan is not None
    assert len(plan.providers) == 2


def test_a_lab_that_runs_gives_its_keys(folder: Path) -> None:
    emit("T1", "--dir", folder)
    with locked(folder):
        assert emit("T1", "--dir", folder)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("T12",), "T12: there is no such sample"),
        ((), "no kind: there is no such sample"),
        (("all",), '"all" needs --to FOLDER'),
        (("T1", "--to", "/nowhere/at/all.eml"), "No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, arguments: tuple[str, ...], why: str) -> None:
    code, output, error = emit(*arguments, "--dir", folder)
    assert (code, output) == (1, b"")
    assert error.startswith("ceralacca lab emit: ")
    assert why in error


def test_a_folder_that_is_no_lab_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    code, _, error = emit("T1", "--dir", tmp_path)
    assert code == 1
    assert "this is not the plan of a lab" in error
