"""The end of what is under way when a worker stops (D33)."""

import asyncio
from collections.abc import Collection
from datetime import timedelta

__all__ = ["finish"]


async def finish(tasks: Collection[asyncio.Task[None]], grace: timedelta) -> None:
    """Let tasks come to their end, and break off those that have not after ``grace``. Never raises."""
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=grace.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
