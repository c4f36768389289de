"""Whoever changes a closed day, or what was signed about it, is found out, and the first bad place is named."""

import hashlib
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.storage.engine import Storage
from gateway.storage.segment_form import SegmentStatement
from providers.sealing import signed_data
from tests.flows.credentials import START, credential
from tests.flows.house import HandClock
from tests.flows.legal import Legal

OF_THE_FIRST = (
    "UPDATE register_segments SET {column} = (SELECT {column} FROM register_segments WHERE number = 1) WHERE number = 2"
)


@pytest.fixture
async def legal(storage: Storage, clock: HandClock) -> Legal:
    """Three closed days of three rows each, and one row of today."""
    legal = Legal(storage, clock)
    for _ in range(3):
        await legal.a_day()
    await legal.registered(legal.clock.now())
    return legal


async def test_untouched_it_is_whole(legal: Legal) -> None:
    found = legal.verify()
    assert found.whole
    assert (found.rows, found.links, found.segments, found.unclosed) == (10, 10, 3, 1)
    assert found.signers == ["posta-certificata@alfa.example"]


@pytest.mark.req("LOG-02")
@pytest.mark.parametrize(
    ("statement", "faults"),
    [
        (
            "UPDATE register SET subject = 'other' WHERE id = 5",
            ["row 5 was changed", "segment 2: its rows are not those that were signed"],
        ),
        (
            "DELETE FROM register WHERE id = 5",
            ["row 5 is missing (link 5)", "segment 2: its rows are not those that were signed"],
        ),
        (
            "DELETE FROM register_segments WHERE number = 2",
            ["segments 2 to 2 are missing", "segment 3 does not follow on the statement of segment 2"],
        ),
        (
            "UPDATE register_segments SET day = '2026-01-01' WHERE number = 2",
            ["segment 2: its statement is not what was signed about these rows"],
        ),
        (
            "UPDATE register_segments SET body_id = NULL WHERE number = 2",
            ["segment 2: its copy is missing"],
        ),
        (
            OF_THE_FIRST.format(column="body_id"),
            ["segment 2: its copy is not what was signed"],
        ),
        (
            OF_THE_FIRST.format(column="signature"),
            ["segment 2: its signature does not hold: the content is not the one that was signed (SHA-256)"],
        ),
        (
            "UPDATE register_segments SET signature = statement WHERE number = 2",
            ["segment 2: its signature cannot be read"],
        ),
        (
            "UPDATE register_segments SET stamp = statement, stamped_at = 0 WHERE number = 2",
            ["segment 2: its time stamp does not hold"],
        ),
        (
            "DELETE FROM register_links WHERE position = 5",
            [
                "links 5 to 5 are missing",
                "link 6 does not hold row 6",
                "segment 2: its rows are not those that were signed",
            ],
        ),
    ],
)
async def test_what_was_done_is_named(legal: Legal, statement: str, faults: list[str]) -> None:
    legal.tamper(statement)
    found = legal.verify().faults
    assert [fault[: len(expected)] for fault, expected in zip(found, faults, strict=False)] == faults
    assert {fault.split(":")[0] for fault in found[len(faults) :]} <= {"segment 2", "segment 3", "segment 3 does not"}


def resealed(legal: Legal, said: SegmentStatement, domain: str = "alfa.example") -> None:
    """Put another statement in place of one, signed again."""
    data = said.to_bytes()
    signature = signed_data(credential(domain).signer, hashlib.sha256(data).digest(), said.closed_at)
    changed = "UPDATE register_segments SET statement = :statement, signature = :signature WHERE number = :number"
    legal.tamper(changed, statement=data, signature=signature, number=said.number)


async def test_a_statement_that_was_signed_anew_breaks_the_next_one(legal: Legal) -> None:
    _, second, _ = legal.statements()
    resealed(legal, replace(second, provider="Somebody"))
    assert legal.verify().faults == ["segment 3 does not follow on the statement of segment 2"]


async def test_a_row_that_never_was_is_not_among_those_that_were_signed(legal: Legal) -> None:
    """Even with the key: what is rewritten from some row on must be rewritten to the end."""
    *_, third = legal.statements()
    resealed(legal, replace(third, lines_sha256=bytes(32)))
    assert legal.verify().faults == [
        "segment 3: its rows are not those that were signed",
        "segment 3: its copy is not what was signed",
    ]


async def test_another_providers_signature_is_not_ours(legal: Legal) -> None:
    *_, third = legal.statements()
    resealed(legal, third, "beta.example")
    assert legal.verify().faults == ["segment 3: its signature is not by who it names"]


async def test_a_copy_that_was_damaged_is_named(legal: Legal) -> None:
    legal.tamper("UPDATE bodies SET parts = :junk WHERE id = (SELECT min(id) FROM bodies)", junk=b"\0\0\0\0\3abc")
    assert legal.verify().faults == ["segment 1: its copy cannot be read"]


@pytest.mark.parametrize("sql", ["DELETE FROM register_segments", "UPDATE register_segments SET statement = 'x'"])
async def test_what_was_signed_is_guarded(legal: Legal, sql: str) -> None:
    with pytest.raises(DBAPIError, match="what was signed about the register"):
        await legal.storage.write(lambda connection: connection.execute(text(sql)))


class TestTheStatement:
    @pytest.fixture
    def said(self) -> SegmentStatement:
        return SegmentStatement(
            provider="Città PEC",
            domain="alfa.example",
            signer="posta-certificata@alfa.example",
            number=7,
            day=START.date(),
            time_zone="Europe/Rome",
            closed_at=START,
            first=1,
            last=2,
            rows=2,
            earliest=START,
            latest=START,
            link_before=bytes(32),
            link_after=b"\1" * 32,
            lines_sha256=b"\2" * 32,
            lines_bytes=10,
            previous_sha256=None,
            faults=("row 2 was changed",),
        )

    def test_the_same_facts_are_the_same_bytes(self, said: SegmentStatement) -> None:
        data = said.to_bytes()
        assert SegmentStatement.from_bytes(data) == said
        assert data == replace(said).to_bytes()
        assert '"provider": "Città PEC",\n' in data.decode()
        assert '"closed_at": "2026-03-02T08:30:15.123456Z",\n' in data.decode()

    @pytest.mark.parametrize(
        "junk",
        [
            b"",
            b"[]",
            b"{}",
            b"null",
            b"\xff",
            b"[" * 10_000,
            b'{"format": "ceralacca register segment 1"}',
            b'{"format": "another"}',
        ],
    )
    def test_other_bytes_are_refused(self, junk: bytes) -> None:
        with pytest.raises(ValueError, match="no statement"):
            SegmentStatement.from_bytes(junk)

    @pytest.mark.parametrize(
        ("old", "new"), [(b"\n", b""), (b'"number": 7', b'"number": 7.0'), (b"2026-03-02", b"20260302"), (b"{", b"{ ")]
    )
    def test_the_same_facts_in_other_bytes_are_refused(self, said: SegmentStatement, old: bytes, new: bytes) -> None:
        with pytest.raises(ValueError, match="no statement"):
            SegmentStatement.from_bytes(said.to_bytes().replace(old, new, 1))
