"""IMAP to the byte: a client that says whatever it is told, and one that works on beside it."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator

from tests.lab.labs import Lab
from tests.lab.waiting import until

__all__ = ["Imap", "Neighbour", "neighbour", "signed_in"]

PATIENCE_SECONDS = 120
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Imap:
    """One connection to an IMAP port of this machine, in TLS."""

    def __init__(self, port: int, context: ssl.SSLContext, source: str = "127.0.0.1") -> None:
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, source_address=(source, 0))
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self._file = self.socket.makefile("rb")
        self._count = 0
        assert self.line().startswith(b"* OK")

    def __enter__(self) -> "Imap":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        """The next line with its literals. Raises ConnectionError if there is none."""
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server left")
        while found := _LITERAL.search(line):
            size = int(found[1])
            data = self._file.read(size)
            assert len(data) == size
            line += data + self._file.readline()
        return line

    def ask(self, command: bytes) -> tuple[bytes, list[bytes]]:
        """How a command ended, and what was said before; the answer begins with OK, NO or BAD."""
        self._count += 1
        tag = b"q%d" % self._count
        self.send(tag + b" " + command + b"\r\n")
        return self.end(tag)

    def end(self, tag: bytes) -> tuple[bytes, list[bytes]]:
        """The end of the command with this tag."""
        said: list[bytes] = []
        while not (line := self.line()).startswith(tag + b" "):
            said.append(line)
        return line.removeprefix(tag + b" ").rstrip(b"\r\n"), said

    def ok(self, command: bytes) -> list[bytes]:
        end, said = self.ask(command)
        assert end.startswith(b"OK"), (command[:200], end)
        return said

    def literal(self, start: bytes, data: bytes) -> bytes:
        """The end of a command whose last argument is a literal without waiting (LITERAL+)."""
        self._count += 1
        tag = b"q%d" % self._count
        self.send(tag + b" " + start + b" {%d+}\r\n" % len(data) + data + b"\r\n")
        return self.end(tag)[0]

    def left(self) -> bool:
        """Whether the server hung up; waits for it."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while self._file.read1(65_536):
                continue
        return True


def signed_in(lab: Lab, address: str, source: str = "127.0.0.1") -> Imap:
    account = lab.account(address)
    session = Imap(lab.provider(account.domain)["ports"]["imaps"], lab.context(), source)
    session.ok(f'LOGIN "{account.address}" "{account.password}"'.encode())
    return session


class Neighbour:
    """Somebody with a mailbox at the same provider, who goes on reading mail."""

    def __init__(self, lab: Lab, address: str) -> None:
        self._session = signed_in(lab, address, "127.0.0.2")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers = 0
        self.fault: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def works_on(self) -> None:
        """Wait until some more questions have been answered from now on."""
        before = self.answers
        until(lambda: self.fault is not None or self.answers >= before + 10, "answers to somebody else")
        assert self.fault is None, self.fault

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._session.__exit__()
        assert self.fault is None, self.fault

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._session.ok(b"SELECT INBOX")
                self._session.ok(b"FETCH 1:* (FLAGS ENVELOPE)")
                self._session.ok(b"STATUS Sent (MESSAGES UNSEEN)")
                self.answers += 1
        except BaseException as error:
            self.fault = error


@contextlib.contextmanager
def neighbour(lab: Lab, address: str) -> Iterator[Neighbour]:
    """Works on until the end of the block, and at least once after it."""
    found = Neighbour(lab, address)
    found.start()
    try:
        found.works_on()
        yield found
        found.works_on()
    finally:
        found.stop()
