"""The reply that a message is kept leaves after its bytes are on the disk: the system calls are looked at (D24)."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.lab.waiting import until
from tests.operating.providers import ANSWER_SECONDS, Provider, Served

MESSAGES = 5
KEPT = "250 2.0.0 Decided and kept"


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is not installed (apt: strace)")
        pytest.skip("strace is not installed (apt: strace)")
    return found


def followed(strace: str, served: Served, trace: Path) -> "subprocess.Popen[bytes]":
    """A tracer of the running process, at work."""
    calls = "trace=fdatasync,fsync,write,writev,sendto,sendmsg,pwrite64"
    command = [strace, "-f", "-y", "-s", "80", "-e", calls, "-o", str(trace), "-p", str(served.process.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    os.set_blocking(tracer.stderr.fileno(), False)
    said = b""

    def attached() -> bool:
        nonlocal said
        said += tracer.stderr.read() or b""  # type: ignore[union-attr]
        if b"ptrace" in said and os.environ.get("CI") != "true":
            pytest.skip("tracing is not permitted here")
        return b"attached" in said

    until(attached, "tracer at work", seconds=ANSWER_SECONDS)
    return tracer


def happened(trace: str, database: str) -> list[str]:
    """Writes to the database's log, their flushes, and the replies, in the order in which they ended."""
    events = []
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        if call.endswith("<unfinished ...>"):
            begun[thread] = call
            continue
        if " resumed>" in call:
            call = begun.pop(thread, "") + call
        if f"{database}-wal" in call and re.search(r"(pwrite64|write)\(", call):
            events.append("write")
        elif f"{database}-wal" in call and re.search(r"(fdatasync|fsync)\(", call):
            events.append("flush")
        elif KEPT in call:
            events.append("reply")
    return events


def test_no_250_leaves_before_the_message_is_on_disk(strace: str, alfa: Provider, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with alfa.serving() as served:
        tracer = followed(strace, served, trace)
        with alfa.incoming() as client:
            for _ in range(MESSAGES):
                client.sendmail("who@elsewhere.example", ["bruno@alfa.example"], "Subject: prova\r\n\r\nciao\r\n")
        tracer.send_signal(signal.SIGINT)
        tracer.wait(ANSWER_SECONDS)
        assert served.stop() == 0
    events = happened(trace.read_text(errors="replace"), "ceralacca.sqlite")
    assert events.count("reply") == MESSAGES
    for reply in (place for place, event in enumerate(events) if event == "reply"):
        before = events[:reply]
        since_last_reply = before[len(before) - before[::-1].index("reply") :] if "reply" in before else before
        assert "write" in since_last_reply
        assert "flush" in since_last_reply[since_last_reply.index("write") :]
