"""A PostgreSQL of one's own for benches and tests: the installed binaries, a fresh cluster, no TCP port."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DATABASE_USER", "PostgresMissing", "binaries", "database_url", "postgres_server"]

INSTALLED = Path("/usr/lib/postgresql")
SYSTEM_USER = "postgres"
DATABASE_USER = "ceralacca"


class PostgresMissing(RuntimeError):
    """No server is installed; the text says what to install."""


def binaries() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl`` of the newest PostgreSQL on this machine."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def database_url(sockets: Path, database: str) -> str:
    return f"postgresql+psycopg://{DATABASE_USER}@/{database}?host={sockets}"


@contextmanager
def postgres_server(databases: Sequence[str] = ()) -> Iterator[Path]:
    """A server with the defaults of its release, for as long as the block lasts; the folder of its socket.

    As root it runs as user postgres. ``databases`` are made, empty.

    Raises:
        PostgresMissing: see above.
        RuntimeError: it did not start; the text says what it said.
    """
    programs = binaries()
    if programs is None:
        raise PostgresMissing("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="ceralacca-pg-"))
    as_user = {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []} if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, SYSTEM_USER, SYSTEM_USER)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), *arguments]
        done = subprocess.run(  # type: ignore[call-overload]
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **as_user
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "--auth=trust", f"--username={DATABASE_USER}", "--encoding=UTF8", "--locale=C.UTF-8")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=200"
        run("pg_ctl", "-D", data, "--wait", "--log", str(folder / "log"), "--options", options, "start")
        try:
            for database in databases:
                run("createdb", "-h", str(folder), "-U", DATABASE_USER, database)
            yield folder
        finally:
            run("pg_ctl", "-D", data, "--wait", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
