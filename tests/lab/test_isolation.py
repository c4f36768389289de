"""Nothing of a lab reaches another machine: seen from the system's side (D29)."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.lab.labs import Lab, letter, running
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

ADDRESS = re.compile(r'(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')
OUTSIDE = ("amico@altrove.example", "amico@gmail.com", "amico@192.0.2.7.example", "amico@gamma.example")


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[Lab, Path]]:
    """A lab, and a file with every attempt of its processes to reach something."""
    if shutil.which("strace") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed (apt: strace)")
    calls = tmp_path / "calls"
    tracer = ("strace", "-D", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-e", "signal=none", "-o", str(calls))
    probe = subprocess.run([*tracer, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("strace may not trace here")
    with running(tmp_path / "lab", "--accounts", "1", under=tracer) as lab:
        yield lab, calls


def test_no_process_of_the_lab_reaches_outside_this_machine(traced: tuple[Lab, Path]) -> None:
    lab, calls = traced
    sender = "anna@alfa.example"
    msgid = lab.send(letter(sender, to=["anna@beta.example", "amico@mail.example", *OUTSIDE], subject="Fuori"))
    box = lab.mailbox(sender)
    box.wait(lambda mail: mail.reference == msgid and mail.kind.startswith("T9"), "delivery receipt")
    until(lambda: len([mail for mail in box.mails() if mail.kind == "T6 anomaly"]) == len(OUTSIDE), "bounces")
    lab.stop()
    reached = [(line, address) for line in calls.read_text().splitlines() for address in ADDRESS.findall(line)]
    assert [line for line, address in reached if not ip_address(address).is_loopback] == []
    assert len({address for _, address in reached}) >= 1  # it did look
