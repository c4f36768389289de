"""A message of 50 MB: what it takes of memory (D20), and what it takes from the others (D37)."""

import base64
import os
import poplib
import secrets
import threading
from collections.abc import Callable, Iterator
from unittest.mock import patch

import pytest

from gateway.lab.processes import forget_peak, usage
from tests.hostile.probe import Probe
from tests.hostile.talk import Talk, dot_stuffed
from tests.lab.labs import Lab, letter, running
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

MB = 1_000_000
SIZE = 50 * MB
MOST = 4 * SIZE / MB  # MB beyond idle, in each process (D20)
SENDER, RECIPIENT = "anna@alfa.example", "anna@beta.example"
PIECE = 64 * 1024


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that takes more than 30 MB."""
    limits = {"CERALACCA_LIMITS__MAX_TOTAL_BYTES": str(3 * SIZE), "CERALACCA_LIMITS__MAX_MESSAGE_BYTES": str(3 * SIZE)}
    with patch.dict(os.environ, limits), running(tmp_path_factory.mktemp("large") / "lab", "--no-restart") as started:
        yield started


@pytest.fixture(scope="module")
def idle(lab: Lab) -> dict[str, float]:
    """MB of each process after a first small message each way."""
    for sender, recipient in (
        ("bruno@alfa.example", "bruno@beta.example"),
        ("bruno@beta.example", "bruno@alfa.example"),
    ):
        small(lab, sender, recipient)
    return {one["domain"]: usage(one["pid"]).rss_mb for one in lab.description["providers"]}


def small(lab: Lab, sender: str, recipient: str) -> None:
    msgid = lab.send(letter(sender, to=[recipient], subject="piccolo"))
    lab.mailbox(sender).wait(lambda mail: mail.reference == msgid and mail.kind.startswith("T9"), "delivery receipt")


def attachment() -> bytes:
    line = base64.b64encode(secrets.token_bytes(57)) + b"\r\n"
    head = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n'
        b"--x\r\nContent-Type: text/plain\r\n\r\nciao\r\n"
        b'--x\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    return head + line * (SIZE // len(line)) + b"--x--\r\n"


def accents() -> bytes:
    line = "Così è, perché la città è già più in là.\r\n".encode()
    return b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + line * (SIZE // len(line))


def dots() -> bytes:
    return b"\r\n" + (b"." * 60 + b"\r\n") * (SIZE // 62)


@pytest.mark.parametrize("form", ["completa", "breve"])
@pytest.mark.parametrize("body", [attachment, accents, dots])
def test_a_message_of_50_mb_takes_four_times_its_size_at_most(
    lab: Lab, idle: dict[str, float], body: Callable[[], bytes], form: str
) -> None:
    providers = {one["domain"]: one for one in lab.description["providers"]}
    for one in providers.values():
        forget_peak(one["pid"])
    token = secrets.token_hex(8)
    head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nMessage-ID: <{token}@x.example>\r\nX-TipoRicevuta: {form}\r\n"
    data = dot_stuffed(head.encode() + body())
    probes = {domain: Probe(one["ports"]["smtp"]) for domain, one in providers.items()}
    threads = [threading.Thread(target=probe.run) for probe in probes.values()]
    for thread in threads:
        thread.start()
    try:
        submit(lab, data)
        for _ in range(3):
            small(lab, "bruno@alfa.example", "bruno@beta.example")
        until(lambda: fetched(lab, SENDER, token, b"avvenuta-consegna"), "delivery receipt", seconds=240)
        assert fetched(lab, RECIPIENT, token, b"posta-certificata") > SIZE
    finally:
        late = {domain: probe.stop() for domain, probe in probes.items()}
        for thread in threads:
            thread.join()
    took = {domain: usage(one["pid"]).peak_rss_mb - idle[domain] for domain, one in providers.items()}
    for domain in providers:
        most, slowest = (1000 * seconds for seconds in late[domain])
        print(f"{domain}: idle {idle[domain]:.0f} MB, at most {took[domain]:.0f} MB more (limit {MOST:.0f});", end=" ")
        print(f"NOOP answered within {most:.0f} ms 99 times of 100, at worst {slowest:.0f} ms")
    assert max(took.values()) <= MOST


def submit(lab: Lab, stuffed: bytes) -> None:
    account, port = lab.account(SENDER), lab.provider("alfa.example")["ports"]["submissions"]
    with Talk(port, context=lab.context()).greeted() as talk:
        talk.signed_in(account.address, account.password).begin(SENDER, [RECIPIENT])
        assert talk.ask("DATA").code == 354
        for at in range(0, len(stuffed), PIECE):
            talk.send(stuffed[at : at + PIECE])
        assert talk.answer().text.endswith("> accepted")


def fetched(lab: Lab, address: str, token: str, marker: bytes) -> int:
    """The size of the certified message about ``token``, fetched to its end and deleted; 0 if it is not there yet."""
    account = lab.account(address)
    box = poplib.POP3_SSL("localhost", lab.provider(account.domain)["ports"]["pop3s"], context=lab.context())
    try:
        box.user(address)
        box.pass_(account.password)
        for number in range(1, box.stat()[0] + 1):
            header = b"\r\n".join(box.top(number, 0)[1])
            if marker in header and token.encode() in header:
                size = retrieved(box, number)
                box.dele(number)
                return size
        return 0
    finally:
        box.quit()


def retrieved(box: poplib.POP3_SSL, number: int) -> int:
    """The size of a message that is read and forgotten: ``poplib`` would keep a list of its lines."""
    box._putcmd(f"RETR {number}")  # type: ignore[attr-defined]
    box._getresp()  # type: ignore[attr-defined]
    size = 0
    while (line := box.file.readline()) != b".\r\n":
        assert line
        size += len(line)
    return size
