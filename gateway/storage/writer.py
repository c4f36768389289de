"""The one thread of a process that writes: transactions of concurrent flows, merged into one commit (D38).

A transaction is a function of a connection. It may run twice: when a group fails, each member is done again by
itself. So it makes statements and returns facts, and touches nothing else.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from gateway.storage.awaited import Outcome, Waiter, deliver
from gateway.storage.batch import batch_of
from gateway.storage.drivers import is_passing, is_unavailable
from gateway.storage.errors import StorageUnavailable

__all__ = ["Changed", "GroupLimits", "Writer"]

T = TypeVar("T")
Changed = Callable[[Mapping[int, int]], None]
"""Is told of mailboxes in which something was committed, each with its modseq after that, in the writer's thread;
neither blocks nor raises."""
ATTEMPTS: Final = 4  # of a single transaction that another node's transaction stands in the way of


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """How much goes into one commit."""

    wait_seconds: float = 0.002
    """How long a group waits for more members, if the last one had more than one."""
    members: int = 128
    size: int = 8_000_000
    """Bytes of the members, by their own account."""


@dataclass(slots=True, eq=False)
class _Job:
    transaction: Callable[[Connection], Any]
    size: int
    waiter: Waiter


class Writer:
    """Takes transactions from any thread and any event loop."""

    def __init__(self, engine: Engine, limits: GroupLimits | None = None) -> None:
        self._engine = engine
        self._limits = limits or GroupLimits()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._last = 1  # members of the last group
        self._lock = threading.Lock()
        self._closed = False
        self.changed: Changed | None = None
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self._thread.start()

    async def write(self, transaction: Callable[[Connection], T], size: int = 0) -> T:
        """The transaction's result, once it is on disk.

        Whoever is cancelled while waiting does not know whether the transaction took place.

        Raises:
            StorageUnavailable: it did not take place, or nobody can tell.
            Exception: what the transaction raised; it did not take place.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Job(transaction, size, Waiter(future, loop)))
        return await future

    def write_now(self, transaction: Callable[[Connection], T], size: int = 0) -> T:
        """The same for threads without an event loop."""
        future: Future[T] = Future()
        self._put(_Job(transaction, size, Waiter(future, None)))
        return future.result()

    def close(self) -> None:
        """Finish what was handed in, then end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _put(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise StorageUnavailable("the storage is closed")
            self._queue.put(job)

    # Everything below runs in the writer's thread.

    def _run(self) -> None:
        try:
            while (job := self._queue.get()) is not None:
                group, more = self._gather(job)
                self._last = len(group)
                deliver(self._done(group))
                if not more:
                    break
        finally:
            self._disconnect()

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        """The members of the next commit, and whether others may follow."""
        group, size = [first], first.size
        limits = self._limits
        wait_until = time.monotonic() + (limits.wait_seconds if self._last > 1 else 0.0)
        while len(group) < limits.members and size < limits.size:
            try:
                wait = wait_until - time.monotonic()
                job = self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, False
            group.append(job)
            size += job.size
        return group, True

    def _done(self, group: Sequence[_Job]) -> list[Outcome]:
        """Do the group in one commit; if that fails, its members one by one."""
        if len(group) > 1:
            outcomes = self._together(group)
            if outcomes is not None:
                return outcomes
        return [self._alone(job) for job in group]

    def _together(self, group: Sequence[_Job]) -> list[Outcome] | None:
        """None if a member failed and nothing was committed."""
        try:
            connection = self._begin()
            results = _made(connection, group)
        except Exception as error:
            self._roll_back(error)
            if isinstance(error, StorageUnavailable):
                return [(job.waiter, None, error) for job in group]
            return None
        failure = self._commit(connection)
        return [(job.waiter, result, failure) for job, result in zip(group, results, strict=True)]

    def _alone(self, job: _Job) -> Outcome:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                connection = self._begin()
                (result,) = _made(connection, [job])
            except Exception as error:
                self._roll_back(error)
                if is_passing(error) and attempt < ATTEMPTS:
                    continue
                return job.waiter, None, _translated(error)
            return job.waiter, result, self._commit(connection)
        raise AssertionError("the last attempt returns")

    def _begin(self) -> Connection:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            self._connection.begin()
        except Exception as error:
            self._disconnect()
            raise StorageUnavailable("no transaction can begin") from error
        return self._connection

    def _commit(self, connection: Connection) -> StorageUnavailable | None:
        """Commit. After a failure here nobody can tell whether it took place, so nothing is done again."""
        try:
            connection.commit()
        except Exception as error:
            self._disconnect()
            failure = StorageUnavailable("a commit failed")
            failure.__cause__ = error
            return failure
        self._tell(batch_of(connection).changed)
        return None

    def _tell(self, changed: dict[int, int]) -> None:
        if not changed:
            return
        if self.changed is not None:
            self.changed(changed.copy())
        changed.clear()

    def _roll_back(self, error: Exception) -> None:
        if self._connection is None:
            return
        try:
            batch_of(self._connection).clear()
            self._connection.rollback()
        except Exception:
            self._disconnect()
            return
        if is_unavailable(error):
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
        finally:
            connection.close()


def _made(connection: Connection, group: Sequence[_Job]) -> list[Any]:
    """Run the members, then add the rows that they left to be added together."""
    batch = batch_of(connection)
    results = []
    for job in group:
        batch.next_transaction()
        results.append(job.transaction(connection))
    batch.flush(connection)
    return results


def _translated(error: Exception) -> Exception:
    if isinstance(error, StorageUnavailable) or not is_unavailable(error):
        return error
    unavailable = StorageUnavailable("the database failed")
    unavailable.__cause__ = error
    return unavailable
