"""How flows work: again when a fact changed under them (D23), in a thread when a message may take time (D37)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.storage.errors import Conflict
from receipts.errors import TemporaryError

__all__ = ["LARGE", "deliberate", "until_settled"]

T = TypeVar("T")

ATTEMPTS = 5
LARGE = 2_000_000
"""Bytes of a message from which on it is not copied, nor made a content of its own, because of its size (D20)."""
AT_ONCE = 32_000
"""Bytes of a message up to which it is read, hashed and sealed in the event loop.

A stranger's message of 400 kB may have 10,000 parts or 50,000 fields, which take half a second (D37).
"""


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
    """The result of ``act``, which reads a message of ``size`` bytes: at once, or in a thread if it may take time."""
    if size <= AT_ONCE:
        return act()
    return await asyncio.to_thread(act)
