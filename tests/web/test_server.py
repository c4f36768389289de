"""The HTTPS port, asked over real sockets."""

import asyncio
import contextlib
import json
import signal
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.drivers.tls import ServerTls, client_with_certificate
from gateway.lab.authority import Authority
from gateway.lab.files import write_private, write_public
from gateway.web import server as server_module
from gateway.web.pages import Health, Publications, application
from gateway.web.server import WebServer
from tests import throwaway
from tests.passing import pass_time

INDEX = b"\x30\x80 signed index"
WELL = Health(storage=True, index=True, clock="good", queue=3, alarms=2)


def reported(**changes: object) -> dict[str, object]:
    """What the page says, of a provider that cannot work but for ``changes``."""
    report: dict[str, object] = {
        "status": "unavailable",
        "storage": True,
        "index": True,
        "clock": "unknown",
        "queue": 0,
        "alarms": None,
        "scanner": None,
    }
    return report | changes


@dataclass
class State:
    """What the provider would say of itself, and how often it was asked."""

    health: Health | Exception = WELL
    index: bytes | None = INDEX
    asked: int = 0
    seen: list[str] = field(default_factory=list)

    async def check(self) -> Health:
        self.asked += 1
        if isinstance(self.health, Exception):
            raise self.health
        return self.health


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> throwaway.Throwaway:
    return throwaway.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
async def port(state: State, tls: throwaway.Throwaway) -> AsyncIterator[int]:
    server = WebServer(application(state.check, Publications(index=lambda: state.index)), tls.server())
    port = server.bind("127.0.0.1", 0)
    await server.start()
    yield port
    await server.close()


async def ask(
    port: int,
    tls: throwaway.Throwaway,
    target: str,
    *headers: str,
    method: str = "GET",
    host: str = "localhost",
    body: bytes = b"",
) -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls.client())
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + body)
    received = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    head, _, content = received.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    named = (line.partition(": ") for line in fields)
    return Reply(int(status.split()[1]), {name.lower(): value for name, _, value in named}, content)


async def test_a_provider_that_works_says_so(port: int, tls: throwaway.Throwaway) -> None:
    reply = await ask(port, tls, "/health")
    assert reply.status == 200
    assert json.loads(reply.body) == reported(status="ok", clock="good", queue=3, alarms=2)
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("health", "report"),
    [
        (Health(storage=True, index=False, queue=0), reported(index=False)),
        (Health(storage=True, index=True, clock="off", queue=0), reported(clock="off")),
        (Health(storage=True, index=True, queue=0, scanner=False), reported(scanner=False)),
        (Health(storage=False, index=True, queue=None), reported(storage=False, queue=None)),
        (OSError("disk is gone: /secret/path"), reported(storage=False, index=False, queue=None)),
    ],
)
async def test_a_provider_that_cannot_work_says_what_is_away(
    port: int, tls: throwaway.Throwaway, state: State, health: Health | Exception, report: dict[str, object]
) -> None:
    state.health = health
    reply = await ask(port, tls, "/health")
    assert reply.status == 503
    assert json.loads(reply.body) == report


async def test_asking_often_does_not_check_often(port: int, tls: throwaway.Throwaway, state: State) -> None:
    replies = await asyncio.gather(*(ask(port, tls, "/health") for _ in range(10)))
    assert {reply.status for reply in replies} == {200}
    assert state.asked < 10


@pytest.mark.req("DIR-04")
async def test_the_index_is_served_as_it_was_signed(port: int, tls: throwaway.Throwaway, state: State) -> None:
    reply = await ask(port, tls, "/index.ldif.p7m")
    assert (reply.status, reply.body) == (200, INDEX)
    assert reply.headers["content-type"] == "application/pkcs7-mime; smime-type=signed-data"
    again = await ask(port, tls, "/index.ldif.p7m", f"If-None-Match: {reply.headers['etag']}")
    assert (again.status, again.body) == (304, b"")
    state.index = b"newer"
    newer = await ask(port, tls, "/index.ldif.p7m", f"If-None-Match: {reply.headers['etag']}")
    assert (newer.status, newer.body) == (200, b"newer")


async def test_without_an_index_there_is_no_such_page(port: int, tls: throwaway.Throwaway, state: State) -> None:
    state.index = None
    assert (await ask(port, tls, "/index.ldif.p7m")).status == 404


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%00", 404),
        ("POST", "/health", 405),
        ("DELETE", "/index.ldif.p7m", 405),
        ("HEAD", "/health", 200),
    ],
)
async def test_nothing_else_is_there(
    port: int, tls: throwaway.Throwaway, method: str, target: str, status: int
) -> None:
    reply = await ask(port, tls, target, method=method)
    assert reply.status == status
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "server" not in reply.headers


async def test_a_header_over_16_kb_is_refused(port: int, tls: throwaway.Throwaway) -> None:
    """Before its end has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls.client())
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 17_000)
    assert (await asyncio.wait_for(reader.readline(), 60)).split()[1] in {b"400", b"431"}
    writer.close()


async def test_a_huge_header_is_not_heard_out(port: int, tls: throwaway.Throwaway) -> None:
    """Who goes on talking may lose the answer: the system cuts a connection on which bytes came that nobody read."""
    with contextlib.suppress(ConnectionResetError):
        assert (await ask(port, tls, "/health", "X-Long: " + "a" * 1_000_000)).status in {400, 431}
    assert (await ask(port, tls, "/health")).status == 200


@pytest.mark.parametrize("host", ["[", "a b", "other.example/x", "anna@other.example", "localhost:port", "\xe8"])
async def test_a_host_that_is_none_is_refused(port: int, tls: throwaway.Throwaway, host: str) -> None:
    assert (await ask(port, tls, "/health", host=host)).status == 400


async def test_an_address_without_end_is_refused(port: int, tls: throwaway.Throwaway) -> None:
    assert (await ask(port, tls, f"/health?{'a' * 9_000}")).status == 414


async def test_nobody_is_sent_to_a_host_of_the_clients_choice(port: int, tls: throwaway.Throwaway) -> None:
    reply = await ask(port, tls, "/health/", host="other.example")
    assert (reply.status, reply.headers.get("location")) == (404, None)


@pytest.mark.req("SEC-02")
async def test_there_is_no_answer_in_clear(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP" not in await asyncio.wait_for(reader.read(), 60)
    writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /health HTTP/1.1\r\nHo"])
async def test_who_never_finishes_a_request_is_left_alone(
    port: int, tls: throwaway.Throwaway, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(server_module, "_PATIENCE_SECONDS", 100)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls.client())
    writer.write(said)
    await pass_time(101)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()


async def test_connections_are_bounded(port: int, tls: throwaway.Throwaway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_MAX_CONNECTIONS", 2)
    held = [await asyncio.open_connection("127.0.0.1", port, ssl=tls.client()) for _ in range(2)]
    with pytest.raises((ConnectionError, IndexError, ssl.SSLError)):
        await ask(port, tls, "/health")
    for _, writer in held:
        writer.close()


async def test_a_new_certificate_shows_in_the_next_handshake(state: State, tmp_path: Path) -> None:
    first, second = (throwaway.make(_folder(tmp_path, name)) for name in ("first", "second"))
    context = first.server()
    server = WebServer(application(state.check, Publications(index=lambda: None)), context)
    port = server.bind("127.0.0.1", 0)
    await server.start()
    assert (await ask(port, first, "/health")).status == 200
    context.load_cert_chain(second.certificate, second.key)
    assert (await ask(port, second, "/health")).status == 200
    await server.close()


async def test_signals_stay_with_the_gateway(port: int) -> None:
    assert signal.getsignal(signal.SIGTERM) in {signal.SIG_DFL, signal.default_int_handler}


async def test_it_listens_on_both_kinds_of_address(state: State, tls: throwaway.Throwaway) -> None:
    server = WebServer(application(state.check, Publications(index=lambda: None)), tls.server())
    port = server.bind("localhost", 0)
    await server.start()
    assert (await ask(port, tls, "/health")).status == 200
    await server.close()
    with pytest.raises(OSError):
        await ask(port, tls, "/health")


async def test_a_server_that_was_bound_and_never_started_frees_its_port(state: State, tls: throwaway.Throwaway) -> None:
    server = WebServer(application(state.check, Publications(index=lambda: None)), tls.server())
    port = server.bind("127.0.0.1", 0)
    with pytest.raises(OSError):
        WebServer(application(state.check, Publications(index=lambda: None)), tls.server()).bind("127.0.0.1", port)
    await server.close()
    again = WebServer(application(state.check, Publications(index=lambda: None)), tls.server())
    assert again.bind("127.0.0.1", port) == port
    await again.start()
    assert (await ask(port, tls, "/health")).status == 200
    await again.close()


async def test_a_server_without_an_address_starts_and_ends(state: State, tls: throwaway.Throwaway) -> None:
    server = WebServer(application(state.check, Publications(index=lambda: None)), tls.server())
    await server.start()
    await server.close()


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


@pytest.mark.req("DIR-07")
async def test_what_is_published_may_be_for_clients_with_a_certificate_alone(state: State, tmp_path: Path) -> None:
    authority, stranger = (Authority.create([], datetime.now(UTC)) for _ in range(2))
    files = {name: tmp_path / name for name in ("root", "server", "server key", "client", "client key")}
    server_own, client_own = authority.tls_certificate(), authority.client_certificate("Alfa PEC")
    write_public(files["root"], authority.root_pem)
    for name, issued in (("server", server_own), ("client", client_own)):
        write_public(files[name], issued.pem)
        write_private(files[f"{name} key"], issued.key_pem)
    published = Publications(index=lambda: INDEX, record=lambda: b"record", clients_only=True)
    tls = ServerTls(files["server"], files["server key"], files["root"])
    server = WebServer(application(state.check, published), tls.context)
    port = server.bind("127.0.0.1", 0)
    await server.start()

    def client(certificate: Path | None = None, key: Path | None = None) -> throwaway.Throwaway:
        return Certified(files["root"], files["root"], client_with_certificate(files["root"], certificate, key))

    for path in ("/index.ldif.p7m", "/record.ldif.p7m"):
        assert (await ask(port, client(), path)).status == 403
    assert (await ask(port, client(), "/health")).status == 200
    own = client(files["client"], files["client key"])
    assert (await ask(port, own, "/index.ldif.p7m")).body == INDEX
    assert (await ask(port, own, "/record.ldif.p7m")).body == b"record"
    foreign = stranger.client_certificate("Alfa PEC")
    for name, data in (("client", foreign.pem), ("client key", foreign.key_pem)):
        files[name].unlink()
        (write_private if name.endswith("key") else write_public)(files[name], data)
    with pytest.raises((ssl.SSLError, ConnectionError, IndexError, ValueError)):
        await ask(port, client(files["client"], files["client key"]), "/index.ldif.p7m")
    tls.reload(files["server"], files["server key"])
    assert (await ask(port, own, "/index.ldif.p7m")).body == INDEX
    assert (await ask(port, client(), "/index.ldif.p7m")).status == 403
    await server.close()


@dataclass(frozen=True)
class Certified(throwaway.Throwaway):
    """A client that may show a certificate."""

    context: ssl.SSLContext

    def client(self) -> ssl.SSLContext:
        return self.context


async def test_a_record_is_served_when_there_is_one(port: int, tls: throwaway.Throwaway) -> None:
    assert (await ask(port, tls, "/record.ldif.p7m")).status == 404
