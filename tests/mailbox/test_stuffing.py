"""Multi-line answers: every message comes out as it is kept, wherever its pieces are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.stuffing import stuffed, top

alphabet = st.sampled_from([b"\r\n", b"\r\n.", b".", b"\r", b"\n", b"a", b"\r\n\r\n", b"..", b"long line"])
message = st.lists(alphabet, max_size=30).map(b"".join)
cuts = st.lists(st.integers(0, 60), max_size=8)


def pieces(whole: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(whole)) for place in at} | {0, len(whole)})
    return [whole[low:high] for low, high in pairwise(places)]


def received(answer: bytes) -> bytes:
    """What a client that reads lines up to the closing dot has in hand."""
    lines = answer.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:-2])


@pytest.mark.parametrize(
    ("whole", "answer"),
    [
        (b"", b".\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\n..b\r\n", b"a\r\n...b\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
        (b"a.b\r\n", b"a.b\r\n.\r\n"),
    ],
)
def test_dots_are_stuffed_and_the_end_is_marked(whole: bytes, answer: bytes) -> None:
    assert b"".join(stuffed([whole])) == answer


@given(message, cuts)
def test_a_client_gets_the_message_back(whole: bytes, at: list[int]) -> None:
    got = received(b"".join(stuffed(pieces(whole, at))))
    assert got == (whole if whole.endswith(b"\r\n") or not whole else whole + b"\r\n")


@given(message)
def test_single_bytes_give_the_same(whole: bytes) -> None:
    assert b"".join(stuffed([bytes([one]) for one in whole])) == b"".join(stuffed([whole]))


def first_lines(whole: bytes, lines: int) -> bytes:
    """The same as ``top``, the slow way."""
    end = (b"\r\n" + whole).find(b"\r\n\r\n")
    if end < 0:
        return whole
    body = whole[end + 2 :].split(b"\r\n")
    return whole[: end + 2] + b"\r\n".join(body[:lines]) + (b"\r\n" if 0 < lines < len(body) else b"")


@given(message, cuts, st.integers(0, 5))
def test_top_is_the_header_and_the_first_lines(whole: bytes, at: list[int], lines: int) -> None:
    assert b"".join(top(pieces(whole, at), lines)) == first_lines(whole, lines)


def test_top_reads_no_further_than_it_must() -> None:
    def endless() -> object:
        yield b"Subject: x\r\n\r\none\r\ntwo\r\n"
        raise AssertionError("read too far")

    assert b"".join(top(endless(), 1)) == b"Subject: x\r\n\r\none\r\n"  # type: ignore[arg-type]
    assert b"".join(top(endless(), 2)) == b"Subject: x\r\n\r\none\r\ntwo\r\n"  # type: ignore[arg-type]
    assert b"".join(top(endless(), 0)) == b"Subject: x\r\n\r\n"  # type: ignore[arg-type]
