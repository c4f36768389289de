"""Fetching small files over HTTP: bounded in size and time, from hosts that may be asked, no redirect followed.

h11 speaks the protocol; the connection is ours, so that the address that was judged is the one that is connected to.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

import h11

from gateway.drivers.dialer import Dialer, DialFailed, Target, is_public

__all__ = ["FetchFailed", "Fetched", "HttpClient", "Wanted"]

OK, NOT_MODIFIED = 200, 304
PORTS: Final = {"http": 80, "https": 443}
MAX_URL_CHARACTERS: Final = 2_000
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_INTERIM: Final = 5  # answers of the kind 1xx
MAX_TAG_CHARACTERS: Final = 200
READ_BYTES: Final = 64 * 1024


class FetchFailed(Exception):
    """The file could not be had; the text says why, and holds nothing that the server wrote but its status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to fetch, and what to take."""

    url: str  # http or https, printable ASCII
    max_bytes: int
    accept: str = "*/*"
    tag: str | None = None  # of the copy that we have: the server may say that it has not changed
    body: bytes | None = None  # posts it
    content_type: str | None = None  # of the body
    secure: bool = False  # https alone


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came: the bytes, or None when our copy is the newest."""

    body: bytes | None
    tag: str | None


class HttpClient:
    """Fetches files.

    Args:
        tls: for https; None refuses it.
        private: whether hosts of this machine and its network may be asked. URLs that a stranger wrote may not.
        seconds: for one file, from the name of the host to the last byte.
    """

    def __init__(
        self, dialer: Dialer, *, tls: ssl.SSLContext | None = None, private: bool = False, seconds: float = 60.0
    ) -> None:
        self._dialer = dialer
        self._tls = tls
        self._private = private
        self._seconds = seconds

    async def fetch(self, wanted: Wanted) -> Fetched:
        """Raises FetchFailed."""
        url = _parsed(wanted)
        try:
            async with asyncio.timeout(self._seconds):
                async with self._connected(url) as (reader, writer):
                    return await _Exchange(reader, writer).run(_request(url, wanted), wanted)
        except TimeoutError:
            raise FetchFailed(f"not there after {self._seconds:g} s") from None
        except DialFailed as error:
            raise FetchFailed(str(error)) from error
        except h11.ProtocolError as error:
            raise FetchFailed("the answer is not HTTP as we read it") from error
        except OSError as error:
            raise FetchFailed(f"the connection broke ({_named(error)})") from error

    @contextlib.asynccontextmanager
    async def _connected(self, url: SplitResult) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        host, port = url.hostname or "", url.port or PORTS[url.scheme]
        tls = self._tls if url.scheme == "https" else None
        if url.scheme == "https" and tls is None:
            raise FetchFailed("https is not set up here")
        reader, writer = await self._opened(Target(host, port), tls)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _opened(
        self, target: Target, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first address that answers."""
        addresses = await self._dialer.addresses(target)
        allowed = [address for address in addresses if self._private or is_public(address)]
        if not allowed:
            raise FetchFailed(f"{target.host} is a private address, which is not asked")
        failure: DialFailed | None = None
        for address in allowed:
            try:
                return await self._dialed(address, target, tls)
            except DialFailed as error:
                failure = failure or error
        raise failure or DialFailed(f"{target.host}: host name not found")

    async def _dialed(
        self, address: str, target: Target, tls: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, made = asyncio.StreamReader(), list[asyncio.StreamWriter]()

        def protocol() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(reader, lambda _, writer: made.append(writer))

        await self._dialer.connect(address, target.port, protocol, tls=tls, host=target.host)
        return reader, made[0]


class _Exchange:
    """One question and its answer on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_BYTES)

    async def run(self, request: h11.Request, wanted: Wanted) -> Fetched:
        self._send(request)
        if wanted.body is not None:
            self._send(h11.Data(data=wanted.body))
        self._send(h11.EndOfMessage())
        await self._writer.drain()
        response = await self._response()
        tag = _tag(response)
        if response.status_code == NOT_MODIFIED and wanted.tag is not None:
            return Fetched(None, wanted.tag)
        _judge(response, wanted.max_bytes)
        return Fetched(await self._body(wanted.max_bytes), tag)

    def _send(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _response(self) -> h11.Response:
        for _ in range(MAX_INTERIM + 1):
            event = await self._next()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                break
        raise FetchFailed("the server gives no answer")

    async def _body(self, most: int) -> bytes:
        pieces, size = list[bytes](), 0
        while isinstance(event := await self._next(), h11.Data):
            pieces.append(bytes(event.data))
            size += len(event.data)
            if size > most:
                raise FetchFailed(f"it is larger than {most:,} bytes")
        if not isinstance(event, h11.EndOfMessage):
            raise FetchFailed("the connection ended before the file did")
        return b"".join(pieces)

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(READ_BYTES))
        return event


def _parsed(wanted: Wanted) -> SplitResult:
    """The URL in its parts; what a header line cannot hold, and names and passwords, are refused."""
    try:
        url = urlsplit(wanted.url)
        port = url.port
    except ValueError:
        raise FetchFailed("this is no URL") from None
    printable = wanted.url.isascii() and wanted.url.isprintable() and " " not in wanted.url
    if not printable or not url.hostname or port == 0 or len(wanted.url) > MAX_URL_CHARACTERS:
        raise FetchFailed("this is no URL")
    if url.scheme != "https" and (wanted.secure or url.scheme != "http"):
        raise FetchFailed("only https is fetched here" if wanted.secure else "only http and https are fetched")
    if url.username is not None or url.password is not None:
        raise FetchFailed("a URL with a user name is not fetched")
    return url


def _request(url: SplitResult, wanted: Wanted) -> h11.Request:
    return h11.Request(
        method="GET" if wanted.body is None else "POST",
        target=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        headers=list(_headers(url, wanted)),
    )


def _headers(url: SplitResult, wanted: Wanted) -> Iterator[tuple[str, str]]:
    yield "Host", url.netloc
    yield "User-Agent", "ceralacca"
    yield "Accept", wanted.accept
    yield "Accept-Encoding", "identity"
    yield "Connection", "close"
    if wanted.tag is not None:
        yield "If-None-Match", wanted.tag
    if wanted.body is not None:
        yield "Content-Length", str(len(wanted.body))
        yield "Content-Type", wanted.content_type or "application/octet-stream"


def _judge(response: h11.Response, most: int) -> None:
    """Raises FetchFailed for everything but a plain answer of a size that we take."""
    status = response.status_code
    if 300 <= status < 400:
        raise FetchFailed(f"the server answered {status}: it sends us elsewhere, and we do not go")
    if status != OK:
        raise FetchFailed(f"the server answered {status}")
    fields = {name.lower(): value for name, value in response.headers}
    if fields.get(b"content-encoding", b"identity").lower() != b"identity":
        raise FetchFailed("the answer is compressed, which was not asked for")
    if int(fields.get(b"content-length", b"0")) > most:
        raise FetchFailed(f"it is larger than {most:,} bytes")


def _tag(response: h11.Response) -> str | None:
    tags = [value.decode("latin-1") for name, value in response.headers if name.lower() == b"etag"]
    tag = tags[0] if len(tags) == 1 else ""
    return tag if tag.isascii() and tag.isprintable() and 0 < len(tag) <= MAX_TAG_CHARACTERS else None


def _named(error: OSError) -> str:
    """What broke, in OpenSSL's words for TLS: a server may turn a client's certificate down only after the greeting."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or type(error).__name__
