"""A process has its name to itself for as long as it lives, and gets the old one when it is started again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from gateway.storage.errors import StorageUnavailable
from gateway.storage.tenure import AlreadyRunning, Tenure, hold_name

NAME = "mx1:alfa.example"
OTHER_PROCESS = """
import sys
from gateway.storage.tenure import hold_name
tenure = hold_name(sys.argv[1], sys.argv[2])
print(tenure.name, flush=True)
sys.stdin.read()
"""


@contextmanager
def held(url: str, name: str = NAME) -> Iterator[Tenure]:
    tenure = hold_name(url, name)
    try:
        yield tenure
    finally:
        tenure.release()


@contextmanager
def other_process(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds the name, and what it got."""
    command = [sys.executable, "-c", OTHER_PROCESS, url, NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_started_again_a_process_has_its_old_name(storage_url: str) -> None:
    for _ in range(3):
        with held(storage_url) as tenure:
            assert tenure.name == NAME
            tenure.renew()


def test_a_second_process_on_an_sqlite_file_is_refused(sqlite_url: str) -> None:
    with other_process(sqlite_url) as (process, name):
        assert name == NAME
        with pytest.raises(AlreadyRunning, match=r"ceralacca\.sqlite: another process serves this file"):
            hold_name(sqlite_url, NAME)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with held(sqlite_url) as tenure:
            assert tenure.name == NAME


def test_the_lock_stands_beside_the_database(tmp_path: Path) -> None:
    with held(f"sqlite:///{tmp_path}/new/ceralacca.sqlite"):
        assert [file.name for file in (tmp_path / "new").iterdir()] == ["ceralacca.sqlite.lock"]


def test_processes_on_one_postgresql_have_names_of_their_own(postgresql_url: str) -> None:
    with other_process(postgresql_url) as (process, name), held(postgresql_url) as second:
        with held(postgresql_url) as third, held(postgresql_url, "mx2:alfa.example") as elsewhere:
            assert (name, second.name, third.name) == (NAME, f"{NAME}#2", f"{NAME}#3")
            assert elsewhere.name == "mx2:alfa.example"
        process.send_signal(signal.SIGKILL)
        process.wait()
        again = _as_soon_as_the_server_has_noticed(postgresql_url)
        again.release()
        with held(postgresql_url) as fourth:
            assert fourth.name == NAME


def _as_soon_as_the_server_has_noticed(url: str) -> Tenure:
    for _ in range(1000):
        tenure = hold_name(url, NAME)
        if tenure.name == NAME:
            return tenure
        tenure.release()
    raise AssertionError("the name of a dead process is still taken")


def test_names_of_another_database_do_not_matter(postgresql_url: str, sqlite_url: str) -> None:
    with held(postgresql_url) as one, held(sqlite_url) as other:
        assert one.name == other.name == NAME


def test_a_name_that_the_database_has_forgotten_is_held_again(postgresql_url: str) -> None:
    with held(postgresql_url) as tenure:
        _end_all_connections(postgresql_url)
        with pytest.raises(StorageUnavailable):
            tenure.renew()
        tenure.renew()
        with held(postgresql_url) as second:
            assert second.name == f"{NAME}#2"


def test_a_name_that_somebody_has_taken_meanwhile_is_an_alarm(
    postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with held(postgresql_url) as tenure:
        _end_all_connections(postgresql_url)
        with held(postgresql_url) as thief:
            assert thief.name == NAME
            with pytest.raises(StorageUnavailable):
                tenure.renew()
            tenure.renew()
            assert [record.levelname for record in caplog.records] == ["ERROR"]
        tenure.renew()
        with held(postgresql_url) as second:
            assert second.name == f"{NAME}#2"


def test_without_a_database_there_is_no_name(postgresql_url: str) -> None:
    with pytest.raises(StorageUnavailable):
        hold_name(postgresql_url.replace("host=", "host=/nowhere"), NAME)


def _end_all_connections(url: str) -> None:
    """As a restart of the server does."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()
