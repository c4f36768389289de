"""A PostgreSQL of the tests' own: the installed binaries, a fresh cluster in a temporary folder, no TCP port."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

__all__ = ["Cluster", "binaries", "cluster"]

INSTALLED = Path("/usr/lib/postgresql")
SYSTEM_USER = "postgres"


def binaries() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl`` of the newest PostgreSQL on this machine."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


class Cluster:
    """A running server. Each database is a copy of one that was prepared once."""

    def __init__(self, sockets: Path) -> None:
        self._sockets = sockets
        self._numbers = count(1)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://ceralacca@/{database}?host={self._sockets}"

    def create(self, template: str = "template1") -> str:
        """Make a database; its name."""
        name = f"test{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """Run with another setting of the server for a while."""
        before = self._value(name)
        self._reload(f"ALTER SYSTEM SET {name} TO {value}", name, value)
        try:
            yield
        finally:
            self._reload(f"ALTER SYSTEM RESET {name}", name, before)

    def _reload(self, statement: str, name: str, expected: str) -> None:
        self._execute(statement)
        self._execute("SELECT pg_reload_conf()")
        while self._value(name) != expected:  # a new connection each time; the server has its own pace
            pass

    def _value(self, name: str) -> str:
        with psycopg.connect(f"user=ceralacca dbname=postgres host={self._sockets}") as connection:
            row = connection.execute(f"SHOW {name}".encode()).fetchone()
        assert row is not None
        return str(row[0])

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"user=ceralacca dbname=postgres host={self._sockets}", autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that lives as long as the context. Needs ``binaries``; as root it runs as user postgres."""
    programs = binaries()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="ceralacca-pg-"))
    as_user = {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []} if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, SYSTEM_USER, SYSTEM_USER)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(  # type: ignore[call-overload]
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **as_user
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    try:
        run("initdb", "--auth=trust", "--username=ceralacca", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=200"
        run("pg_ctl", "--wait", "--log", str(folder / "log"), "--options", options, "start")
        try:
            yield Cluster(folder)
        finally:
            run("pg_ctl", "--wait", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
