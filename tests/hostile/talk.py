"""An SMTP client that says whatever it is told, to the byte, and reads what comes back."""

import base64
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

__all__ = ["Answer", "Talk"]

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Talk:
    """One connection to ``port`` of this machine.

    Args:
        context: TLS from the first byte.
        source: which of this machine's many addresses it comes from.
    """

    def __init__(self, port: int, *, context: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE_SECONDS, source_address=(source, 0)
        )
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """The next reply, all its lines. Raises ConnectionError if there is none."""
        lines = [self._line()]
        while lines[-1][3:4] == b"-":
            lines.append(self._line())
        return Answer(int(lines[-1][:3]), "\n".join(line[4:].decode() for line in lines))

    def ask(self, command: str) -> Answer:
        self.send(command.encode("latin-1") + b"\r\n")
        return self.answer()

    def greeted(self) -> Self:
        """Hear the greeting and say EHLO."""
        assert self.answer().code == 220
        assert self.ask("EHLO hostile.example").code == 250
        return self

    def starttls(self, context: ssl.SSLContext) -> Self:
        assert self.ask("STARTTLS").code == 220
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        assert self.ask("EHLO hostile.example").code == 250
        return self

    def signed_in(self, address: str, password: str) -> Self:
        token = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        assert self.ask(f"AUTH PLAIN {token}").code == 235
        return self

    def begin(self, sender: str, recipients: Sequence[str]) -> Self:
        """MAIL and RCPT, which must be welcome."""
        for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)):
            answer = self.ask(command)
            assert answer.code == 250, answer
        return self

    def data(self, message: bytes) -> Answer:
        """The message by DATA; the reply to it."""
        self.send(b"DATA\r\n")
        assert self.answer().code == 354
        self.send(dot_stuffed(message))
        return self.answer()

    def chunk(self, message: bytes) -> Answer:
        """The message by BDAT, whatever bytes it is made of; the reply to it."""
        self.send(b"BDAT %d LAST\r\n" % len(message) + message)
        return self.answer()

    def closed(self) -> bool:
        """Whether the other end hung up; waits for it."""
        try:
            while self._socket.recv(65536):
                continue
        except (ConnectionError, ssl.SSLError):
            return True
        except TimeoutError:
            return False
        return True

    def vanish(self) -> None:
        """Be gone without a word: the other end gets a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError(f"hung up after {self._unread!r}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.rstrip(b"\r")


def dot_stuffed(message: bytes) -> bytes:
    end = b"" if message.endswith(b"\r\n") or not message else b"\r\n"
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return (b"." if stuffed.startswith(b".") else b"") + stuffed + end + b".\r\n"
