"""How long a server lets others wait while it is busy."""

import socket
import threading
import time
from dataclasses import dataclass, field

__all__ = ["Probe"]

PAUSE_SECONDS = 0.01


@dataclass
class Probe:
    """Asks a server for nothing, again and again, and takes the time."""

    port: int
    seconds: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as server, server.makefile("rb") as answers:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers.readline()
            while not self._over.wait(PAUSE_SECONDS):
                began = time.monotonic()
                server.sendall(b"NOOP\r\n")
                assert answers.readline().startswith(b"250")
                self.seconds.append(time.monotonic() - began)

    def stop(self) -> tuple[float, float]:
        """The 99th of 100 and the slowest."""
        self._over.set()
        ordered = sorted(self.seconds)
        return ordered[len(ordered) * 99 // 100], ordered[-1]
