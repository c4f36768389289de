"""Other servers, in a thread of the test: they take mail when and how the test says."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.lab.network import Layout
from tests.drivers.scripted import Received, ScriptedPeer
from tests.lab.waiting import until

__all__ = ["Peer", "peer"]

FEATURES = ("PIPELINING", "CHUNKING", "8BITMIME", "SIZE 1000000", "STARTTLS")


@dataclass
class Peer:
    """A server for a certified domain, which is to say with TLS. ``open`` it to let the answers to messages go."""

    scripted: ScriptedPeer
    loop: asyncio.AbstractEventLoop
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def port(self) -> int:
        return self.scripted.port

    @property
    def messages(self) -> list[Received]:
        return self.scripted.messages

    def open(self) -> None:
        self.loop.call_soon_threadsafe(self.gate.set)

    def wait(self, holds: Callable[["Peer"], object], what: str) -> None:
        until(lambda: holds(self), what)


@contextmanager
def peer(layout: Layout, *, gated: bool = False) -> Iterator[Peer]:
    """A server with the certificate of the lab.

    Args:
        gated: it answers no message until ``open``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(layout.tls_certificate, layout.tls_key)
    loop = asyncio.new_event_loop()
    made = Peer(ScriptedPeer(tls=context), loop)
    if gated:
        made.scripted.gate = made.gate
    ready, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with made.scripted.running():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        yield made
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
        loop.close()
