"""The foreign provider's port 25: just enough SMTP, with STARTTLS, to take what a provider sends."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Arrival", "Server"]


@dataclass(frozen=True)
class Arrival:
    """A message that was taken."""

    reverse_path: str
    forward_paths: tuple[str, ...]
    message: bytes
    secured: bool


class Server(socketserver.ThreadingTCPServer):
    """Takes every message and keeps it. It speaks neither PIPELINING nor CHUNKING."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, name: str, tls: ssl.SSLContext, refuses: Callable[[str], bool] = lambda _: False) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.name = name
        self.tls = tls
        self.refuses = refuses
        self.offers_tls = True
        self._arrivals: list[Arrival] = []
        self.sessions: set[_Session] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def arrivals(self) -> list[Arrival]:
        with self._lock:
            return list(self._arrivals)

    def keep(self, arrival: Arrival) -> None:
        with self._lock:
            self._arrivals.append(arrival)

    def hang_up(self) -> None:
        """End every session, so that whoever has more to say comes anew."""
        for session in list(self.sessions):
            with contextlib.suppress(OSError):
                session.connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self.hang_up()
        self.shutdown()
        self.server_close()


class _Session(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.server.sessions.add(self)
        try:
            self._converse()
        except OSError:
            return  # the other side, or ``hang_up``, ended it
        finally:
            self.server.sessions.discard(self)

    def _converse(self) -> None:
        self.secured = False
        self._reset()
        self._say(220, f"{self.server.name} ESMTP")
        while line := self.rfile.readline(2000):
            verb, _, rest = line.decode("latin-1").strip().partition(" ")
            if verb.upper() == "QUIT":
                self._say(221, "bye")
                return
            handler = getattr(self, f"_{verb.lower()}", None)
            if handler is None:
                self._say(502, "not known here")
            else:
                handler(rest)

    def _ehlo(self, _: str) -> None:
        words = [self.server.name, "8BITMIME", "SIZE 100000000"]
        if self.server.offers_tls and not self.secured:
            words.append("STARTTLS")
        for word in words[:-1]:
            self.wfile.write(f"250-{word}\r\n".encode())
        self._say(250, words[-1])

    def _starttls(self, _: str) -> None:
        if not self.server.offers_tls or self.secured:
            self._say(503, "not now")
            return
        self._say(220, "go ahead")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.secured = True
        self._reset()

    def _mail(self, rest: str) -> None:
        self._reset()
        self.reverse_path = _path(rest)
        self._say(250, "ok")

    def _rcpt(self, rest: str) -> None:
        path = _path(rest)
        if self.server.refuses(path):
            self._say(550, "5.1.1 no such mailbox")
            return
        self.forward_paths.append(path)
        self._say(250, "ok")

    def _data(self, _: str) -> None:
        if not self.forward_paths:
            self._say(503, "no recipients")
            return
        self._say(354, "go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            assert line, "the connection broke"
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.server.keep(Arrival(self.reverse_path, tuple(self.forward_paths), b"".join(lines), self.secured))
        self._reset()
        self._say(250, "taken")

    def _rset(self, _: str) -> None:
        self._reset()
        self._say(250, "ok")

    def _noop(self, _: str) -> None:
        self._say(250, "ok")

    def _reset(self) -> None:
        self.reverse_path = ""
        self.forward_paths: list[str] = []

    def _say(self, code: int, text: str) -> None:
        self.wfile.write(f"{code} {text}\r\n".encode())


def _path(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]
