"""Port 25: mail from other providers and from ordinary servers, for local recipients only (D7, D37)."""

import asyncio
import ssl
import time

from gateway.flows.outcomes import CheckRecipient, Receive
from gateway.smtp.connection import Clock, Connection
from gateway.smtp.conversation import Conversation, Incoming
from gateway.smtp.hardening import Budget
from gateway.smtp.intake import OpenSink
from gateway.smtp.limits import Limits
from gateway.smtp.listener import Listener

__all__ = ["RelayServer"]


class RelayServer(Listener):
    """The incoming point's server.

    Args:
        hostname: how it calls itself.
        domain: the provider's own domain, whose postmaster the bare ``postmaster`` is.
        tls: offered by STARTTLS; None turns that off.
        budget: of message bytes, shared with the other servers of the process.
        check: says whether a recipient is welcome.
        receive: takes a message; 250 goes out after it returns.
        open_sink: makes the place where a large message goes while it comes in.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        hostname: str,
        domain: str,
        tls: ssl.SSLContext | None,
        limits: Limits,
        budget: Budget,
        check: CheckRecipient,
        receive: Receive,
        open_sink: OpenSink,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(limits, budget, signs_in=False, clock=clock)
        self._incoming = Incoming(
            hostname=hostname, domain=domain, tls=tls, check=check, receive=receive, open_sink=open_sink
        )

    def protocol(self, *, implicit_tls: bool) -> asyncio.Protocol:
        if implicit_tls:
            raise ValueError("between servers TLS begins with STARTTLS (RFC 3207)")
        return RelayProtocol(self, self._incoming)


class RelayProtocol(asyncio.Protocol):
    """asyncio's side of one connection."""

    def __init__(self, server: RelayServer, incoming: Incoming) -> None:
        self._server = server
        self._incoming = incoming
        self._connection = Connection(server.limits, server.clock, server.left, signs_in=False)
        self._task: asyncio.Task[None] | None = None
        self.data_received = self._connection.received  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connection.attach(transport)
        if self._server.enter(self._connection):
            conversation = Conversation(self._server, self._incoming, self._connection, self)
            self._task = asyncio.get_running_loop().create_task(conversation.run())

    def eof_received(self) -> bool:
        return self._connection.ended()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connection.lost()

    def pause_writing(self) -> None:
        self._connection.unwritable()

    def resume_writing(self) -> None:
        self._connection.writable()
