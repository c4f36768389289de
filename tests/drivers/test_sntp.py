"""How far our clock is off, asked of NTP servers on loopback, good ones and others."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import pytest

from gateway.drivers.kernel_clock import OffsetUnknown
from gateway.drivers.sntp import MOST_DATAGRAMS, PACKET, SntpServer, offset_of

UNIX_IN_NTP = 2_208_988_800
Answer = Callable[[bytes], Sequence[bytes]]


def stamp(seconds: float) -> int:
    return int((seconds + UNIX_IN_NTP) * (1 << 32)) % (1 << 64)


def packet(
    question: bytes,
    ahead: float = 0.0,
    *,
    flags: int = 4 << 3 | 4,
    stratum: int = 2,
    root_delay: float = 0.0,
    root_dispersion: float = 0.001,
    received: int | None = None,
    originate: bytes | None = None,
) -> bytes:
    """The answer of a server whose clock is ``ahead`` of ours."""
    now = stamp(time.time() + ahead)
    return PACKET.pack(
        flags,
        stratum,
        6,
        -20,
        int(root_delay * 65_536),
        int(root_dispersion * 65_536),
        0,
        bytes(8),
        int.from_bytes(originate if originate is not None else question[40:48]),
        now if received is None else received,
        now,
    )


class _Server(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.questions: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.questions.append(data)
        for each in self._answer(data):
            self._transport.sendto(each, addr)


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[SntpServer, _Server]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: _Server(answer), local_addr=("127.0.0.1", 0))
    try:
        yield SntpServer("127.0.0.1", transport.get_extra_info("sockname")[1]), server
    finally:
        transport.close()


@pytest.mark.req("TIM-02")
@pytest.mark.parametrize("ahead", [0.0, 0.4, -1.5, 3_600.0, -86_400.0 * 365 * 20])
async def test_the_offset_is_what_the_server_is_ahead(ahead: float) -> None:
    async with serving(lambda question: [packet(question, ahead)]) as (server, _):
        began = time.monotonic()
        found = await server.offset()
        took = time.monotonic() - began
    assert found.seconds == pytest.approx(ahead, abs=0.25 + took / 2)  # how little is known after a slow exchange
    assert found.source == f"127.0.0.1:{server.port}"


async def test_the_question_tells_nothing_and_never_repeats() -> None:
    async with serving(lambda question: [packet(question)]) as (server, seen):
        await server.offset()
        await server.offset()
    first, second = seen.questions
    assert len(first) == len(second) == 48
    assert first[:40] == second[:40] == b"\x23" + bytes(39)
    assert first[40:] != second[40:]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"flags": 4 << 3 | 3}, "no answer of a server"),
        ({"stratum": 0}, "does not know the time"),  # a "kiss of death"
        ({"stratum": 16}, "does not know the time"),
        ({"flags": 3 << 6 | 4 << 3 | 4}, "does not know the time"),
        ({"received": 0}, "holds no time"),
        ({"root_delay": 2.0}, "uncertain"),
        ({"root_dispersion": 0.6}, "uncertain"),
        ({"received": stamp(time.time() - 40)}, "uncertain"),
    ],
)
async def test_an_answer_that_says_nothing_is_none(change: dict[str, int], why: str) -> None:
    async with serving(lambda question: [packet(question, **change)]) as (server, _):  # type: ignore[arg-type]
        with pytest.raises(OffsetUnknown, match=why):
            await server.offset()


async def test_what_is_no_answer_to_this_question_is_passed_over() -> None:
    """Somebody who sees no question cannot answer it; the real answer counts, whenever it comes."""
    others = [b"", b"\x24" * 47, b"\x24" * 2_000]

    def answer(question: bytes) -> list[bytes]:
        return [*others, packet(question, 900.0, originate=bytes(8)), packet(question, 0.4)]

    async with serving(answer) as (server, _):
        began = time.monotonic()
        found = await server.offset()
        assert found.seconds == pytest.approx(0.4, abs=0.25 + (time.monotonic() - began) / 2)


async def test_who_sends_only_other_things_is_given_up() -> None:
    async with serving(lambda _: [b"\x24" * 48] * (MOST_DATAGRAMS + 1)) as (server, _):
        with pytest.raises(OffsetUnknown, match="no answer"):
            await server.offset(patience=60)


async def test_a_server_that_says_nothing_is_not_waited_for_long() -> None:
    async with serving(lambda _: []) as (server, _):
        with pytest.raises(OffsetUnknown, match="no answer"):
            await server.offset(patience=0.05)


async def test_where_nobody_listens_nobody_answers() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(OffsetUnknown):
        await SntpServer("127.0.0.1", port).offset(patience=5)


@pytest.mark.parametrize("turn", [2_085_978_496, 2_085_978_495.9])
def test_the_counter_that_begins_anew_in_2036_does_no_harm(turn: float) -> None:
    """7 February 2036, 06:28:16 UTC."""
    answer = PACKET.pack(4 << 3 | 4, 1, 0, 0, 0, 0, 0, bytes(8), 0, stamp(turn + 0.5), stamp(turn + 0.5))
    assert offset_of(answer, turn, 0.0) == pytest.approx(0.5, abs=1e-3)
