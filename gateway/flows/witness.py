"""The witness of a session in a shared box: lets it do what its person may, and writes that down (D35)."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from gateway.flows.journal import allowed
from gateway.flows.outcomes import Visit
from gateway.points.boxes import BoxRefused, Why
from gateway.points.sharing import Act
from gateway.storage import journal
from gateway.storage.journal import Entry, Mentioned

__all__ = ["Doing", "Eye", "gone", "nothing"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Doing:
    """What a session is about to do: looked at before, told after."""

    act: Act
    before: Callable[[Connection], list[Mentioned]]
    after: Callable[[Connection, list[Mentioned], Any], Iterable[Entry]]


def nothing(_: Connection) -> list[Mentioned]:
    """For acts that leave all messages there."""
    return []


class Eye:
    """Sees what one session asks and does; raises BoxRefused where its person has no right."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._doing: Doing | None = None

    @contextmanager
    def on(self, doing: Doing) -> Iterator[None]:
        """Whatever is written meanwhile is this."""
        self._doing = doing
        try:
            yield
        finally:
            self._doing = None

    def asked(self, connection: Connection) -> None:
        self._check(connection, Act.READ)

    def done(self, connection: Connection, act: Callable[[], T]) -> T:
        doing = self._doing
        if doing is None:
            self._check(connection, Act.READ)
            return act()
        self._check(connection, doing.act)
        before = doing.before(connection)
        result = act()
        for entry in doing.after(connection, before, result):
            journal.add(connection, entry)
        return result

    def _check(self, connection: Connection, act: Act) -> None:
        if not allowed(connection, self._visit, act):
            raise BoxRefused(Why.NO_PERMISSION)


def gone(connection: Connection, mailbox_id: int, there: list[Mentioned]) -> list[Mentioned]:
    """Those of these messages that are there no longer."""
    left = {one.uid for one in journal.mentioned(connection, mailbox_id, [one.uid for one in there])}
    return [one for one in there if one.uid not in left]
