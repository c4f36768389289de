"""aiosmtpd over our connection: the same bytes, TLS, time and ends as on the relay port.

aiosmtpd keeps what it is good at: the loop that reads commands and calls ``smtp_*``, AUTH and its mechanisms. It reads
from our ``Inbox``, writes to our ``Connection``, and every reply carries an enhanced code.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiosmtpd.smtp import SMTP

from gateway.smtp import grammar, replies
from gateway.smtp.connection import Connection
from gateway.smtp.inbox import LONGEST_LINE, BadLine
from gateway.smtp.listener import Listener
from gateway.smtp.replies import Reply
from gateway.smtp.session import Session

__all__ = ["ConnectedSMTP"]


class ConnectedSMTP(SMTP):
    """One connection that aiosmtpd leads.

    Args:
        implicit_tls: TLS begins before the greeting.
    """

    command_size_limit = LONGEST_LINE
    command_size_limits = defaultdict(lambda: LONGEST_LINE)  # noqa: RUF012

    def __init__(
        self, server: Listener, hostname: str, domain: str, context: ssl.SSLContext, *, implicit_tls: bool
    ) -> None:
        super().__init__(
            handler=None,
            data_size_limit=server.limits.max_message_bytes,
            hostname=hostname,
            ident="ESMTP",
            tls_context=context,
            loop=asyncio.get_running_loop(),
        )
        self.server = server
        self._domain = domain
        self._context = context
        self._implicit_tls = implicit_tls
        self.connection = Connection(server.limits, server.clock, server.left, signs_in=server.signs_in)
        self._smtp_methods = Commands(self._smtp_methods, self._unknown)
        self.data_received = self.connection.received  # type: ignore[method-assign]

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        connection = self.connection
        connection.attach(transport)
        self.transport = transport
        self.session = self._create_session()
        self.session.peer = connection.address
        self.talk = Session(
            self.server.limits,
            hostname=self.hostname,
            domain=self._domain,
            address=connection.address,
            port=connection.port,
            takes_auth=True,
        )
        self._set_rset_state()
        self._reader = cast(asyncio.StreamReader, Lines(connection))
        self._writer = cast(asyncio.StreamWriter, NoWriter())
        if self.server.enter(connection):
            self._handler_coroutine = self.loop.create_task(self._run())

    def eof_received(self) -> bool:
        return self.connection.ended()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self.connection.lost()
        self.transport = None

    def pause_writing(self) -> None:
        self.connection.unwritable()

    def resume_writing(self) -> None:
        self.connection.writable()

    # aiosmtpd's calls

    async def push(self, status: str | bytes) -> None:
        """Say a reply of aiosmtpd's or ours; it leaves with those that follow it at once."""
        text = status if isinstance(status, str) else status.decode("ascii", "replace")
        self.connection.say(f"{replies.enhanced(text)}\r\n".encode("ascii", "replace"))
        if "500" <= text[:3] <= "504" and self.connection.watch.error():
            self.connection.leave(replies.TOO_MANY_ERRORS)

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, BadLine):
            if error.fatal:
                self.connection.leave(error.reply)
            return str(error.reply)
        return str(replies.reply_for(error))

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Time is kept by the connection's watch."""

    def _set_rset_state(self) -> None:
        super()._set_rset_state()  # type: ignore[no-untyped-call]
        self.talk.reset()

    async def _run(self) -> None:
        connection = self.connection
        try:
            if self._implicit_tls:
                await self.encrypt()
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # what came with the connection itself is read by now
            if connection.inbox.size:
                connection.leave(replies.TALKS_FIRST)
                return
            await self._handle_client()
        except OSError:
            pass  # the other end is gone
        finally:
            connection.leave()

    async def encrypt(self) -> None:
        await self.connection.encrypt(self, self._context)
        self.transport = self.connection.transport
        self._tls_protocol = cast(SSLProtocol, self.transport)  # it looks whether there is one
        self.session = self._create_session()
        self.talk.encrypted()

    async def say(self, reply: Reply) -> None:
        await self.push(str(reply))

    async def _unknown(self, arg: str | None) -> None:  # noqa: ARG002
        await self.say(replies.UNKNOWN_COMMAND)


class Lines:
    """What aiosmtpd reads its commands from."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def readuntil(self) -> bytes:
        line = await self.connection.line()
        if not line.isascii():
            words = grammar.command(line)
            assert isinstance(words, Reply)
            raise BadLine(words, fatal=False)
        return line + b"\r\n"

    async def readline(self) -> bytes:
        return await self.connection.line()


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
