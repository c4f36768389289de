"""APPEND: a message from the wire into a folder, never whole in memory if it is large (RFC 3501 section 6.3.11)."""

import time
from typing import Final

from gateway.mailbox.connection import TooSlow
from gateway.mailbox.imap import names, replies
from gateway.mailbox.imap.inside import Declined, Inside
from gateway.mailbox.imap.intake import Intake
from gateway.mailbox.imap.reader import Incoming
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.literals import drain
from gateway.points.boxes import Addition, BoxRefused, Why
from receipts.octets import Octets

__all__ = ["append"]

_PIECE: Final = 64 * 1024
_FIRST_MINUTE: Final = 60.0  # in which a message need not come at any pace
_DRAINED: Final = 2  # times what a message may have: a refused one may be so large before the connection ends


async def append(inside: Inside, incoming: Incoming, *, may: bool = True) -> str:
    """Take the message and put it away; the text of the answer.

    Args:
        may: whether whoever signed in has the right to.

    Raises:
        Declined, Malformed, BoxRefused: it is not put away, and the next command can be read.
    """
    refusal = await _refusal(inside, incoming) if may else replies.REFUSED_BY_BOX[Why.NO_PERMISSION]
    if refusal is not None:
        if not incoming.waits:
            most = inside.limits.message_bytes * _DRAINED
            await drain(inside.connection, incoming.size, inside.limits.idle_seconds, most=most)
            await _end(inside, incoming)
        raise Declined(refusal)
    if incoming.waits:
        inside.connection.write(replies.READY_FOR_LITERAL)
        await inside.connection.flush(inside.limits.bytes_per_second)
    intake = Intake(inside.limits.memory_bytes, inside.box.open_sink)
    try:
        await _take(inside, incoming, intake)
        rest = await _end(inside, incoming)
        if rest:
            raise Malformed("one message at a time")
        if intake.has_nul:
            raise Declined(replies.NUL)
        return await _put_away(inside, incoming, await intake.finish())
    finally:
        await intake.abort()


async def _refusal(inside: Inside, incoming: Incoming) -> str | None:
    """Why this message need not be sent at all."""
    name = incoming.append.name
    if name is None or not names.is_name(name):
        return replies.REFUSED_BY_BOX[Why.NO_FOLDER]
    if incoming.size > inside.limits.message_bytes:
        return replies.TOO_BIG
    if incoming.append.wrapped and not inside.utf8:
        return replies.REFUSED_BY_BOX[Why.CANNOT]
    if not any(folder.exists and folder.name == name for folder in await inside.box.folders()):
        return replies.NO_TARGET
    return None


async def _take(inside: Inside, incoming: Incoming, intake: Intake) -> None:
    """Read the literal, at the pace it may take."""
    left, began, limits = incoming.size, time.monotonic(), inside.limits
    while left:
        until = began + _FIRST_MINUTE + (incoming.size - left) / limits.bytes_per_second
        if (seconds := until - time.monotonic()) <= 0:
            raise TooSlow
        piece = await inside.connection.octets(min(left, _PIECE), seconds)
        left -= len(piece)
        await intake.feed(piece)


async def _end(inside: Inside, incoming: Incoming) -> bytes:
    """What follows the message in its line, but for the bracket that closes it; nothing, if all is well."""
    rest = await inside.connection.line(inside.limits.stranger_bytes, _FIRST_MINUTE)
    return rest.removeprefix(b")") if incoming.append.wrapped else rest


async def _put_away(inside: Inside, incoming: Incoming, message: Octets) -> str:
    asked = incoming.append
    assert asked.name is not None
    try:
        validity, uids = await inside.box.append(
            asked.name, [Addition(message=message, flags=asked.flags, at=asked.at)]
        )
    except BoxRefused as refused:
        if refused.why is Why.NO_FOLDER:
            raise Declined(replies.NO_TARGET) from None
        raise
    return f"[APPENDUID {validity} {uids[0]}] APPEND done"
