"""The IMAP server (RFC 3501)."""

import ssl

from gateway.flows.outcomes import SignIn
from gateway.flows.sessions import LiveSessions
from gateway.mailbox.connection import Connection
from gateway.mailbox.imap import replies
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.imap.session import Session, Shared
from gateway.mailbox.imap.store import OpenBox
from gateway.mailbox.limits import Ticket
from gateway.mailbox.server import Farewells, MailboxServer

__all__ = ["ImapServer"]

_FAREWELLS = Farewells(
    busy=replies.BYE_TOO_MANY_CONNECTIONS,
    shutdown=replies.BYE_SHUTDOWN,
    long=replies.BYE_LONG,
    slow=replies.BYE_TIMEOUT,
    failed=replies.BYE_FAILED,
)


class ImapServer(MailboxServer):
    """All IMAP listeners of one process. Any number of sessions may have the same folder open, here and elsewhere.

    Args:
        tls: the certificate; load another into it and the next handshake shows that.
    """

    def __init__(
        self,
        *,
        sign_in: SignIn,
        open_box: OpenBox,
        tls: ssl.SSLContext,
        limits: ImapLimits | None = None,
        live: LiveSessions | None = None,
    ) -> None:
        limits = limits or ImapLimits()
        shared = Shared(sign_in=sign_in, open_box=open_box, tls=tls, limits=limits, live=live)

        def begin(connection: Connection, ticket: Ticket, tls: bool) -> Session:
            return Session(shared, connection, ticket, tls=tls)

        super().__init__("imap", begin, _FAREWELLS, tls=tls, limits=limits)
