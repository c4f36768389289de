"""Replies in the order of their commands, though those to messages come when their flows end (D37)."""

import asyncio
from collections import deque

from gateway.smtp import replies
from gateway.smtp.connection import Connection
from gateway.smtp.limits import Limits
from gateway.smtp.replies import Reply

__all__ = ["OrderedReplies"]

MOST_WAITING = 1_000
"""Replies that may wait behind that of a message."""


class OrderedReplies:
    """What one connection shall be told, in order."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: deque[Reply | bytes | asyncio.Task[Reply]] = deque()
        self._bytes = 0
        self._change: asyncio.Future[None] | None = None
        self._to_send = False

    def say(self, reply: Reply | bytes) -> None:
        if self._waiting:
            self._waiting.append(reply)
        else:
            self._connection.say(reply)

    def promise(self, task: asyncio.Task[Reply], size: int) -> None:
        """The reply will be what ``task`` returns. It never raises."""
        self._waiting.append(task)
        self._connection.unanswered += 1
        self._bytes += size
        task.add_done_callback(lambda _: self._advance(size))

    async def room_for(self, limits: Limits) -> None:
        """Wait until another message may begin."""
        while self._connection.unanswered >= limits.window_messages or self._bytes >= limits.window_bytes:
            await self._changed()

    async def room_to_speak(self) -> None:
        """Wait while too many replies wait for those of messages before them."""
        while len(self._waiting) > MOST_WAITING:
            await self._changed()

    async def all_sent(self) -> None:
        """Wait until every message has its reply."""
        while self._waiting:
            await self._changed()

    async def _changed(self) -> None:
        await self._connection.flush()
        if self._waiting:
            self._change = asyncio.get_running_loop().create_future()
            await self._change

    def _advance(self, size: int) -> None:
        """A flow ended: say all that need not wait any longer, and send it with what ends in the same moment."""
        self._bytes -= size
        self._connection.answered()
        while self._waiting:
            reply = self._waiting[0]
            if isinstance(reply, asyncio.Task):
                if not reply.done():
                    break
                reply = replies.TROUBLE if reply.cancelled() else reply.result()
            self._waiting.popleft()
            self._connection.say(reply)
        if not self._to_send:
            self._to_send = True
            asyncio.get_running_loop().call_soon(self._send)
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    def _send(self) -> None:
        self._to_send = False
        self._connection.send()
