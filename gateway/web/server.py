"""The HTTPS server: uvicorn in the gateway's own event loop, with limits of its own."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.drivers.listening import listening

__all__ = ["WebServer"]

_MAX_CONNECTIONS: Final = 500
_PATIENCE_SECONDS: Final = 10.0  # for a request to arrive whole, from its first byte or from the handshake
_HEADER_BYTES: Final = 16 * 1024
_CLOSING_SECONDS: Final = 5
_BACKLOG: Final = 128


class WebServer:
    """The HTTPS listeners of one process.

    Args:
        tls: the certificate; load another into it and the next handshake shows that.
    """

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext) -> None:
        config = uvicorn.Config(
            app,
            http=_PatientProtocol,
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_HEADER_BYTES,
            backlog=_BACKLOG,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_CLOSING_SECONDS,
        )
        config.load()
        config.ssl = tls
        self._server = _QuietServer(config)
        self._sockets: list[socket.socket] = []
        self._task: asyncio.Task[None] | None = None

    def bind(self, host: str, port: int) -> int:
        """Listen there too; an empty ``host`` is every address of the machine. The port, for callers that gave 0."""
        opened = listening(host, port, _BACKLOG)
        self.take(opened)
        return int(opened[0].getsockname()[1])

    def take(self, sockets: Iterable[socket.socket]) -> None:
        """Serve these sockets too, which listen already."""
        self._sockets.extend(sockets)

    async def start(self) -> None:
        """Serve; returns when every bound address answers."""
        self._task = asyncio.create_task(self._server.serve(self._sockets))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the HTTPS server ended while it started")
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Finish the requests that are in hand, take no more."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        for listener in self._sockets:
            listener.close()


class _QuietServer(uvicorn.Server):
    """Leaves the signals to the gateway."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _PatientProtocol(H11Protocol):
    """Ends connections on which no request arrives, and those beyond the limit."""

    _clock: asyncio.TimerHandle | None = None
    _requests: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()
            return
        self.app_state = {**self.app_state, "client_certified": _showed_certificate(transport)}
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._clock is not None:
            self._clock.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._requests = self.cycle
        self._clock = self.loop.call_later(_PATIENCE_SECONDS, self._look)

    def _look(self) -> None:
        """Go on while a request is being answered, or one came since the last look."""
        if self.cycle is self._requests and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()
        else:
            self._wait()


def _showed_certificate(transport: asyncio.Transport) -> bool:
    """Whether the client has a certificate of the authorities that the context asks for: TLS has verified it by now."""
    connection = transport.get_extra_info("ssl_object")
    return connection is not None and bool(connection.getpeercert())
