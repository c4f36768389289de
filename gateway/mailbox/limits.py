"""How many connections a mailbox server takes, from whom, and how long it waits for them (D17)."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Admissions", "MailboxLimits", "Ticket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxLimits:
    max_connections: int = 1_000
    max_connections_per_address: int = 50
    max_unauthenticated: int = 200
    """Connections on which nobody has signed in; one more, and one of them ends."""
    max_bad_commands: int = 10
    max_failures: int = 3
    """Failed sign-ins of one connection, after which it ends."""
    failure_pause_seconds: float = 1.0
    """How long a failed sign-in waits for its answer."""
    line_bytes: int = 1_000
    response_bytes: int = 8_192
    """Of a response in a sign-in: the longest password in base64 (RFC 5034 section 4)."""
    handshake_seconds: float = 15.0
    sign_in_seconds: float = 60.0
    """How long a connection may go without anybody signing in."""
    idle_seconds: float = 600.0
    """How long a session waits for a command; never below ten minutes in service (RFC 1939 section 3)."""
    session_seconds: float | None = 3_600.0
    """How long a session may last; None: as long as its client says something now and then."""
    bytes_per_second: int = 1_000
    """A client that takes its messages more slowly is left alone."""
    closing_seconds: float = 10.0
    """How long a stopping server lets sessions finish what they do."""


class Ticket:
    """One admitted connection. Give it back exactly once."""

    def __init__(self, admissions: "Admissions", network: str, end: Callable[[], None]) -> None:
        self._admissions = admissions
        self.network = network
        self.end = end

    def signed_in(self) -> None:
        self._admissions.strangers.pop(self, None)

    def give_back(self) -> None:
        self.signed_in()
        self._admissions.leave(self.network)


class Admissions:
    """Who is inside now. Counts start at accept, before any TLS handshake."""

    def __init__(self, limits: MailboxLimits) -> None:
        self._limits = limits
        self._networks: Counter[str] = Counter()
        self._inside = 0
        self.strangers: dict[Ticket, None] = {}
        """On whose connections nobody has signed in, in the order in which they came."""

    def admit(self, network: str, end: Callable[[], None]) -> Ticket | None:
        """A ticket, or None when there is no room.

        Args:
            end: ends the connection, to make room: a stranger has to go when very many wait.
        """
        if (
            self._inside >= self._limits.max_connections
            or self._networks[network] >= self._limits.max_connections_per_address
        ):
            if not self._networks[network]:
                del self._networks[network]
            return None
        if len(self.strangers) >= self._limits.max_unauthenticated:
            self._turn_out()
        self._inside += 1
        self._networks[network] += 1
        ticket = Ticket(self, network, end)
        self.strangers[ticket] = None
        return ticket

    def leave(self, network: str) -> None:
        self._inside -= 1
        self._networks[network] -= 1
        if not self._networks[network]:
            del self._networks[network]

    def _turn_out(self) -> None:
        """End the connection of a stranger: of the address that has most of them the one that came first.

        Were newcomers refused instead, a few addresses that never sign in would keep everybody else out.
        """
        crowd = Counter(ticket.network for ticket in self.strangers).most_common(1)[0][0]
        first = next(ticket for ticket in self.strangers if ticket.network == crowd)
        del self.strangers[first]
        first.end()
