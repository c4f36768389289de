"""A PostgreSQL that can be stopped and started while a provider runs on it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.lab.postgres import SYSTEM_USER, binaries, database_url, postgres_server

__all__ = ["Database", "database"]

NAME = "alfa"


@dataclass(frozen=True)
class Database:
    """A server of its own with one empty database."""

    sockets: Path

    @property
    def url(self) -> str:
        return database_url(self.sockets, NAME)

    def stop(self, mode: str) -> None:
        """``immediate``: as if the machine had lost its power. ``fast``: connections are cut, and it stops in order."""
        self._control("stop", "--mode", mode)

    def start(self) -> None:
        _, options = (self.sockets / "data" / "postmaster.opts").read_text().strip().split(" ", 1)
        self._control("start", "--log", str(self.sockets / "log"), "--options", options.replace('"', "'"))

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Connections stand, and nothing is answered."""
        postmaster = (self.sockets / "data" / "postmaster.pid").read_text().splitlines()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *children):
            os.kill(int(pid), signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in (*children, postmaster):
                os.kill(int(pid), signal.SIGCONT)

    def _control(self, act: str, *options: str) -> None:
        programs = binaries()
        assert programs is not None
        user = {"user": SYSTEM_USER, "group": SYSTEM_USER, "extra_groups": []} if os.geteuid() == 0 else {}
        command = [str(programs / "pg_ctl"), "--pgdata", str(self.sockets / "data"), "--wait", act, *options]
        subprocess.run(command, cwd=self.sockets, stdout=subprocess.DEVNULL, check=True, **user)  # type: ignore[call-overload]


@contextmanager
def database() -> Iterator[Database]:
    """A server that runs when the block begins, and is gone after it."""
    if binaries() is None:
        message = "PostgreSQL is not installed (apt: postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with postgres_server([NAME]) as sockets:
        found = Database(sockets)
        try:
            yield found
        finally:
            if not (sockets / "data" / "postmaster.pid").exists():
                found.start()  # so that it can be stopped as any other
