"""The POP3 server: who is let in, how a session ends, and how all end in good order (RFC 1939)."""

import asyncio
import logging
import socket
import ssl

from gateway.drivers.listening import listening
from gateway.flows.failures import network_of
from gateway.flows.outcomes import SignIn
from gateway.flows.sessions import LiveSessions
from gateway.mailbox import replies
from gateway.mailbox.connection import Connection, ConnectionGone, Interrupted, LineTooLong, TooSlow
from gateway.mailbox.limits import Admissions, MailboxLimits
from gateway.mailbox.session import Maildrops, Session, Shared
from receipts.errors import GatewayError

__all__ = ["Pop3Server"]

log = logging.getLogger(__name__)


class Pop3Server:
    """All POP3 listeners of one process: they share limits and know which mailboxes are open.

    Another process on the same database may open the same mailbox; whatever both delete is deleted once.

    Args:
        tls: the certificate; load another into it and the next handshake shows that.
    """

    def __init__(
        self,
        *,
        sign_in: SignIn,
        maildrops: Maildrops,
        tls: ssl.SSLContext,
        limits: MailboxLimits | None = None,
        live: LiveSessions | None = None,
    ) -> None:
        self._limits = limits or MailboxLimits()
        self._shared = Shared(sign_in=sign_in, maildrops=maildrops, tls=tls, limits=self._limits, live=live)
        self._admissions = Admissions(self._limits)
        self._listeners: list[asyncio.Server] = []
        self._sessions: dict[Connection, Session] = {}
        self._closed = False

    @property
    def open_mailboxes(self) -> frozenset[int]:
        """Which mailboxes somebody has open."""
        return frozenset(self._shared.open_mailboxes)

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
            session.end(replies.SHUTDOWN)
        if sessions:
            tasks = [connection.task for connection in sessions]
            _, late = await asyncio.wait(tasks, timeout=self._limits.closing_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _serve(self, connection: Connection, implicit_tls: bool) -> None:
        ticket = None if self._closed else self._admissions.admit(network_of(connection.address))
        if ticket is None:
            log.warning("pop3 connection refused", extra={"peer": connection.address})
            if not implicit_tls:
                connection.write(replies.BUSY)
            return
        session = self._sessions[connection] = Session(self._shared, connection, ticket, tls=implicit_tls)
        try:
            async with asyncio.timeout(self._limits.session_seconds):
                if implicit_tls:
                    await connection.start_tls(self._shared.tls, self._limits.handshake_seconds)
                else:
                    connection.begin()
                await session.run()
        except ConnectionGone:
            connection.abort()
        except asyncio.CancelledError:
            session.part(replies.SHUTDOWN)
            raise
        except Interrupted:
            session.part(session.farewell)
        except LineTooLong:
            session.part(replies.LONG)
        except (TooSlow, TimeoutError):
            session.part(replies.TIMEOUT)
        except GatewayError:
            log.warning("pop3 session failed", exc_info=True)
            session.part(replies.FAILED)
        except Exception:
            log.exception("pop3 session broke")
            session.part(replies.FAILED)
        finally:
            session.over()
            ticket.give_back()
            del self._sessions[connection]
