"""A result is only given out once it is on disk: the system calls are looked at (promise 1, D24)."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, os, sys
from datetime import UTC, datetime
from gateway.storage import domains, accounts
from gateway.storage.engine import Storage

AT = datetime(2026, 3, 29, tzinfo=UTC)

def add(name):
    def transaction(connection):
        os.write(1, b"statement\\n")
        return domains.add_domain(connection, name, AT)
    return transaction

async def main():
    storage = Storage.open(sys.argv[1])
    os.write(1, b"open\\n")
    for number in range(3):
        await storage.write(add(f"alone{number}.example"))
        os.write(1, b"answer\\n")
    async def one(number):
        await storage.write(add(f"group{number}.example"))
        os.write(1, b"answer\\n")
    await asyncio.gather(*(one(number) for number in range(10)))
    os.write(1, b"closing\\n")
    storage.close()

asyncio.run(main())
"""


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is not installed (apt: strace)")
        pytest.skip("strace is not installed (apt: strace)")
    return found


def test_the_log_is_flushed_before_anybody_gets_an_answer(strace: str, sqlite_url: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = [strace, "-f", "-y", "-e", "trace=write,pwrite64,fdatasync,fsync", "-o", str(trace)]
    done = subprocess.run(
        [*command, sys.executable, "-c", PROGRAM, sqlite_url], capture_output=True, text=True, check=False
    )
    if "ptrace" in done.stderr and os.environ.get("CI") != "true":
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 0, done.stderr
    events = list(_events(trace.read_text()))
    assert events.count("answer") == 13
    dirty = False
    for event in events[: events.index("closing")]:
        if event == "write":
            dirty = True
        elif event == "flush":
            dirty = False
        elif event == "answer":
            assert not dirty, "an answer left before its bytes were on disk"
    _answers_follow_a_flush(events)


def _answers_follow_a_flush(events: list[str]) -> None:
    """Between a statement and its answer there is a flush."""
    unflushed = 0
    for event in events:
        if event == "statement":
            unflushed += 1
        elif event == "flush":
            unflushed = 0
        elif event == "answer":
            assert unflushed == 0


def _events(trace: str) -> list[str]:
    """What matters, in the order in which the calls ended."""
    found = []
    for line in trace.splitlines():
        if match := re.search(r'write\(1<[^>]*>, "(\w+)\\n"', line):
            found.append(match[1])
        elif re.search(r"pwrite64\(\d+<[^>]*-wal>", line):
            found.append("write")
        elif re.search(r"f(data)?sync(\(\d+<[^>]*-wal>| resumed>)\) += 0", line):
            found.append("flush")
    assert "flush" in found, trace[-2000:]
    return found
