"""How much memory our IMAP server holds for clients that wait for news: ``bench/imap.py --idle 500``."""

import ssl
import tempfile
from pathlib import Path
from socket import create_connection
from typing import Final

from tests.clients.places import Box, Place, ceralacca

__all__ = ["measure"]

MESSAGES: Final = 20  # of each box
OF_ONE_ADDRESS: Final = 40  # sessions: the server takes no more than 50


class Waiting:
    """A session over TLS that has the inbox selected and waits."""

    def __init__(self, box: Box, address: str) -> None:
        context = ssl.create_default_context(cafile=box.ca_file)
        raw = create_connection(("127.0.0.1", box.imaps), timeout=60, source_address=(address, 0))
        self._socket = context.wrap_socket(raw, server_hostname="localhost")
        self._answers = self._socket.makefile("rb")
        self._answers.readline()
        self._ask(f'LOGIN "{box.user}" "{box.password}"', b"a ")

    def fill(self) -> None:
        message = b"Subject: una fattura\r\n\r\nGentile Anna\r\n"
        for _ in range(MESSAGES):
            self._ask(f"APPEND INBOX {{{len(message)}+}}\r\n{message.decode()}", b"a ")

    def wait(self) -> None:
        self._ask("SELECT INBOX", b"a ")
        self._ask("IDLE", b"+ ")

    def told_of(self) -> int:
        """Messages, by the next EXISTS."""
        while not (line := self._answers.readline()).endswith(b" EXISTS\r\n"):
            if not line:
                raise ConnectionError("the server left")
        return int(line.split()[1])

    def _ask(self, command: str, until: bytes) -> None:
        self._socket.sendall(f"a {command}\r\n".encode())
        while not (line := self._answers.readline()).startswith(until):
            if not line:
                raise ConnectionError("the server left")
        if not line.startswith((b"a OK", b"+ ")):
            raise RuntimeError(line.decode("utf-8", "replace"))


def measure(sessions: int) -> None:
    """Print what the process holds before, with the sessions, and when each of them has been told of a message."""
    with tempfile.TemporaryDirectory(prefix="ceralacca-idle-") as folder, ceralacca(Path(folder)) as place:
        boxes = [place.box() for _ in range(len(place.accounts))]
        fillers = [Waiting(box, "127.0.0.1") for box in boxes]
        for filler in fillers:
            filler.fill()
        print(f"{'before':>24} {_resident(place):8.1f} MB", flush=True)
        waiting = []
        for number in range(sessions):
            session = Waiting(boxes[number % len(boxes)], f"127.0.0.{2 + number // OF_ONE_ADDRESS}")
            session.wait()
            waiting.append(session)
        print(f"{f'{sessions} idle sessions':>24} {_resident(place):8.1f} MB", flush=True)
        for filler in fillers:
            filler.fill()
        for session in waiting:
            while session.told_of() < 2 * MESSAGES:
                continue
        print(f"{'all told of messages':>24} {_resident(place):8.1f} MB", flush=True)


def _resident(place: Place) -> float:
    """Of the server process, in megabytes."""
    status = Path(f"/proc/{place.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6
