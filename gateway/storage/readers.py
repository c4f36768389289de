"""A few threads that read, each with a connection of its own (D24, D38).

Questions that wait at the same moment are asked in one snapshot, taken after the last of them was handed in: so each
sees what was committed before it was asked. A pool of executor threads and connections costs five times as much.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from gateway.storage.awaited import Outcome, Waiter, deliver
from gateway.storage.drivers import is_unavailable
from gateway.storage.errors import StorageUnavailable

__all__ = ["Readers"]

T = TypeVar("T")
AT_ONCE: Final = 8
"""Questions in one snapshot: few, for others could be asked in another thread meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    question: Callable[[Connection], Any]
    waiter: Waiter
    alone: bool


class Readers:
    """Answers questions from any event loop."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"storage-reader-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def read(self, question: Callable[[Connection], T], *, alone: bool = False) -> T:
        """What the question finds. Raises StorageUnavailable, or what the question raised.

        Args:
            alone: it may take long, so that no other shall wait for it in the same snapshot.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._closed:
                raise StorageUnavailable("the storage is closed")
            self._queue.put(_Asked(question, Waiter(future, loop), alone))
        return await future

    def close(self) -> None:
        """Answer what was asked, then end the threads."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)
        for thread in self._threads:
            thread.join()

    # Everything below runs in the readers' threads.

    def _run(self) -> None:
        reader = _Reader(self._engine)
        try:
            while (first := self._queue.get()) is not None:
                groups, more = self._gather(first)
                for group in groups:
                    deliver(reader.answers(group))
                if not more:
                    break
        finally:
            reader.disconnect()

    def _gather(self, first: _Asked) -> tuple[list[list[_Asked]], bool]:
        """The questions that wait now, those first that are asked together, and whether others may follow."""
        group = [first]
        while len(group) < AT_ONCE and not first.alone:
            try:
                asked = self._queue.get_nowait()
            except queue.Empty:
                break
            if asked is None:
                return [group], False
            if asked.alone:
                return [group, [asked]], True
            group.append(asked)
        return [group], True


class _Reader:
    """One thread's connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def answers(self, group: list[_Asked]) -> list[Outcome]:
        """Ask in one snapshot; if that fails, each question by itself, the broken ones on a new connection."""
        if len(group) > 1:
            try:
                found = self._asked(group)
            except Exception as error:
                self._recover(error)
            else:
                return [(asked.waiter, answer, None) for asked, answer in zip(group, found, strict=True)]
        return [self._alone(asked) for asked in group]

    def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.invalidate()
        finally:
            connection.close()

    def _alone(self, asked: _Asked) -> Outcome:
        for last in (False, True):
            try:
                (answer,) = self._asked([asked])
            except Exception as error:
                self._recover(error)
                if is_unavailable(error) and not last:
                    continue
                return asked.waiter, None, _translated(error)
            return asked.waiter, answer, None
        raise AssertionError("the second attempt returns")

    def _recover(self, error: Exception) -> None:
        """Keep a connection over which a question failed, unless it failed itself."""
        if is_unavailable(error) or (self._connection is not None and self._connection.in_transaction()):
            self.disconnect()

    def _asked(self, group: list[_Asked]) -> list[Any]:
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin() as snapshot:
            answers = [asked.question(self._connection) for asked in group]
            snapshot.rollback()
        return answers


def _translated(error: Exception) -> Exception:
    if not is_unavailable(error):
        return error
    unavailable = StorageUnavailable("the database cannot be read")
    unavailable.__cause__ = error
    return unavailable
