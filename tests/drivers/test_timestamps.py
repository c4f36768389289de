"""Time stamps from whoever answers: what does not hold is none, and nobody is waited for longer than is due."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gateway.drivers.dialer import Dialer
from gateway.drivers.http_client import HttpClient
from gateway.drivers.timestamps import StampRefused, StampUnavailable, TimeStamps, check_stamp
from gateway.lab.authority import Authority
from gateway.lab.timestamps import Reply, TimeStamper, TimeStampServer

DATA = b"what was signed"
NOW = datetime.now(UTC)
REJECTED = bytes.fromhex("30053003020102")  # a PKIStatusInfo of 2 and no time stamp


class Clock:
    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create([], NOW - timedelta(days=1))


@pytest.fixture
def stamper(authority: Authority, tmp_path: Path) -> TimeStamper:
    return TimeStamper(authority.time_stamper(), tmp_path / "tsa")


Serve = Callable[[Reply], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TimeStampServer] = []

    async def start(reply: Reply) -> str:
        servers.append(TimeStampServer(reply))
        return f"http://127.0.0.1:{await servers[-1].start('127.0.0.1', 0)}/"

    yield start
    for server in servers:
        await server.stop()


def stamps(*urls: str, roots: list[x509.Certificate], clock: Clock | None = None, seconds: float = 20) -> TimeStamps:
    client = HttpClient(Dialer(closed=True), private=True, seconds=seconds)
    return TimeStamps(client, urls, roots, clock or Clock())


async def test_what_openssl_stamps_holds(authority: Authority, stamper: TimeStamper, serve: Serve) -> None:
    url = await serve(stamper)
    stamp = await stamps(url, roots=[authority.root.certificate])(DATA)
    assert stamp.source == url
    assert abs(stamp.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert check_stamp(stamp.response, DATA, [authority.root.certificate]) == stamp.at
    with pytest.raises(StampRefused, match="Mismatch between messages"):
        check_stamp(stamp.response, DATA + b"!", [authority.root.certificate])


async def test_certificates_out_of_order_are_read(authority: Authority, tmp_path: Path, serve: Serve) -> None:
    """Authorities send their chain in any order, which DER forbids."""
    (tmp_path / "chain.pem").write_bytes(authority.email_ca.pem + authority.root.pem)
    stamper = TimeStamper(authority.time_stamper(), tmp_path / "tsa", f"certs = {tmp_path}/chain.pem")
    stamp = await stamps(await serve(stamper), roots=[authority.root.certificate])(DATA)
    assert check_stamp(stamp.response, DATA, [authority.root.certificate]) == stamp.at


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "ASN.1"),
        (b"junk", "ASN.1"),
        (b"\x30\x80" * 1_000, "ASN.1"),
        (b"\x30\x84\xff\xff\xff\xff", "ASN.1"),
        (REJECTED, "the authority gave none: rejection"),
        (b"\x30\x03\x02\x01\x00", "ASN.1"),
        (b"x" * 300_000, "larger than"),
    ],
    ids=["nothing", "junk", "deep", "long", "rejected", "number", "large"],
)
async def test_what_is_no_stamp_is_refused(authority: Authority, serve: Serve, answer: bytes, said: str) -> None:
    async def reply(_query: bytes) -> bytes:
        return answer

    with pytest.raises(StampUnavailable, match=said):
        await stamps(await serve(reply), roots=[authority.root.certificate])(DATA)


async def test_a_stamp_of_another_question_is_refused(authority: Authority, stamper: TimeStamper, serve: Serve) -> None:
    """The number in the question must come back: an old answer over the same bytes is no answer."""
    kept: list[bytes] = []

    async def first_only(query: bytes) -> bytes:
        kept.append(await stamper(query))
        return kept[0]

    ask = stamps(await serve(first_only), roots=[authority.root.certificate])
    await ask(DATA)
    with pytest.raises(StampUnavailable, match="Nonce mismatch"):
        await ask(DATA)


async def test_a_stamp_under_another_authority_is_refused(stamper: TimeStamper, serve: Serve) -> None:
    stranger = Authority.create([], NOW - timedelta(days=1))
    with pytest.raises(StampUnavailable):
        await stamps(await serve(stamper), roots=[stranger.root.certificate])(DATA)


async def test_a_certificate_for_something_else_stamps_nothing(
    authority: Authority, tmp_path: Path, serve: Serve
) -> None:
    """OpenSSL itself refuses to stamp with it, so that there is no answer."""
    stamper = TimeStamper(authority.tls_certificate(), tmp_path / "tsa")
    with pytest.raises(StampUnavailable):
        await stamps(await serve(stamper), roots=[authority.root.certificate])(DATA)


async def test_a_time_that_is_not_ours_is_refused(authority: Authority, stamper: TimeStamper, serve: Serve) -> None:
    roots = [authority.root.certificate]
    with pytest.raises(StampUnavailable, match="which is not the time here"):
        await stamps(await serve(stamper), roots=roots, clock=Clock(timedelta(minutes=11)))(DATA)


async def test_the_next_one_is_asked_and_each_failure_is_told(
    authority: Authority, stamper: TimeStamper, serve: Serve
) -> None:
    async def rejects(_query: bytes) -> bytes:
        return REJECTED

    roots, dead, bad = [authority.root.certificate], "http://127.0.0.1:1/", await serve(rejects)
    good = await serve(stamper)
    assert (await stamps(dead, bad, good, roots=roots)(DATA)).source == good
    with pytest.raises(StampUnavailable) as failure:
        await stamps(dead, bad, roots=roots)(DATA)
    assert dead in str(failure.value)
    assert bad in str(failure.value)


async def test_who_never_answers_is_not_waited_for(authority: Authority, serve: Serve) -> None:
    ended = asyncio.Event()

    async def silent(_query: bytes) -> bytes:
        await ended.wait()
        return b""

    url = await serve(silent)
    with pytest.raises(StampUnavailable, match=r"not there after 0\.2 s"):
        await stamps(url, roots=[authority.root.certificate], seconds=0.2)(DATA)
    ended.set()
