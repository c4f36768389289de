"""Lines and runs of bytes out of what the network brought."""

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.inbox import HIGH_WATER, BadLine, Inbox


@dataclass
class Tap(asyncio.Transport):
    """A transport that knows whether it may read."""

    reading: bool = True
    turns: list[str] = field(default_factory=list)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.turns.append("pause")

    def resume_reading(self) -> None:
        self.turns.append("resume")


def inbox() -> Inbox:
    async def nothing() -> None: ...

    return Inbox(nothing)


@given(st.lists(st.binary(max_size=30).map(lambda data: data.translate(None, b"\r\n\0")), max_size=20), st.data())
async def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream, box = b"".join(line + b"\r\n" for line in lines), inbox()
    while stream:
        size = data.draw(st.integers(min_value=1, max_value=len(stream)))
        box.feed(stream[:size])
        stream = stream[size:]
    assert [await box.line() for _ in lines] == lines
    assert box.size == 0


async def test_a_line_is_waited_for() -> None:
    box = inbox()
    line = asyncio.create_task(box.line())
    for piece in (b"EH", b"LO x", b"\r", b"\nQUIT\r\n"):
        await asyncio.sleep(0)
        assert not line.done()
        box.feed(piece)
    assert await line == b"EHLO x"
    assert await box.line() == b"QUIT"


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NO\0OP\r\n", b"NOOP\r\r\n", b"\n", b"\r\r\n"])
async def test_a_line_that_is_no_smtp_is_fatal(line: bytes) -> None:
    box = inbox()
    box.feed(line)
    with pytest.raises(BadLine) as caught:
        await box.line()
    assert caught.value.fatal


async def test_a_line_too_long_is_skipped() -> None:
    box = inbox()
    box.feed(b"x" * 999 + b"\r\nNOOP\r\n")
    with pytest.raises(BadLine) as caught:
        await box.line()
    assert not caught.value.fatal
    assert await box.line() == b"NOOP"


async def test_a_line_without_end_takes_no_memory() -> None:
    box = inbox()
    line = asyncio.create_task(box.line())
    for _ in range(100):
        await asyncio.sleep(0)
        box.feed(b"x" * 10_000)
    await asyncio.sleep(0)
    assert box.size == 0
    box.feed(b"\r\n")
    with pytest.raises(BadLine):
        await line


async def test_the_network_waits_while_nobody_reads() -> None:
    box, tap = inbox(), Tap()
    box.attach(tap)
    box.feed(b"x" * HIGH_WATER)
    assert tap.turns == []
    box.feed(b"x")
    box.feed(b"x")
    assert tap.turns == ["pause"]
    assert len(await box.take()) == HIGH_WATER + 2
    assert tap.turns == ["pause", "resume"]


async def test_bytes_are_taken_in_order_and_put_back() -> None:
    box = inbox()
    box.feed(b"abc")
    box.feed(b"def")
    assert await box.take(4) == b"abcd"
    assert await box.take(4) == b"ef"
    box.put_back(b"f")
    box.feed(b"gh\r\n")
    assert await box.line() == b"fgh"


async def test_the_end_is_told_when_all_is_read() -> None:
    box = inbox()
    box.feed(b"NOOP\r\nrest")
    box.feed_eof()
    assert await box.line() == b"NOOP"
    with pytest.raises(ConnectionResetError):
        await box.line()


async def test_what_is_unsent_leaves_before_the_other_end_is_waited_for() -> None:
    waits: list[int] = []

    async def note() -> None:
        waits.append(len(waits))

    box = Inbox(note)
    box.feed(b"a\r\nb\r\n")
    assert [await box.line(), await box.line()] == [b"a", b"b"]
    assert waits == []
    line = asyncio.create_task(box.line())
    await asyncio.sleep(0)
    assert waits == [0]
    box.feed(b"c\r\n")
    assert await line == b"c"
