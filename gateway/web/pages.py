"""What the HTTPS port answers: whether the provider works, and the index it publishes."""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Health", "HealthCheck", "Publications", "Published", "application"]

INDEX_TYPE: Final = "application/pkcs7-mime; smime-type=signed-data"  # RFC 6109 4.5.6
_LONGEST_TARGET: Final = 8_000  # RFC 9112 3: at least this much is understood
_HOST: Final = re.compile(  # RFC 9112 3.2, RFC 3986 3.2.2
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"
)
_HEALTH_SECONDS: Final = 1.0  # how long one answer serves everybody who asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the provider can do its work now."""

    storage: bool
    index: bool  # the provider index was loaded at least once (D6)
    queue: int | None  # messages that wait to leave; None when storage does not answer
    clock: str = "unknown"  # or "good", "off", "unwatched" (D22)
    alarms: int | None = None  # that stand, of all processes; the same
    scanner: bool | None = None  # whether it answers; None: there is none

    @property
    def ok(self) -> bool:
        return self.storage and self.index and self.scanner is not False and self.clock != "off"


HealthCheck = Callable[[], Awaitable[Health]]
Published = Callable[[], bytes | None]
"""Something signed as it is published now; None when this provider publishes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publications:
    """What other providers may fetch here (RFC 6109 4.5.6)."""

    index: Published
    record: Published = lambda: None
    clients_only: bool = False  # to those alone who show a certificate of the authorities that were set (5.6)


def application(health: HealthCheck, published: Publications, more: Sequence[Route] = ()) -> Starlette:
    """The pages. ``health`` may take its time and may raise: then the answer is that storage is away.

    Args:
        more: pages of others.
    """
    checked = _Checked(health)

    async def show_health(request: Request) -> Response:  # noqa: ARG001
        now = await checked()
        report = {
            "status": "ok" if now.ok else "unavailable",
            "storage": now.storage,
            "index": now.index,
            "clock": now.clock,
            "queue": now.queue,
            "alarms": now.alarms,
            "scanner": now.scanner,
        }
        return JSONResponse(report, 200 if now.ok else 503, {"Cache-Control": "no-store"})

    def shown(what: Published) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request) -> Response:
            if published.clients_only and not getattr(request.state, "client_certified", False):
                return _plain(403, "This is for certified providers: show their certificate")
            return _signed(what(), request.headers.get("if-none-match"))

        return show

    pages = Starlette(
        routes=[
            Route("/health", show_health, methods=["GET"]),
            Route("/index.ldif.p7m", shown(published.index), methods=["GET"]),
            Route("/record.ldif.p7m", shown(published.record), methods=["GET"]),
            *more,
        ],
        middleware=[Middleware(_SafeHeaders), Middleware(_SoundRequests)],
    )
    pages.router.redirect_slashes = False  # the place to go would be made from whatever host was asked for
    return pages


def _signed(data: bytes | None, known: str | None) -> Response:
    if data is None:
        return _plain(404, "Not found")
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    if known == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(data, headers={"Content-Type": INDEX_TYPE, "ETag": tag, "Cache-Control": "no-cache"})


def _plain(status: int, text: str) -> Response:
    return Response(text, status, media_type="text/plain")


class _Checked:
    """A health check that runs at most once a second, however many ask."""

    def __init__(self, check: HealthCheck) -> None:
        self._check = check
        self._one_at_a_time = asyncio.Lock()
        self._last: Health | None = None
        self._until = 0.0

    async def __call__(self) -> Health:
        async with self._one_at_a_time:
            if self._last is None or time.monotonic() >= self._until:
                try:
                    async with asyncio.timeout(5):
                        self._last = await self._check()
                except Exception:
                    self._last = Health(storage=False, index=False, queue=None)
                self._until = time.monotonic() + _HEALTH_SECONDS
            return self._last


class _SafeHeaders:
    """Tells browsers to take every answer as what it says it is, and nothing more. What a page says itself stands."""

    _HEADERS: Final = (
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"referrer-policy", b"no-referrer"),
        (b"strict-transport-security", b"max-age=31536000"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                names = {name.lower() for name, _ in own}
                message["headers"] = [*own, *(each for each in self._HEADERS if each[0] not in names)]
            await send(message)

        await self._app(scope, receive, send_safely)


class _SoundRequests:
    """Answers what can be no request for a page of ours: a host that is none, an address without end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _fault(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)


def _fault(scope: Scope) -> Response | None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_TARGET:
        return _plain(414, "Address too long")
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return None if _HOST.fullmatch(host) else _plain(400, "Not a host")
