"""The POP3 server: sessions that share the knowledge which mailboxes are open (RFC 1939)."""

import ssl

from gateway.flows.outcomes import SignIn
from gateway.flows.sessions import LiveSessions
from gateway.mailbox import replies
from gateway.mailbox.connection import Connection
from gateway.mailbox.limits import MailboxLimits, Ticket
from gateway.mailbox.server import Farewells, MailboxServer
from gateway.mailbox.session import Maildrops, Session, Shared

__all__ = ["Pop3Server"]

_FAREWELLS = Farewells(
    busy=replies.BUSY, shutdown=replies.SHUTDOWN, long=replies.LONG, slow=replies.TIMEOUT, failed=replies.FAILED
)


class Pop3Server(MailboxServer):
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
        limits = limits or MailboxLimits()
        self._shared = shared = Shared(sign_in=sign_in, maildrops=maildrops, tls=tls, limits=limits, live=live)

        def begin(connection: Connection, ticket: Ticket, tls: bool) -> Session:
            return Session(shared, connection, ticket, tls=tls)

        super().__init__("pop3", begin, _FAREWELLS, tls=tls, limits=limits)

    @property
    def open_mailboxes(self) -> frozenset[int]:
        """Which mailboxes somebody has open."""
        return frozenset(self._shared.open_mailboxes)
