"""What tests share: a fresh, empty storage on each of the two databases; examples that may take their time."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from gateway.lab.clamd import ClamdProcess
from gateway.storage.engine import Storage
from tests import postgresql, scanner

__all__: list[str] = []

WITH_LABS = ("tests/clients/", "tests/lab/", "tests/foreign/", "tests/hostile/", "tests/reliability/")

# Programs that a shell starts in the background are deaf to Ctrl-C, and so are their children. Ours are told it.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("tests", deadline=None)  # a busy machine is no failure
settings.load_profile("tests")


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[postgresql.Cluster]:
    """A PostgreSQL for the whole run; the tests that need it are left out, by name, where none is installed."""
    if postgresql.binaries() is None:
        message = "PostgreSQL is not installed (apt: postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with postgresql.cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdProcess]:
    """A real scanner that knows the EICAR file; the tests that need it are left out where none is installed."""
    with scanner.running(tmp_path_factory.mktemp("av")) as process:
        yield process


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema."""
    file = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    Storage.open(f"sqlite:///{file}", migrate=True).close()
    return file


@pytest.fixture(scope="session")
def postgresql_template(postgresql_cluster: postgresql.Cluster) -> str:
    """A PostgreSQL database with the schema, to be copied."""
    name = postgresql_cluster.create()
    Storage.open(postgresql_cluster.url(name), migrate=True).close()
    return name


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """An empty SQLite database with the schema."""
    file = tmp_path / "ceralacca.sqlite"
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgresql_url(postgresql_cluster: postgresql.Cluster, postgresql_template: str) -> Iterator[str]:
    """An empty PostgreSQL database with the schema."""
    name = postgresql_cluster.create(postgresql_template)
    yield postgresql_cluster.url(name)
    postgresql_cluster.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage_url(request: pytest.FixtureRequest) -> str:
    """An empty database with the schema: each test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def storage(storage_url: str) -> Iterator[Storage]:
    """An empty storage, on SQLite and on PostgreSQL."""
    opened = Storage.open(storage_url)
    yield opened
    opened.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests found out and people want to see, whichever process ran them."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "shown at the end":
                terminalreporter.write_line(str(value))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of one file on one worker where they share a lab, which takes its time to start."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    if config.getvalue("dist") != "load":
        return None  # somebody asked for another way

    class KeepLabsTogether(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if file.startswith(WITH_LABS) else nodeid

    return KeepLabsTogether(config, log)
