"""A lab with a time-stamp authority: a day of a running provider is closed, stamped and verified by the command."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.legal import openssl
from tests.lab.labs import Lab, letter, running

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running(tmp_path_factory.mktemp("lab") / "lab", "--timestamps") as started:
        yield started


def register(lab: Lab, domain: str, *arguments: str) -> str:
    command = (sys.executable, "-m", "gateway.cli", "register", *arguments)
    config = lab.provider(domain)["config_file"]
    done = subprocess.run([*command, "--config", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.req("LOG-04")
def test_what_both_registered_is_closed_stamped_and_verified(stamped: Lab, tmp_path: Path) -> None:
    reference = stamped.send(letter("anna@alfa.example", to=["bruno@beta.example"], subject="Da timbrare"))
    sender = stamped.mailbox("anna@alfa.example")
    sender.wait(lambda mail: mail.reference == reference and mail.kind.startswith("T9"), "delivery receipt")
    for domain in ("alfa.example", "beta.example"):
        assert register(stamped, domain, "close", "--today").startswith("1 closed")
        found = json.loads(register(stamped, domain, "verify", "--json"))
        assert (found["whole"], found["segments"], found["unstamped"]) == (True, 1, [])
        assert found["signers"] == [f"posta-certificata@{domain}"]
        folder = tmp_path / domain
        register(stamped, domain, "segments", str(folder))
        (signature,) = folder.glob("*.p7s")
        ca_file = stamped.description["timestamps"]["ca_file"]
        command = ("ts", "-verify", "-data", signature.name, "-in", f"{signature.name}.tsr", "-CAfile", ca_file)
        assert "Verification: OK" in openssl(folder, *command)
