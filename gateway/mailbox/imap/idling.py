"""IDLE: news as they happen, until the client says DONE (RFC 2177)."""

import asyncio
import logging
from typing import Any, Final

from gateway.mailbox.imap import replies
from gateway.mailbox.imap.inside import Inside, tell_news
from gateway.mailbox.imap.tokens import Malformed
from receipts.errors import GatewayError

__all__ = ["idle"]

log = logging.getLogger(__name__)

_DONE_BYTES: Final = 1_000


async def idle(inside: Inside) -> None:
    """Tell news of the open folder as they come. Raises Malformed if something else than DONE ends it."""
    connection, limits = inside.connection, inside.limits
    connection.write(replies.IDLING)
    said = asyncio.ensure_future(connection.line(_DONE_BYTES, limits.idle_seconds))
    changed: asyncio.Future[int] | None = None
    try:
        while not said.done():
            await _tell(inside)
            await connection.flush(limits.bytes_per_second)
            if inside.view is not None:
                changed = asyncio.ensure_future(inside.box.changed(inside.view.modseq))
            waits: list[asyncio.Future[Any]] = [said] if changed is None else [said, changed]
            await asyncio.wait(
                waits,
                timeout=limits.still_here_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not said.done() and (changed is None or not changed.done()):
                connection.write(replies.HERE_STILL)
            await _dismiss(changed)
            changed = None
        line = said.result()
    finally:
        await _dismiss(changed)
        await _dismiss(said)
    if line.upper() != b"DONE":
        raise Malformed("DONE expected")


async def _tell(inside: Inside) -> None:
    """Say what is new; if storage is away, the next time."""
    try:
        await tell_news(inside, ask=False, may_expunge=True)
    except GatewayError:
        log.warning("no news for an idle client", exc_info=True)
        await asyncio.sleep(1)


async def _dismiss(task: "asyncio.Future[Any] | None") -> None:
    """End a wait whose outcome nobody needs any more."""
    if task is None:
        return
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
