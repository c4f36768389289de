"""What protects both SMTP servers from too much: of connections, of bytes, of time, of errors (D17).

Nothing here reads a clock or a socket: instants come in as arguments, answers go out as replies.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from gateway.flows.failures import network_of
from gateway.smtp import replies
from gateway.smtp.limits import Limits
from gateway.smtp.replies import Reply

__all__ = ["Budget", "Doing", "Door", "Ticket", "Watch"]


class Door:
    """Counts the connections of one server.

    Args:
        limits: how many may be open in all, from one address, and without anybody signed in.
        signs_in: whether connections start unauthenticated and are counted as such.
    """

    def __init__(self, limits: Limits, *, signs_in: bool) -> None:
        self._limits = limits
        self._signs_in = signs_in
        self._open = 0
        self._strangers = 0
        self._by_network: Counter[str] = Counter()

    @property
    def open(self) -> int:
        return self._open

    def enter(self, address: str) -> "Ticket | Reply":
        """A ticket to be given back once, or the reply that turns the connection away."""
        network = network_of(address)
        if (
            self._open >= self._limits.max_connections
            or self._by_network[network] >= self._limits.max_connections_per_address
            or (self._signs_in and self._strangers >= self._limits.max_unauthenticated_connections)
        ):
            return replies.TOO_MANY_CONNECTIONS
        self._open += 1
        self._by_network[network] += 1
        self._strangers += self._signs_in
        return Ticket(self, network, stranger=self._signs_in)

    def _leave(self, network: str, *, stranger: bool) -> None:
        self._open -= 1
        self._strangers -= stranger
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


class Ticket:
    """One open connection."""

    def __init__(self, door: Door, network: str, *, stranger: bool) -> None:
        self._door: Door | None = door
        self._network = network
        self._stranger = stranger

    def signed_in(self) -> None:
        if self._stranger and self._door is not None:
            self._door._strangers -= 1
        self._stranger = False

    def give_back(self) -> None:
        if self._door is not None:
            self._door._leave(self._network, stranger=self._stranger)
            self._door = None


class Budget:
    """The message bytes that one process takes in at the same time, over all its servers."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    @property
    def taken(self) -> int:
        return self._taken

    def take(self, amount: int) -> bool:
        """Whether ``amount`` bytes fit; they are taken if they do."""
        if self._taken + amount > self._limit:
            return False
        self._taken += amount
        return True

    def give_back(self, amount: int) -> None:
        self._taken -= amount

    @property
    def exhausted(self) -> bool:
        return self._taken >= self._limit


class Doing(Enum):
    """What a connection is at, as far as time goes."""

    LISTENING = auto()  # it is the other end's turn to send a command
    TAKING = auto()  # a message is coming in
    WORKING = auto()  # it is our turn: nobody is late but we
    REPLYING = auto()  # the other end does not read what we wrote


@dataclass(slots=True)
class Watch:
    """The time one connection takes, and the errors it makes."""

    limits: Limits
    opened: float
    signs_in: bool = False
    doing: Doing = Doing.LISTENING
    since: float = field(init=False)
    taken: int = 0
    errors: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.since = self.opened

    def turn(self, doing: Doing, now: float) -> None:
        """Another thing begins now."""
        self.doing = doing
        self.since = now
        self.taken = 0

    @contextmanager
    def replying(self, clock: Callable[[], float]) -> Iterator[None]:
        """While this lasts the other end does not read; then what it was at goes on, with the time it had left."""
        doing, since, taken, began = self.doing, self.since, self.taken, clock()
        self.turn(Doing.REPLYING, began)
        try:
            yield
        finally:
            self.doing, self.since, self.taken = doing, since + clock() - began, taken

    def error(self) -> bool:
        """Count a bad command; whether it is one too many."""
        self.errors += 1
        return self.errors >= self.limits.max_bad_commands

    def refuse(self) -> bool:
        """Count a refused recipient; whether it is one too many."""
        self.refused += 1
        return self.refused >= self.limits.max_refused_recipients

    def overdue(self, now: float) -> Reply | None:
        """The reply that ends the connection, if the other end is too late. A message under way is let finish."""
        spent = now - self.since
        if self.doing is Doing.WORKING:
            return None
        if self.doing is Doing.TAKING:
            allowed = self.limits.data_grace_seconds + self.taken / self.limits.min_data_bytes_per_second
            return replies.TOO_SLOW if spent > allowed else None
        if self.signs_in and now - self.opened > self.limits.sign_in_seconds:
            return replies.TOO_SLOW
        if spent > self.limits.command_seconds:
            return replies.TOO_SLOW
        if now - self.opened > self.limits.session_seconds:
            return replies.SESSION_TOO_LONG
        return None
