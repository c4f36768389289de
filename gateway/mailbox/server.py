"""A server of mailboxes, of whatever protocol: who is let in, how a session ends, and how all end in good order."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.drivers.listening import listening
from gateway.flows.failures import network_of
from gateway.mailbox.connection import Connection, ConnectionGone, Interrupted, LineTooLong, TooSlow
from gateway.mailbox.limits import Admissions, MailboxLimits, Ticket
from receipts.errors import GatewayError

__all__ = ["Farewells", "MailboxServer", "Session"]

log = logging.getLogger(__name__)


class Session(Protocol):
    """One client of the server."""

    farewell: bytes

    async def run(self) -> None:
        """Answer until the client leaves, in clear or under TLS as the connection is."""
        ...

    def end(self, farewell: bytes) -> None:
        """End before the next command."""
        ...

    def part(self, word: bytes) -> None:
        """Say a last word, if one may be said now, and close."""
        ...

    async def over(self) -> None:
        """Let go of what the session held."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewells:
    """What a protocol says when it ends a session by itself."""

    busy: bytes
    shutdown: bytes
    long: bytes
    slow: bytes
    failed: bytes


Begin = Callable[[Connection, Ticket, bool], Session]
"""Connection, its ticket, whether it is under TLS -> session."""


class MailboxServer:
    """All listeners of one protocol in one process: they share limits.

    Args:
        name: of the protocol, for the log.
        tls: the certificate; load another into it and the next handshake shows that.
    """

    def __init__(
        self, name: str, begin: Begin, farewells: Farewells, *, tls: ssl.SSLContext, limits: MailboxLimits
    ) -> None:
        self._name = name
        self._begin = begin
        self._farewells = farewells
        self._tls = tls
        self._limits = limits
        self._admissions = Admissions(limits)
        self._listeners: list[asyncio.Server] = []
        self._sessions: dict[Connection, Session] = {}
        self._closed = False

    async def listen(self, host: str | None, port: int, *, implicit_tls: bool) -> int:
        """Listen there too; the port, for callers that gave 0."""
        opened = listening(host or "", port)
        for each in opened:
            await self.serve(each, implicit_tls=implicit_tls)
        return int(opened[0].getsockname()[1])

    async def serve(self, opened: socket.socket, *, implicit_tls: bool) -> None:
        """Answer on a socket that listens already."""
        loop = asyncio.get_running_loop()

        async def serve(connection: Connection) -> None:
            await self._serve(connection, implicit_tls)

        self._listeners.append(await loop.create_server(lambda: Connection(serve), sock=opened, backlog=512))

    async def close(self) -> None:
        """Take no more connections, let sessions finish their act, end them."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
        sessions = dict(self._sessions)
        for session in sessions.values():
            session.end(self._farewells.shutdown)
        if sessions:
            tasks = [connection.task for connection in sessions]
            _, late = await asyncio.wait(tasks, timeout=self._limits.closing_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _serve(self, connection: Connection, implicit_tls: bool) -> None:
        words, name = self._farewells, self._name
        ticket = None if self._closed else self._admissions.admit(network_of(connection.address), connection.abort)
        if ticket is None:
            log.warning("%s connection refused", name, extra={"peer": connection.address})
            if not implicit_tls:
                connection.write(words.busy)
            return
        connection.by = asyncio.get_running_loop().time() + self._limits.sign_in_seconds
        session = self._sessions[connection] = self._begin(connection, ticket, implicit_tls)
        try:
            async with asyncio.timeout(self._limits.session_seconds):
                if implicit_tls:
                    await connection.start_tls(self._tls, self._limits.handshake_seconds)
                else:
                    connection.begin()
                await session.run()
        except ConnectionGone:
            connection.abort()
        except asyncio.CancelledError:
            session.part(words.shutdown)
            raise
        except Interrupted:
            session.part(session.farewell)
        except LineTooLong:
            session.part(words.long)
        except (TooSlow, TimeoutError):
            session.part(words.slow)
        except GatewayError:
            log.warning("%s session failed", name, exc_info=True)
            session.part(words.failed)
        except Exception:
            log.exception("%s session broke", name)
            session.part(words.failed)
        finally:
            ticket.give_back()
            del self._sessions[connection]
            await session.over()
