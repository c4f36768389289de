"""The bytes of messages, cut in every way, against a slow and plain reading of the rules."""

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp import replies
from gateway.smtp.hardening import Budget
from gateway.smtp.intake import DotStuffed, Intake
from gateway.smtp.limits import Limits
from gateway.smtp.replies import Reply
from receipts.errors import TemporaryError
from receipts.octets import InMemory, Octets, Span
from tests.smtp.fakes import Kept, MemorySink, Sinks

MESSAGES = st.lists(
    st.sampled_from([b"\r\n", b"\r\n.", b"\r\n..", b".", b"a", b"\r", b"\n", b"\0", b"x" * 500, b"\xe8", b"\r\n.\r\n"]),
    max_size=30,
).map(b"".join)
CUTS = st.lists(st.integers(min_value=1, max_value=40), max_size=60)


@dataclass
class Taker:
    """An intake with its surroundings."""

    limits: Limits = field(default_factory=Limits)
    sinks: Sinks = field(default_factory=Sinks)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limits.max_in_flight_bytes)
        self.intake = Intake(self.limits, self.budget, self.sinks)

    async def take(self, *pieces: bytes) -> Octets | Reply:
        for piece in pieces:
            await self.intake.feed(piece)
        return await self.intake.finish()


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


def lines_of(data: bytes) -> list[bytes]:
    return re.findall(rb".*?\n|.+\Z", data, re.DOTALL)


def verdict(message: bytes) -> Reply | None:
    """What the rules say of a message, byte by byte."""
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)|\0", message)
    overlong = any(len(line) > 1_000 for line in lines_of(message))
    if bare and overlong:
        return None  # either reply is right
    return replies.MESSAGE_BAD_LINES if bare else replies.MESSAGE_LONG_LINE if overlong else replies.OK


@given(MESSAGES, CUTS)
def test_data_is_the_same_however_it_is_cut(sent: bytes, sizes: list[int]) -> None:
    stuffed = DotStuffed()
    stream = sent + b"\r\n.\r\nQUIT\r\n"
    end = 3 if stream.startswith(b".\r\n") else stream.index(b"\r\n.\r\n") + 5
    got, rest = b"", None
    left = b""
    for piece in cut(stream, sizes):
        if rest is not None:
            left += piece
            continue
        lines, rest = stuffed.feed(piece)
        got += lines
        left = rest or b""
    expected = stream[:end].removesuffix(b".\r\n")
    expected = re.sub(rb"(\A|\r\n)\.", rb"\1", expected)
    assert got == expected
    assert left == stream[end:]


@given(MESSAGES, CUTS)
async def test_line_rules_are_the_same_however_a_message_is_cut(message: bytes, sizes: list[int]) -> None:
    taker = Taker()
    taken = await taker.take(*cut(message, sizes))
    expected = verdict(message)
    if expected is replies.OK:
        assert isinstance(taken, Octets)
        assert taken.read() == message
    elif expected is None:
        assert taken in {replies.MESSAGE_BAD_LINES, replies.MESSAGE_LONG_LINE}
    else:
        assert taken is expected
    taker.intake.release()
    assert taker.budget.taken == 0


@pytest.mark.parametrize("cut_at", [1, 500, 999, 1_000, 1_001, 5_000])
@pytest.mark.parametrize(("length", "right"), [(998, True), (999, False)])
async def test_a_line_may_have_1000_bytes(length: int, right: bool, cut_at: int) -> None:
    message = b"a\r\n" * 700 + b"x" * length + b"\r\n" + b"b\r\n"
    taken = await Taker().take(message[:cut_at], message[cut_at:])
    assert isinstance(taken, Octets) if right else taken is replies.MESSAGE_LONG_LINE


async def test_a_line_without_end_is_not_kept_waiting() -> None:
    stuffed, taker = DotStuffed(), Taker()
    for _ in range(100):
        lines, rest = stuffed.feed(b"x" * 1_000)
        assert rest is None
        await taker.intake.feed(lines)
    assert taker.intake.fault is replies.MESSAGE_LONG_LINE
    assert taker.intake.size > 95_000
    assert taker.budget.taken == 0


async def test_a_small_message_is_in_memory_with_its_hash() -> None:
    taker = Taker()
    taken = await taker.take(b"Subject: x\r\n", b"\r\n", b"text\r\n")
    assert isinstance(taken, Octets)
    (part,) = taken.parts
    assert isinstance(part, Span)
    assert isinstance(part.source, InMemory)
    assert part.source.data == b"Subject: x\r\n\r\ntext\r\n"
    assert part.source.sha256 == taken.sha256()
    assert taker.sinks.opened == []


async def test_a_large_message_goes_through_the_sink() -> None:
    taker = Taker(Limits(memory_bytes=1_000))
    pieces = [b"x" * 98 + b"\r\n" for _ in range(30)]
    taken = await taker.take(*pieces)
    assert isinstance(taken, Octets)
    (sink,) = taker.sinks.opened
    assert sink.finished
    assert len(sink.written) == 20
    assert taken.parts == (Span(Kept(b"".join(pieces)), 0, 3_000),)


async def test_the_budget_is_taken_while_the_message_is_under_way() -> None:
    taker = Taker()
    await taker.take(b"x" * 98 + b"\r\n")
    assert taker.budget.taken == 100
    taker.intake.release()
    taker.intake.release()
    assert taker.budget.taken == 0


async def test_a_message_beyond_the_budget_is_put_off() -> None:
    taker = Taker(Limits(max_in_flight_bytes=150))
    assert await taker.take(b"x" * 98 + b"\r\n", b"x" * 98 + b"\r\n") is replies.BUSY_MEMORY
    assert taker.budget.taken == 0


async def test_a_message_over_the_limit_is_refused_and_its_sink_aborted() -> None:
    taker = Taker(Limits(max_message_bytes=250, memory_bytes=50))
    piece = b"x" * 98 + b"\r\n"
    assert await taker.take(piece, piece, piece, piece) is replies.TOO_BIG
    assert not taker.intake.hopeless
    (sink,) = taker.sinks.opened
    assert sink.aborted
    assert not sink.finished
    await taker.intake.feed(piece * 2)
    assert taker.intake.hopeless


@pytest.mark.parametrize("error", [TemporaryError("disk"), RuntimeError("bug")])
async def test_a_sink_that_fails_makes_the_peer_try_again(error: Exception) -> None:
    taker = Taker(Limits(memory_bytes=50), Sinks(error=error))
    assert await taker.take(b"x" * 98 + b"\r\n", b"y\r\n") is replies.TROUBLE
    assert taker.sinks.opened[0].aborted
    assert taker.budget.taken == 0


async def test_a_sink_that_cannot_finish_makes_the_peer_try_again() -> None:
    class Unfinished(MemorySink):
        async def finish(self) -> Kept:
            raise TemporaryError("disk")

    limits, budget, sink = Limits(memory_bytes=50), Budget(1_000), Unfinished()
    intake = Intake(limits, budget, lambda: sink)
    await intake.feed(b"x" * 98 + b"\r\n")
    assert await intake.finish() is replies.TROUBLE
    assert sink.aborted
    assert budget.taken == 0
