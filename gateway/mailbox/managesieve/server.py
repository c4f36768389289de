"""The ManageSieve server (RFC 5804): where mail programs keep the scripts that are asked about what comes in."""

import ssl

from gateway.flows.outcomes import SignIn
from gateway.flows.sessions import LiveSessions
from gateway.mailbox.connection import Connection
from gateway.mailbox.limits import Ticket
from gateway.mailbox.managesieve import replies
from gateway.mailbox.managesieve.limits import SieveLimits
from gateway.mailbox.managesieve.session import Scripts, Session, Shared
from gateway.mailbox.server import Farewells, MailboxServer

__all__ = ["SieveServer"]

_FAREWELLS = Farewells(
    busy=replies.BUSY,
    shutdown=replies.SHUTDOWN,
    long=replies.LONG,
    slow=replies.TIMEOUT,
    failed=replies.FAILED_FOR_GOOD,
)


class SieveServer(MailboxServer):
    """All ManageSieve listeners of one process.

    Args:
        tls: the certificate; load another into it and the next handshake shows that.
    """

    def __init__(
        self,
        *,
        sign_in: SignIn,
        scripts: Scripts,
        tls: ssl.SSLContext,
        limits: SieveLimits | None = None,
        live: LiveSessions | None = None,
    ) -> None:
        limits = limits or SieveLimits()
        shared = Shared(sign_in=sign_in, scripts=scripts, tls=tls, limits=limits, live=live)

        def begin(connection: Connection, ticket: Ticket, tls: bool) -> Session:
            return Session(shared, connection, ticket, tls=tls)

        super().__init__("managesieve", begin, _FAREWELLS, tls=tls, limits=limits)
