"""Files fetched over HTTP, from servers that do as they please."""

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.drivers.dialer import Dialer
from gateway.drivers.http_client import Fetched, FetchFailed, HttpClient, Wanted
from gateway.drivers.keyfiles import KeyRefused
from gateway.drivers.tls import client_with_certificate
from gateway.lab.authority import Authority, Issued
from gateway.lab.files import write_private, write_public
from tests.drivers.pages import Pages, answer, pages

MOST = 1_000
CLIENT = HttpClient(Dialer(closed=True), private=True, seconds=60)


@pytest.fixture
async def server() -> AsyncIterator[Pages]:
    async with pages() as held:
        yield held


def wanted(server: Pages, path: str = "/", **more: object) -> Wanted:
    return Wanted(url=server.url(path), max_bytes=MOST, **more)  # type: ignore[arg-type]


async def test_a_file_comes_whole_with_its_tag(server: Pages) -> None:
    server.said["/a?b=c"] = answer(b"x" * MOST, 200, 'ETag: "one"')
    assert await CLIENT.fetch(wanted(server, "/a?b=c#part")) == Fetched(b"x" * MOST, '"one"')
    assert server.asked[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: localhost:")


async def test_chunks_are_put_together(server: Pages) -> None:
    server.said["/"] = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert (await CLIENT.fetch(wanted(server))).body == b"abcde"


async def test_a_file_may_end_with_the_connection(server: Pages) -> None:
    server.said["/"] = b"HTTP/1.0 200 X\r\n\r\nabc"
    assert (await CLIENT.fetch(wanted(server))).body == b"abc"


async def test_what_has_not_changed_is_not_sent_again(server: Pages) -> None:
    server.said["/"] = b'HTTP/1.1 304 X\r\nETag: "one"\r\n\r\n'
    assert await CLIENT.fetch(wanted(server, tag='"one"')) == Fetched(None, '"one"')
    assert b'\r\nIf-None-Match: "one"\r\n' in server.asked[0]
    with pytest.raises(FetchFailed, match="304"):
        await CLIENT.fetch(wanted(server))


async def test_a_body_is_posted(server: Pages) -> None:
    server.said["/"] = answer(b"yes")
    await CLIENT.fetch(wanted(server, body=b"question", content_type="application/ocsp-request"))
    assert server.asked[0].startswith(b"POST / ")
    assert server.asked[0].endswith(b"Content-Length: 8\r\nContent-Type: application/ocsp-request\r\n\r\nquestion")


BAD_ANSWERS = {
    "sends us elsewhere": (answer(b"", 302, "Location: http://127.0.0.1/"), "302"),
    "is not there": (answer(b"", 404), "404"),
    "breaks": (answer(b"", 500), "500"),
    "says it is too large": (answer(b"x" * (MOST + 1)), "larger than 1,000"),
    "grows too large in chunks": (
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (MOST + 1) + b"0\r\n\r\n",
        "larger than 1,000",
    ),
    "grows too large without end": (b"HTTP/1.0 200 X\r\n\r\n" + b"x" * 5 * MOST, "larger than 1,000"),
    "is cut": (b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nabc", "not HTTP"),
    "is cut in the header": (b"HTTP/1.1 200 X\r\nContent-", "not HTTP"),
    "says nothing": (b"", "not HTTP"),
    "is no HTTP": (b"220 mail.example ESMTP\r\n\r\n", "not HTTP"),
    "has two lengths": (b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "not HTTP"),
    "has a length below nothing": (b"HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\nab", "not HTTP"),
    "has a header without end": (b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 100_000, "not HTTP|broke"),
    "has a line without end": (b"HTTP/1.1 200 " + b"X" * 1_000_000, "not HTTP|broke"),
    "is compressed": (answer(b"abc", 200, "Content-Encoding: gzip"), "compressed"),
    "hints for ever": (b"HTTP/1.1 103 X\r\n\r\n" * 100 + answer(b"abc"), "no answer"),
    "talks another protocol": (b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n", "not HTTP|no answer"),
}


@pytest.mark.parametrize(("said", "reason"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_a_bad_answer_brings_nothing(server: Pages, said: bytes, reason: str) -> None:
    server.said["/"] = said
    with pytest.raises(FetchFailed, match=reason):
        await CLIENT.fetch(wanted(server))


async def test_a_server_that_says_nothing_is_left(server: Pages) -> None:
    server.holding = True
    with pytest.raises(FetchFailed, match=r"not there after 0\.2 s"):
        await HttpClient(Dialer(closed=True), private=True, seconds=0.2).fetch(wanted(server))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://localhost/a",
        "file:///etc/passwd",
        "//localhost/a",
        "http://",
        "http:///a",
        "http://localhost:0/",
        "http://localhost:70000/",
        "http://localhost:x/",
        "http://anna:secret@localhost/",
        "http://localhost/a b",
        "http://localhost/\r\nX-Injected: 1",
        "http://localhost/\x00",
        "http://lòcalhost/",
        "http://[::1/",
        "http://localhost/" + "a" * 3_000,
    ],
)
async def test_what_is_no_url_of_ours_is_not_fetched(url: str) -> None:
    with pytest.raises(FetchFailed):
        await CLIENT.fetch(Wanted(url=url, max_bytes=MOST))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "0.0.0.0"],
)
async def test_private_addresses_are_not_asked_unless_that_is_allowed(server: Pages, host: str) -> None:
    """Whoever writes a URL into a certificate may not make us knock at the doors of our own network."""
    stranger = HttpClient(Dialer(), private=False, seconds=60)
    with pytest.raises(FetchFailed, match="private address"):
        await stranger.fetch(Wanted(url=server.url(host=host), max_bytes=MOST))
    assert server.asked == []


async def test_a_closed_dialer_reaches_this_machine_alone() -> None:
    with pytest.raises(FetchFailed, match="only loopback"):
        await CLIENT.fetch(Wanted(url="http://192.0.2.1/", max_bytes=MOST))
    with pytest.raises(FetchFailed, match="only loopback"):
        await CLIENT.fetch(Wanted(url="http://index.example/", max_bytes=MOST))


async def test_nobody_listens(server: Pages) -> None:
    with pytest.raises(FetchFailed):
        await CLIENT.fetch(Wanted(url="http://localhost:1/", max_bytes=MOST))


class Place:
    """An authority, a server's certificate, a client's, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.create([], datetime.now(UTC))
        self.root = folder / "root.pem"
        write_public(self.root, self.authority.root_pem)

    def files(self, name: str, issued: Issued) -> tuple[Path, Path]:
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        write_public(certificate, issued.pem)
        write_private(key, issued.key_pem)
        return certificate, key

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files("server", self.authority.tls_certificate(names or ("localhost",))))
        return context

    def asking(self) -> ssl.SSLContext:
        """A server that wants a client's certificate."""
        context = self.server()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.root)
        return context

    def client(self, issued: Issued | None = None) -> HttpClient:
        files = (None, None) if issued is None else self.files("client", issued)
        return HttpClient(Dialer(closed=True), tls=client_with_certificate(self.root, *files), private=True, seconds=60)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.req("DIR-07")
async def test_https_shows_our_certificate(place: Place) -> None:
    async with pages(place.asking()) as server:
        server.said["/"] = answer(b"index")
        client = place.client(place.authority.client_certificate("Alfa PEC"))
        assert (await client.fetch(wanted(server, secure=True))).body == b"index"


async def test_without_our_certificate_such_a_server_gives_nothing(place: Place) -> None:
    stranger = Authority.create([], datetime.now(UTC)).client_certificate("Alfa PEC")
    async with pages(place.asking()) as server:
        server.said["/"] = answer(b"index")
        for client in (place.client(), place.client(stranger)):
            with pytest.raises(FetchFailed):
                await client.fetch(wanted(server, secure=True))


@pytest.mark.req("DIR-07")
async def test_a_server_must_be_who_it_says(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for context in (Place(tmp_path / "other").server(), place.server("other.example")):
        async with pages(context) as server:
            server.said["/"] = answer(b"index")
            with pytest.raises(FetchFailed, match="its certificate is not good"):
                await place.client().fetch(wanted(server, secure=True))


@pytest.mark.req("DIR-07")
async def test_in_clear_nothing_is_fetched_that_must_be_secure(server: Pages, place: Place) -> None:
    server.said["/"] = answer(b"index")
    with pytest.raises(FetchFailed, match="only https"):
        await place.client().fetch(wanted(server, secure=True))
    async with pages(place.server()) as secure:
        with pytest.raises(FetchFailed, match="https is not set up"):
            await CLIENT.fetch(wanted(secure))


def test_a_client_key_that_others_can_read_is_refused(place: Place) -> None:
    certificate, key = place.files("client", place.authority.client_certificate("Alfa PEC"))
    key.chmod(0o644)
    with pytest.raises(KeyRefused, match="open to others"):
        client_with_certificate(place.root, certificate, key)
    with pytest.raises(OSError, match=r"none\.pem"):
        client_with_certificate(place.folder / "none.pem", None, None)
