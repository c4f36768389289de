"""A storage with a witness, who is there when a question is asked and when a transaction is done, inside of it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from gateway.storage.engine import Storage

__all__ = ["Witness", "Witnessed"]

T = TypeVar("T")


class Witness(Protocol):
    """What it raises, the question or the transaction raises."""

    def asked(self, connection: Connection) -> None:
        """Before a question, in the same snapshot."""
        ...

    def done(self, connection: Connection, act: Callable[[], T]) -> T:
        """Do a transaction, and see what it changes; it may happen twice, when the first is undone."""
        ...


class Witnessed(Storage):
    """The same database, the same threads; ``read_now`` and ``write_now`` have no witness."""

    def __init__(self, storage: Storage, witness: Witness) -> None:
        vars(self).update(vars(storage))
        self._witness = witness

    async def read(self, question: Callable[[Connection], T], *, alone: bool = False) -> T:
        def asked(connection: Connection) -> T:
            self._witness.asked(connection)
            return question(connection)

        return await super().read(asked, alone=alone)

    async def write(self, transaction: Callable[[Connection], T], *, size: int = 0) -> T:
        def done(connection: Connection) -> T:
            return self._witness.done(connection, lambda: transaction(connection))

        return await super().write(done, size=size)
