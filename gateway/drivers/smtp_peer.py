"""One destination of the relay: the messages that wait for it and the connections that carry them."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.drivers.dialer import Dialer, DialFailed, Target
from gateway.drivers.smtp_connection import Connection
from gateway.drivers.smtp_transaction import Transaction
from gateway.drivers.smtp_wire import ConnectionLost, Timeouts
from gateway.drivers.tls import ClientContexts, TlsPolicy
from gateway.drivers.transmission import Outcome, Outgoing, Stage, Temporary
from receipts.records import record

__all__ = ["ClientLimits", "Destination", "Opener", "Peer"]

SHUT_DOWN = Temporary("4.3.2", "the gateway is stopping", Stage.CONNECT)


@record()
class Destination:
    """Where a domain's mail goes, and how. Messages with equal destinations share connections."""

    targets: tuple[Target, ...]  # in the order to try
    tls: TlsPolicy
    ca_file: str | None = None  # whom VERIFY trusts; None is the system's roots


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What the client grants itself and its peers."""

    connections_per_peer: int = 8
    connections_total: int = 256
    window_messages: int = 16  # in flight on one connection to a peer with CHUNKING
    window_bytes: int = 4_000_000
    connection_age_seconds: float = 300.0
    failure_memory_seconds: float = 2.0  # for so long a peer that could not be reached is not asked again
    timeouts: Timeouts = field(default_factory=Timeouts)


class Opener:
    """Makes connections that are greeted, secured as the destination asks, and ready for messages."""

    def __init__(self, hello: str, dialer: Dialer, contexts: ClientContexts, limits: ClientLimits) -> None:
        self._hello = hello
        self._dialer = dialer
        self._contexts = contexts
        self._limits = limits

    async def open(self, destination: Destination, on_change: Callable[[Connection], None]) -> Connection:
        """A connection to the first target that answers.

        Raises:
            ConnectionLost: none does; the cause is the last one's, or that of a failure of TLS before it.
        """
        cause = Temporary("4.4.1", "no host to ask", Stage.CONNECT)
        for target in destination.targets:
            try:
                for address in await self._dialer.addresses(target):
                    try:
                        return await self._reach(destination, target, address, on_change)
                    except (ConnectionLost, DialFailed) as failure:
                        cause = _graver(cause, failure)
            except DialFailed as failure:
                cause = _graver(cause, failure)
        raise ConnectionLost(cause)

    async def _reach(
        self, destination: Destination, target: Target, address: str, on_change: Callable[[Connection], None]
    ) -> Connection:
        if destination.tls is not TlsPolicy.OPPORTUNISTIC:
            return await self._greet(destination, target, address, on_change, secure=True)
        try:
            return await self._greet(destination, target, address, on_change, secure=True)
        except ConnectionLost as failure:
            if failure.cause.stage is not Stage.TLS:
                raise
        return await self._greet(destination, target, address, on_change, secure=False)

    async def _greet(
        self,
        destination: Destination,
        target: Target,
        address: str,
        on_change: Callable[[Connection], None],
        *,
        secure: bool,
    ) -> Connection:
        limits = self._limits
        connection = Connection(
            limits.timeouts,
            window_messages=limits.window_messages,
            window_bytes=limits.window_bytes,
            on_change=on_change,
        )
        try:
            await self._dialer.connect(address, target.port, lambda: connection.wire)
            await connection.open(self._hello)
            if secure:
                await self._secure(connection, destination, target)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _secure(self, connection: Connection, destination: Destination, target: Target) -> None:
        if connection.features.starttls:
            try:
                context = self._contexts.context(destination.tls, destination.ca_file)
            except OSError as error:
                raise ConnectionLost(Temporary("4.7.5", f"TLS trust cannot be read: {error}", Stage.TLS)) from error
            await connection.start_tls(context, target.host, self._hello)
        elif destination.tls is not TlsPolicy.OPPORTUNISTIC:
            raise ConnectionLost(Temporary("4.7.5", "the peer offers no STARTTLS", Stage.TLS))


class _Job:
    __slots__ = ("attempts", "future", "outgoing", "transaction")

    def __init__(self, outgoing: Outgoing, peer: "Peer") -> None:
        self.outgoing = outgoing
        self.future: asyncio.Future[tuple[Outcome, ...]] = asyncio.get_running_loop().create_future()
        self.attempts = 0
        self.transaction = Transaction(outgoing, peer.ended)

    def fail(self, cause: Temporary) -> None:
        if not self.future.done():
            self.future.set_result((cause,) * len(self.outgoing.forward_paths))


class Peer:
    """Queue and pool of one destination. ``on_change`` hears when a connection has ended or nothing is left to do."""

    def __init__(
        self,
        destination: Destination,
        opener: Opener,
        limits: ClientLimits,
        *,
        may_open: Callable[[], bool],
        on_change: Callable[["Peer"], None],
    ) -> None:
        self.destination = destination
        self.connections: list[Connection] = []
        self._opener = opener
        self._limits = limits
        self._may_open = may_open
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Job] = deque()
        self._jobs: dict[Transaction, _Job] = {}
        self._births: dict[Connection, float] = {}
        self._opening: asyncio.Task[None] | None = None
        self._failure: tuple[float, Temporary] | None = None
        self._stopping = False

    @property
    def useless(self) -> bool:
        """Whether nothing is under way and nothing remembered."""
        remembered = self._failure is not None and self._loop.time() < self._failure[0]
        return not (self._queue or self._jobs or self.connections or self._opening or remembered)

    @property
    def starved(self) -> bool:
        """Whether messages wait and no connection is being made for them."""
        return bool(self._queue) and self._opening is None

    async def send(self, outgoing: Outgoing) -> tuple[Outcome, ...]:
        job = _Job(outgoing, self)
        self._queue.append(job)
        self.pump()
        return await job.future

    def pump(self) -> None:
        """Give waiting messages to connections that have room; open one more connection if that is not enough."""
        while self._queue:
            job = self._queue[0]
            if job.future.cancelled():
                self._queue.popleft()
                continue
            connection = self._with_room(job.transaction)
            if connection is None:
                break
            self._queue.popleft()
            job.attempts += 1
            self._jobs[job.transaction] = job
            connection.start(job.transaction)
        if self._queue and self._opening is None and len(self.connections) < self._limits.connections_per_peer:
            self._open_one_more()

    def ended(self, transaction: Transaction) -> None:
        """A transaction has its outcomes, or was lost untouched: then it has one more chance elsewhere.

        So it goes with a kept connection that the peer closes just when we use it again.
        """
        job = self._jobs.pop(transaction)
        if transaction.untouched and job.attempts == 1 and not self._stopping and not job.future.done():
            job.transaction = Transaction(job.outgoing, self.ended)
            self._queue.appendleft(job)
        elif not job.future.done():
            job.future.set_result(transaction.outcomes)

    def stop(self) -> None:
        """Begin nothing more: what waits fails, connections say farewell when what is in flight has ended."""
        self._stopping = True
        if self._opening is not None:
            self._opening.cancel()
        self._fail_queue(SHUT_DOWN)
        for connection in list(self.connections):
            connection.quit()

    def abort(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    def _with_room(self, transaction: Transaction) -> Connection | None:
        for connection in self.connections:
            if connection.has_room(transaction):
                if connection.idle and self._loop.time() > self._births[connection]:
                    connection.quit()
                    continue
                return connection
        return None

    def _open_one_more(self) -> None:
        if self._stopping:
            self._fail_queue(SHUT_DOWN)
        elif self._failure is not None and self._loop.time() < self._failure[0]:
            if not self.connections:
                self._fail_queue(self._failure[1])
        elif self._may_open():
            self._opening = self._loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            connection = await self._opener.open(self.destination, self._changed)
        except ConnectionLost as failure:
            self._opening = None
            memory = self._limits.failure_memory_seconds
            self._failure = (self._loop.time() + memory, failure.cause)
            self._loop.call_later(memory, self._on_change, self)
            if not self.connections:
                self._fail_queue(failure.cause)
            self._on_change(self)
        except BaseException as error:
            self._opening = None
            self._fail_queue(SHUT_DOWN)
            self._on_change(self)
            if not isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._opening = None
            self._failure = None
            self._births[connection] = self._loop.time() + self._limits.connection_age_seconds
            self.connections.append(connection)
            if connection.closed:
                self._changed(connection)
            elif self._stopping:
                connection.quit()
            else:
                self.pump()

    def _changed(self, connection: Connection) -> None:
        if connection.closed and connection in self._births:
            self.connections.remove(connection)
            del self._births[connection]
            self._on_change(self)
        if self._stopping and not connection.closed and connection.idle:
            connection.quit()
        self.pump()

    def _fail_queue(self, cause: Temporary) -> None:
        waiting, self._queue = self._queue, deque()
        for job in waiting:
            job.fail(cause)


def _graver(cause: Temporary, failure: ConnectionLost | DialFailed) -> Temporary:
    """The later cause, unless the earlier one was a failure of TLS: that one is worth an alarm."""
    if cause.stage is Stage.TLS:
        return cause
    if isinstance(failure, ConnectionLost):
        return failure.cause
    return Temporary("4.4.1", str(failure)[:400], Stage.CONNECT)
