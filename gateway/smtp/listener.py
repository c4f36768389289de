"""What both SMTP servers do around their connections: listen, turn away, look at the time, and stop in good order."""

import asyncio
import contextlib
import logging
import socket
import time
from abc import ABC, abstractmethod

from gateway.drivers.listening import listening
from gateway.smtp import replies
from gateway.smtp.connection import Clock, Connection
from gateway.smtp.hardening import Budget, Door
from gateway.smtp.limits import Limits

__all__ = ["Listener"]

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
POLL_SECONDS = 0.02
BACKLOG = 512


class Listener(ABC):
    """A server with its sockets, its connections and its limits.

    Args:
        budget: shared by all servers of the process.
        signs_in: whether connections count as strangers until somebody signs in.
        clock: monotonic seconds.
    """

    def __init__(self, limits: Limits, budget: Budget, *, signs_in: bool, clock: Clock = time.monotonic) -> None:
        self.limits = limits
        self.budget = budget
        self.clock = clock
        self.signs_in = signs_in
        self.door = Door(limits, signs_in=signs_in)
        self.stopping = False
        self.connections: set[Connection] = set()
        self.flows: set[asyncio.Task[object]] = set()
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    @abstractmethod
    def protocol(self, *, implicit_tls: bool) -> asyncio.Protocol:
        """A protocol for one connection."""

    async def listen(self, host: str | None, port: int, *, implicit_tls: bool = False) -> int:
        """Serve on ``host`` (None: every address) and ``port`` (0: any that is free); the port it became."""
        opened = listening(host or "", port, BACKLOG)
        for each in opened:
            await self.serve(each, implicit_tls=implicit_tls)
        return int(opened[0].getsockname()[1])

    async def serve(self, opened: socket.socket, *, implicit_tls: bool = False) -> None:
        """Answer on a socket that listens already."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: self.protocol(implicit_tls=implicit_tls), sock=opened, backlog=BACKLOG
        )
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep_on())

    async def close(self, grace_seconds: float = 30.0) -> None:
        """Take no new connection, finish the messages under way, say good-bye to the rest."""
        self.stopping = True
        for server in self._servers:
            server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                while self.flows or any(connection.open for connection in self.connections):
                    for connection in list(self.connections):
                        if connection.idle:
                            connection.leave(replies.SHUTTING_DOWN)
                    await asyncio.sleep(POLL_SECONDS)
                await asyncio.sleep(POLL_SECONDS)  # for the last replies to be heard
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self.connections):
            connection.abort()

    def enter(self, connection: Connection) -> bool:
        """Count a new connection, or turn it away."""
        if self.stopping:
            connection.turn_away(replies.SHUTTING_DOWN)
            return False
        ticket = self.door.enter(connection.address)
        if isinstance(ticket, replies.Reply):
            log.warning("connection refused", extra={"peer": connection.address, "open": self.door.open})
            connection.turn_away(ticket)
            return False
        connection.ticket = ticket
        self.connections.add(connection)
        return True

    def left(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def sweep(self) -> None:
        """End what is late, by the clock's present time."""
        now = self.clock()
        for connection in list(self.connections):
            try:
                connection.sweep(now)
            except Exception as error:  # one connection shall not keep the others from being looked at
                log.error("connection not swept", exc_info=error)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()
