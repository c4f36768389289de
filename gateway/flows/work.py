"""How flows work: again when a fact changed under them, in a thread when a message is large (D23)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.storage.errors import Conflict
from receipts.errors import TemporaryError

__all__ = ["LARGE", "deliberate", "until_settled"]

T = TypeVar("T")

ATTEMPTS = 5
LARGE = 1_000_000
"""Bytes of a message from which on reading, hashing and sealing would hold up the others in the event loop."""


async def until_settled(flow: Callable[[], Awaitable[T]]) -> T:
    """Run a flow again, with a new instant, each time the facts it decided on changed before its commit.

    Raises:
        TemporaryError: they changed five times in a row.
    """
    for _ in range(ATTEMPTS):
        try:
            return await flow()
        except Conflict as conflict:
            last = conflict
    raise TemporaryError(f"the facts changed {ATTEMPTS} times") from last


async def deliberate(size: int, act: Callable[[], T]) -> T:
    """The result of ``act``, which reads a message of ``size`` bytes: at once, or in a thread if it is large."""
    if size <= LARGE:
        return act()
    return await asyncio.to_thread(act)
