"""Providers that die, labs that die, and labs that stop."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.lab.network import Layout, prepare
from gateway.lab.plan import load_or_draw
from tests.lab.labs import COMMAND, Lab, alive, letter, running
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

RESTART_SECONDS = 2.0
TRIES = 5
"""The best of so many counts: the machine may be busy for a moment, but not each time."""


def pids(lab: Lab) -> list[int]:
    return [provider["pid"] for provider in lab.description["providers"]]


def seconds_to_restart(lab: Lab, domain: str) -> float:
    """Kill a provider; how long it is until there is a new process."""
    pid = lab.provider(domain)["pid"]
    os.kill(pid, signal.SIGKILL)
    killed_at = time.monotonic()
    until(lambda: lab.provider(domain)["pid"] != pid, "new process")
    return time.monotonic() - killed_at


def serving(lab: Lab) -> bool:
    """Whether every port of every provider answers."""
    ports = [port for one in lab.description["providers"] for port in one["ports"].values() if port is not None]
    for port in ports:
        try:
            socket.create_connection(("localhost", port), timeout=60).close()
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running(tmp_path_factory.mktemp("supervised") / "lab", "--accounts", "1") as started:
        yield started


@pytest.mark.parametrize("domain", ["alfa.example", "beta.example"])
def test_a_killed_provider_is_started_again_within_two_seconds(lab: Lab, domain: str) -> None:
    before, took = lab.provider(domain), [seconds_to_restart(lab, domain)]
    while took[-1] >= RESTART_SECONDS and len(took) < TRIES:
        until(lambda: serving(lab), "answer on every port")
        took.append(seconds_to_restart(lab, domain))
    assert min(took) < RESTART_SECONDS
    after = lab.provider(domain)
    assert alive(after["pid"])
    assert after | {"pid": 0} == before | {"pid": 0}
    until(lambda: serving(lab), "answer on every port")
    sender = f"anna@{domain}"
    msgid = lab.send(letter(sender, to=[sender], subject="Di nuovo qui"))
    lab.mailbox(sender).wait(lambda mail: mail.reference == msgid and mail.kind.startswith("T9"), "delivery receipt")


def test_a_provider_that_dies_again_and_again_is_started_again_each_time(lab: Lab) -> None:
    for _ in range(4):
        seconds_to_restart(lab, "beta.example")
    until(lambda: serving(lab), "answer on every port")


def test_a_killed_lab_leaves_no_provider_and_its_folder_starts_again_and_grows(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with running(folder, "--providers", "1", "--accounts", "1", expect_stop=False) as lab:
        before, (provider,) = lab.description, pids(lab)
        msgid = lab.send(letter("anna@alfa.example", to=["anna@alfa.example"], subject="Resta"))
        lab.mailbox("anna@alfa.example").wait(
            lambda mail: mail.reference == msgid and mail.kind.startswith("T9"), "delivery receipt"
        )
        os.kill(provider, signal.SIGSTOP)  # even one that hears nothing ends
        lab.process.kill()
        until(lambda: not alive(provider), "end of the provider")
        assert lab.file.exists()
    with running(folder, "--providers", "2", "--accounts", "2") as lab:
        after = lab.description
        assert after["providers"][0] | {"pid": 0} == before["providers"][0] | {"pid": 0}
        assert after["providers"][0]["pid"] != provider
        assert [one["address"] for one in after["accounts"]] == [
            *("anna@alfa.example", "bruno@alfa.example", "anna@beta.example", "bruno@beta.example"),
        ]
        assert after["accounts"][0] == before["accounts"][0]
        assert after["ordinary"] == before["ordinary"]
        assert len(lab.mailbox("anna@alfa.example").about(msgid)) == 3
        further = lab.send(letter("bruno@beta.example", to=["bruno@alfa.example"], subject="Dai nuovi"))
        lab.mailbox("bruno@beta.example").wait(
            lambda mail: mail.reference == further and mail.kind.startswith("T9"), "delivery receipt"
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_it_stops_in_order(tmp_path: Path, number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup a lab would inherit that it ignores it
    with running(tmp_path / "lab", "--providers", "1", "--accounts", "1", expect_stop=False) as lab:
        providers, log = pids(lab), Path(lab.provider("alfa.example")["log_file"])
        lab.process.send_signal(number)
        assert lab.process.wait(60) == 0
        assert not any(map(alive, providers))
        assert not lab.file.exists()
        assert '"event": "stopping"' in log.read_text()


def test_a_provider_that_stands_still_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with running(tmp_path / "lab", "--providers", "1", "--accounts", "1") as lab:
        (provider,) = pids(lab)
        os.kill(provider, signal.SIGSTOP)
        lab.stop()
        assert not alive(provider)


def test_without_restart_a_provider_stays_dead_and_its_command_starts_it(tmp_path: Path) -> None:
    with running(tmp_path / "lab", "--providers", "1", "--accounts", "1", "--no-restart") as lab:
        provider = lab.provider("alfa.example")
        os.kill(provider["pid"], signal.SIGKILL)
        with Path(provider["log_file"]).open("ab") as log:
            again = subprocess.Popen(provider["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until(lambda: serving(lab), "answer on every port")
            assert lab.provider("alfa.example") == provider
            lab.stop()
            assert alive(again.pid)  # it was not the lab's
        finally:
            again.kill()
            again.wait()


def test_a_folder_in_use_is_refused(lab: Lab) -> None:
    before = lab.file.read_bytes()
    said = refusal(lab.folder)
    assert said == f"ceralacca lab: {lab.folder}: another lab runs here; stop it, or name another folder with --dir\n"
    assert lab.file.read_bytes() == before
    assert serving(lab)


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert refusal(file) == f"ceralacca lab: {file}: this is no folder\n"
    other = tmp_path / "other"
    other.mkdir()
    (other / "plan.json").write_text('{"providers": 3}')
    said = refusal(other)
    assert said == f"ceralacca lab: {other}/plan.json: this is not the plan of a lab; name another folder with --dir\n"


def test_ports_are_those_asked_for_or_the_lab_says_who_has_them(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    first = next(port for port in range(14_000, 19_000, 10) if all(map(is_free, range(port, port + 10))))
    with running(folder, "--providers", "1", "--accounts", "1", "--first-port", str(first)) as asked:
        ports = asked.provider("alfa.example")["ports"]
        used = sorted([asked.description["ordinary"]["smtp"], *(port for port in ports.values() if port)])
        assert used == list(range(first, first + 10))
    with socket.create_server(("127.0.0.1", ports["pop3s"])):
        said = refusal(folder)
    assert said.startswith(f"ceralacca lab: Alfa PEC: its port {ports['pop3s']} is taken by another program;")
    assert not asked.file.exists()
    taken = lab.provider("alfa.example")["ports"]["smtp"]
    said = refusal(tmp_path / "other", "--first-port", str(taken))
    assert said == f"ceralacca lab: port {taken} is taken by another program; ask for others with --first-port\n"


def test_what_keeps_a_provider_from_starting_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    prepare(Layout(folder), load_or_draw(folder, providers=1, accounts=1))
    key = folder / "alfa" / "signing.key.pem"
    key.chmod(0o644)
    said = refusal(folder)
    assert "Alfa PEC ended while starting" in said
    assert str(key) in said


def refusal(folder: Path, *options: str) -> str:
    """What a lab says that does not start."""
    command = [*COMMAND, "lab", "--providers", "1", "--quiet", "--dir", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def is_free(port: int) -> bool:
    try:
        for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.bind((host, port))
    except OSError:
        return False
    return True
