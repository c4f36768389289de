"""Handing results from a thread of the storage to those who await them, on any event loop or on none."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

__all__ = ["Outcome", "Waiter", "deliver"]


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """Who waits for one result; ``loop`` is None for a thread without an event loop."""

    future: "asyncio.Future[Any] | Future[Any]"
    loop: asyncio.AbstractEventLoop | None


Outcome = tuple[Waiter, Any, BaseException | None]
"""Who waits, the result, and what was raised instead."""


def deliver(outcomes: Iterable[Outcome]) -> None:
    """Wake everybody: with one call into each event loop, not one for each result."""
    loops: dict[asyncio.AbstractEventLoop | None, list[Outcome]] = {}
    for outcome in outcomes:
        loops.setdefault(outcome[0].loop, []).append(outcome)
    for loop, mine in loops.items():
        if loop is None:
            _settle(mine)
            continue
        try:
            loop.call_soon_threadsafe(_settle, mine)
        except RuntimeError:  # the loop has ended, and with it those who waited
            continue


def _settle(outcomes: Iterable[Outcome]) -> None:
    for waiter, result, error in outcomes:
        if waiter.future.cancelled():
            continue
        if error is None:
            waiter.future.set_result(result)
        else:
            waiter.future.set_exception(error)
