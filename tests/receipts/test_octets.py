"""Ropes of bytes: the same bytes as the plain ones they stand for, whatever they are made of."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.octets import EMPTY, WINDOW, InMemory, Octets, Span

PART = st.one_of(
    st.binary(max_size=40),
    st.tuples(st.binary(max_size=40), st.integers(0, 40), st.integers(0, 40)),
)


def rope_of(parts: list[bytes | tuple[bytes, int, int]]) -> tuple[Octets, bytes]:
    built: list[bytes | Span] = []
    plain = b""
    for part in parts:
        if isinstance(part, bytes):
            built.append(part)
            plain += part
        else:
            data, low, high = part[0], *sorted(min(edge, len(part[0])) for edge in part[1:])
            built.append(Span(InMemory.of(data), low, high))
            plain += data[low:high]
    return Octets.of(*built), plain


@given(st.lists(PART, max_size=8))
def test_a_rope_holds_the_bytes_of_its_parts(parts: list[bytes | tuple[bytes, int, int]]) -> None:
    rope, plain = rope_of(parts)
    assert rope.read() == plain
    assert rope.size == len(rope) == len(plain)
    assert rope.sha256() == hashlib.sha256(plain).digest()


@given(st.lists(PART, max_size=8), st.integers(0, 200), st.integers(0, 200))
def test_a_slice_is_the_slice_of_the_plain_bytes(
    parts: list[bytes | tuple[bytes, int, int]], start: int, stop: int
) -> None:
    rope, plain = rope_of(parts)
    assert rope.slice(start, stop).read() == plain[start:stop]
    assert rope.read(start, stop) == plain[start:stop]
    assert rope.slice(start).read() == plain[start:]


@given(st.lists(st.sampled_from([b"ab", b"a", b"b", b"aab"]), max_size=10), st.integers(0, 9), st.integers(0, 30))
def test_finding_crosses_the_seams(parts: list[bytes], start: int, stop: int) -> None:
    rope = Octets.of(*(Span(InMemory.of(part), 0, len(part)) for part in parts))
    plain = b"".join(parts)
    for needle in (b"a", b"ba", b"aabab"):
        assert rope.find(needle, start, stop) == plain.find(needle, start, max(start, stop))


def test_pieces_of_a_span_are_small() -> None:
    data = bytes(3 * WINDOW + 1)
    rope = Octets.whole(InMemory.of(data))
    assert [len(piece) for piece in rope.pieces()] == [WINDOW, WINDOW, WINDOW, 1]


def test_ropes_are_equal_by_their_bytes() -> None:
    data = b"the same bytes"
    assert Octets.of(data).equals(Octets.whole(InMemory.of(data)))
    assert not Octets.of(data).equals(Octets.of(data[:-1] + b"S"))
    assert not Octets.of(data).equals(EMPTY)


@pytest.mark.parametrize("edges", [(-1, 2), (0, -1)])
def test_negative_offsets_are_refused(edges: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Octets.of(b"abc").slice(*edges)


def test_an_empty_needle_is_refused() -> None:
    with pytest.raises(ValueError, match="empty needle"):
        EMPTY.find(b"")
