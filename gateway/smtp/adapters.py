"""What aiosmtpd holds in its hands, made of our parts."""

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.smtp import grammar
from gateway.smtp.connection import Connection
from gateway.smtp.inbox import BadLine
from gateway.smtp.replies import Reply

__all__ = ["Commands", "Lines", "NoWriter"]


class Lines:
    """What aiosmtpd reads its commands from."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def readuntil(self) -> bytes:
        line = await self._connection.line()
        if not line.isascii():
            words = grammar.command(line)
            assert isinstance(words, Reply)
            raise BadLine(words, fatal=False)
        return line + b"\r\n"

    async def readline(self) -> bytes:
        return await self._connection.line()


class NoWriter:
    """aiosmtpd closes its writer when the other end is gone; ours is the connection's."""

    def close(self) -> None: ...


class Commands(dict[str, Any]):
    """aiosmtpd's table of commands, with an answer of ours to unknown ones: it ends the session after five."""

    def __init__(self, commands: dict[str, Any], unknown: Callable[[str | None], Awaitable[None]]) -> None:
        super().__init__(commands)
        self._unknown = unknown

    def get(self, command: str, default: Any = None) -> Any:  # noqa: ARG002
        return super().get(command, self._unknown)
