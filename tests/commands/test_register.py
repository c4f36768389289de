"""``ceralacca register`` on a real storage with real keys, and the page for experts on what it writes."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, text
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.drivers.sources import SystemClock
from gateway.lab.authority import Authority
from gateway.lab.timestamps import TimeStamper, TimeStampServer
from gateway.storage import register
from gateway.storage.engine import Storage
from gateway.storage.register import Event, RegisterEntry

PAGE = Path(__file__).parents[2] / "docs" / "register.md"
NOW = datetime.now(UTC)
NOON = NOW.astimezone(ZoneInfo("Europe/Rome")).replace(hour=12, minute=0, second=0, microsecond=0)
"""Of today, as it was when the tests began."""
YESTERDAY = NOON - timedelta(days=1)

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create([("Alfa PEC", "alfa.example")], NOW - timedelta(days=30))


@pytest.fixture
def config(tmp_path: Path, sqlite_url: str, authority: Authority) -> Path:
    """Alfa, who closes its register without any time-stamp authority."""
    issued = authority.provider_certificate("Alfa PEC", "posta-certificata@alfa.example")
    files = {
        "signing.pem": issued.pem,
        "signing-chain.pem": issued.chain_pem,
        "roots.pem": authority.root_pem,
        "tsa-ca.pem": authority.root_pem,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "signing.key").write_bytes(issued.key_pem)
    (tmp_path / "signing.key").chmod(0o600)
    file = tmp_path / "gateway.toml"
    file.write_text(f"""
[provider]
name = "Alfa PEC"
domain = "alfa.example"
[tls]
certificate_file = "tls.pem"
key_file = "tls.key"
[signing]
key_file = "signing.key"
certificate_file = "signing.pem"
chain_file = "signing-chain.pem"
[trust]
ca_file = "roots.pem"
[index]
file = "index.p7m"
signer_ca_file = "roots.pem"
[storage]
url = "{sqlite_url}"
[legal_register]
tsa_ca_file = "tsa-ca.pem"
""")
    return file


@pytest.fixture
def ceralacca(config: Path) -> Run:
    return lambda *arguments: CliRunner().invoke(app, ["register", *arguments, "--config", str(config)])


@pytest.fixture
def storage(sqlite_url: str) -> Iterator[Storage]:
    opened = Storage.open(sqlite_url)
    yield opened
    opened.close()


def stamped_by(config: Path, url: str) -> None:
    config.write_text(config.read_text() + f'tsa_urls = ["{url}"]\n')


def registered(storage: Storage, *instants: datetime) -> None:
    entries = [
        RegisterEntry(
            event=Event.SUBMISSION,
            at=at,
            pec_msgid=f"{number}@alfa.example",
            sender="anna@alfa.example",
            recipients=("bruno@beta.example",),
            subject="Città \\ 'una' \"due\" $HOME `id` %s\t\n",
        )
        for number, at in enumerate(instants)
    ]
    storage.write_now(lambda connection: register.append(connection, entries))


def test_a_day_that_is_over_is_closed_and_verified(
    ceralacca: Run, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemClock, "now", lambda _: NOON)  # today is today, also late in the evening
    registered(storage, YESTERDAY - timedelta(days=1), NOON + timedelta(hours=1))
    result = ceralacca("close")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(
        r"1 closed, the last one is segment 1 of \d{4}-\d\d-\d\d \(1 rows\)\n1 without a time stamp\n", result.output
    )
    assert ceralacca("close").output.startswith("0 closed")
    said = ceralacca("verify").output
    assert "1 closed days, signed by posta-certificata@alfa.example" in said
    assert "without a time stamp yet: segments 1" in said
    assert "not closed yet: 1 rows" in said
    assert said.endswith("the register is whole\n")
    assert ceralacca("close", "--today").output.startswith("1 closed")


def test_what_was_changed_is_the_exit_code(ceralacca: Run, storage: Storage) -> None:
    registered(storage, YESTERDAY - timedelta(days=1))
    ceralacca("close")

    def tamper(connection: Connection) -> None:
        connection.execute(text("DROP TRIGGER register_unchanged"))
        connection.execute(text("UPDATE register SET subject = 'x'"))

    storage.write_now(tamper)
    result = ceralacca("verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["first_bad_place"] == "row 1 was changed"
    assert "first bad place: row 1 was changed" in ceralacca("verify").output


def test_a_key_that_cannot_be_read_is_named(ceralacca: Run, config: Path) -> None:
    (config.parent / "signing.key").write_bytes(b"junk")
    result = ceralacca("close")
    assert result.exit_code == 1
    assert "the register cannot be closed" in result.output


class TestExtracts:
    @pytest.fixture(autouse=True)
    def filled(self, storage: Storage, ceralacca: Run) -> None:
        registered(storage, YESTERDAY - timedelta(days=2), YESTERDAY - timedelta(days=2), NOW)
        ceralacca("close")

    @pytest.mark.parametrize("form", ["csv", "json", "pdf"])
    def test_each_form_is_written_to_a_file(self, ceralacca: Run, tmp_path: Path, form: str) -> None:
        file = tmp_path / f"extract.{form}"
        result = ceralacca("export", "--address", "anna@alfa.example", "--format", form, "--output", str(file))
        assert (result.exit_code, result.output) == (0, "3 rows\n")
        assert file.read_bytes()[:4] == {"csv": b"at,e", "json": b'{"pr', "pdf": b"%PDF"}[form]

    def test_csv_goes_to_standard_output(self, ceralacca: Run) -> None:
        result = ceralacca("export", "--message", "1@alfa.example")
        assert result.stdout.count("submission,1@alfa.example") == 1

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ((), "say what to extract"),
            (("--message", "x", "--format", "pdf"), "a PDF needs a file"),
            (("--message", "x", "--output", "/nowhere/x.csv"), "not extracted"),
        ],
    )
    def test_what_cannot_be_done_is_said(self, ceralacca: Run, options: tuple[str, ...], said: str) -> None:
        result = ceralacca("export", *options)
        assert result.exit_code == 1
        assert said in result.output

    def test_the_report_has_a_column_for_every_two_months(self, ceralacca: Run) -> None:
        assert "messages sent" in ceralacca("report").output
        assert ceralacca("report", "--csv").output.startswith("from,to,messages sent,")
        assert sum(row["messages sent"] for row in json.loads(ceralacca("report", "--json").output)) == 3

    def test_no_segment_is_said(self, ceralacca: Run, tmp_path: Path) -> None:
        result = ceralacca("segments", str(tmp_path / "x"), "--number", "77")
        assert result.exit_code == 1
        assert "no such closed day" in result.output


class TestRemoval:
    def test_it_says_what_would_go_and_removes_it(self, ceralacca: Run, storage: Storage) -> None:
        registered(storage, datetime(2020, 3, 2, tzinfo=UTC), YESTERDAY)
        ceralacca("close")
        result = ceralacca("purge", "--dry-run")
        assert result.output == "nothing would go\n"
        assert "0 rows removed" in ceralacca("purge").output, "it was closed a moment ago"


class TestAnExpert:
    """What stands in docs/register.md works as it stands there."""

    @pytest.fixture
    async def folder(self, tmp_path: Path, config: Path, authority: Authority, storage: Storage) -> Path:
        """The files of two closed days, stamped by ``openssl ts``."""
        server = TimeStampServer(TimeStamper(authority.time_stamper(), tmp_path / "tsa"))
        port = await server.start("127.0.0.1", 0)
        await asyncio.to_thread(stamped_by, config, f"http://127.0.0.1:{port}/")
        registered(storage, *(YESTERDAY - timedelta(days=3, seconds=n) for n in range(3)))
        registered(storage, *(YESTERDAY - timedelta(days=2, seconds=n) for n in range(3)))
        command = (sys.executable, "-m", "gateway.cli", "register", "close", "--config", str(config))
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0
        await server.stop()
        found = CliRunner().invoke(app, ["register", "segments", str(tmp_path / "out"), "--config", str(config)])
        assert found.exit_code == 0, found.output
        for name in ("roots.pem", "tsa-ca.pem"):
            (tmp_path / "out" / name).write_bytes((tmp_path / name).read_bytes())
        return tmp_path / "out"

    def checked(self, folder: Path, name: str) -> list[str]:
        (block,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
        script = re.sub(r"^name=.*$", f"name={name}", block, flags=re.MULTILINE)
        done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        return [line for line in lines if not line.startswith(("Using configuration", "Time stamp:", "Warning"))]

    @pytest.mark.req("LOG-04", "LOG-02")
    def test_the_lines_for_the_shell_find_all_well(self, folder: Path) -> None:
        names = sorted(file.stem for file in folder.glob("*.json"))
        assert len(names) == 2
        for name in names:
            assert sorted(self.checked(folder, name)) == ["CMS Verification successful", "Verification: OK"]

    def test_and_they_find_what_was_changed(self, folder: Path) -> None:
        first, second = sorted(file.stem for file in folder.glob("*.json"))
        lines = folder / f"{second}.lines"
        lines.write_text(lines.read_text().replace("anna@", "anne@", 1))
        (folder / f"{first}.json").write_text((folder / f"{first}.json").read_text() + "\n")
        said = self.checked(folder, second)
        assert "other lines were signed" in said
        assert any(re.fullmatch(r"the row at \d+ was changed", line) for line in said)
        assert f"it does not follow on {first.partition('-')[0]}" in said
        assert "CMS Verification successful" not in self.checked(folder, first)
