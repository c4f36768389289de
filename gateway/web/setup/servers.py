"""The servers that a mail program needs to know, whichever way it asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["MailServer", "MailServers", "Service"]


class Service(StrEnum):
    """What a server does, as it is named in URLs and in DNS."""

    IMAP = "imap"
    POP3 = "pop3"
    SUBMISSION = "smtp"
    SIEVE = "sieve"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """One port. It speaks TLS from the first byte, or begins it with STARTTLS; never neither."""

    service: Service
    host: str
    port: int
    implicit_tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServers:
    """All of one provider, best first for each service."""

    provider: str  # its name, for people
    short_name: str
    servers: Sequence[MailServer]
    help_at: str | None = None  # the page where holders ask for device passwords, if there is one

    def of(self, *services: Service) -> list[MailServer]:
        """Those that do one of these, in the order of ``services``."""
        return [server for service in services for server in self.servers if server.service is service]

    def best(self, service: Service) -> MailServer | None:
        return next(iter(self.of(service)), None)
