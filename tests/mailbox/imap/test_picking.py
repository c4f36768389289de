"""What a search finds by UIDs, flags and modseqs, beside a plain reading of the same query, message by message."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.imap.picking import Picker
from gateway.points.boxes import ALL, And, Changed, Details, HasFlag, Not, Or, Query, Row, SizeIs, Uids

FLAGS = ("\\Seen", "\\Deleted", "Importante", "$Label1")
KINDS = [frozenset(name for bit, name in enumerate(FLAGS) if number >> bit & 1) for number in range(16)]
FOLDERS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9), st.sampled_from(KINDS)), unique_by=lambda m: m[0])
RANGES = st.sets(st.integers(1, 66)).map(lambda uids: Uids(tuple((uid, uid) for uid in sorted(uids))))
TERMS = st.one_of(
    RANGES,
    st.builds(lambda low, more: Uids(((low, low + more),)), st.integers(1, 66), st.integers(0, 40)),
    st.sampled_from([*map(HasFlag, FLAGS), HasFlag("\\SEEN"), HasFlag("importante"), HasFlag("nobody")]),
    st.builds(Changed, st.integers(0, 10)),
    st.just(ALL),
)
QUERIES = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(Or, inner, inner), st.lists(inner, max_size=4).map(lambda t: And(tuple(t)))
    ),
    max_leaves=12,
)


def folder(*rows: Row) -> Details:
    uids, modseqs, flags = zip(*rows, strict=True) if rows else ((), (), ())
    return Details(uids=uids, modseqs=modseqs, flags=flags)


def fits(query: Query, row: Row) -> bool:
    match query:
        case And(terms):
            return all(fits(term, row) for term in terms)
        case Or(one, other):
            return fits(one, row) or fits(other, row)
        case Not(term):
            return not fits(term, row)
        case Uids(ranges):
            return any(low <= row.uid <= high for low, high in ranges)
        case HasFlag(flag):
            return flag.lower() in {name.lower() for name in row.flags}
        case Changed(since):
            return row.modseq >= since
    raise AssertionError(query)


@given(FOLDERS, QUERIES)
def test_a_query_finds_what_fits_it(rows: list[tuple[int, int, frozenset[str]]], query: Query) -> None:
    messages = [Row(*row) for row in sorted(rows, key=lambda row: row[0])]
    found = asyncio.run(Picker(folder(*messages)).pick(query))
    assert found == [row.uid for row in messages if fits(query, row)]


async def test_a_long_search_of_a_large_folder_lets_others_have_their_turn() -> None:
    picker = Picker(folder(*(Row(uid, uid % 500, KINDS[uid % 16]) for uid in range(1, 100_001))))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.ensure_future(others())
    began = time.process_time()
    odd = Uids(tuple((uid, uid) for uid in range(1, 600, 2)))
    hard = [Not(Changed(since)) for since in range(600, 640)] + [Or(odd, Not(Uids(((n, n),)))) for n in range(300)]
    assert len(await picker.pick(And((*hard, *[Not(HasFlag(f"k{n}")) for n in range(490)])))) > 99_000
    assert time.process_time() - began < 20
    assert turns > 20
    other.cancel()


async def test_a_query_of_something_else_is_not_asked_here() -> None:
    with pytest.raises(TypeError):
        await Picker(folder(Row(1, 1, KINDS[0]))).pick(SizeIs(larger=True, size=1))
