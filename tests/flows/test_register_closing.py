"""A day of the register is closed: signed, chained to the day before, and stamped by somebody else."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from gateway.drivers.dialer import Dialer
from gateway.drivers.http_client import HttpClient
from gateway.drivers.timestamps import TimeStamps
from gateway.flows import register_closing
from gateway.lab.timestamps import TimeStamper, TimeStampServer
from gateway.storage import audit
from gateway.storage.engine import Storage
from receipts.errors import SigningUnavailable
from tests.flows.credentials import ROME, START, authority
from tests.flows.house import HandClock
from tests.flows.legal import Legal, NoStamps, openssl

EVENING = datetime(2026, 3, 2, 23, 59, 59, tzinfo=ROME)
MIDNIGHT = EVENING + timedelta(seconds=1)


@pytest.fixture
def legal(storage: Storage, clock: HandClock) -> Legal:
    return Legal(storage, clock)


@pytest.mark.req("LOG-02")
async def test_a_day_that_is_over_is_closed_with_all_its_rows(legal: Legal) -> None:
    await legal.registered(START, EVENING, MIDNIGHT)
    assert await legal.closing() == 0
    legal.clock.at = MIDNIGHT + timedelta(minutes=59)
    assert await legal.closing() == 0
    legal.clock.pass_(minutes=1)
    assert await legal.closing() == 1
    (said,) = legal.statements()
    assert (said.number, said.day, said.first, said.last, said.rows) == (1, date(2026, 3, 2), 1, 2, 2)
    assert (said.earliest, said.latest, said.closed_at) == (START, EVENING, legal.clock.at)
    assert (said.provider, said.domain, said.time_zone) == ("Alfa PEC", "alfa.example", "Europe/Rome")
    assert (said.link_before, said.previous_sha256, said.faults) == (bytes(32), None, ())
    found = legal.verify()
    assert (found.faults, found.segments, found.unclosed, found.unstamped) == ([], 1, 1, [1])
    assert await legal.closing() == 0


@pytest.mark.req("LOG-02")
async def test_openssl_and_sha256_agree(legal: Legal, tmp_path: Path) -> None:
    await legal.a_day()
    (segment,), (said,) = legal.segments(), legal.statements()
    lines = legal.lines(segment)
    assert hashlib.sha256(lines).digest() == said.lines_sha256
    assert len(lines) == said.lines_bytes
    for line in lines.decode().splitlines():
        _, row_hash, _, row = line.split("\t")
        assert hashlib.sha256(row.encode()).hexdigest() == row_hash
    (tmp_path / "statement.json").write_bytes(segment.statement)
    (tmp_path / "statement.p7s").write_bytes(segment.signature)
    (tmp_path / "roots.pem").write_bytes(authority().root_pem)
    command = "cms -verify -binary -inform DER -in statement.p7s -content statement.json -CAfile roots.pem -out out"
    openssl(tmp_path, *command.split())
    assert (tmp_path / "out").read_bytes() == segment.statement


async def test_each_day_follows_on_the_one_before(legal: Legal) -> None:
    for _ in range(3):
        await legal.a_day()
    first, second, third = legal.statements()
    assert [said.number for said in (first, second, third)] == [1, 2, 3]
    assert (second.first, second.link_before) == (first.last + 1, first.link_after)
    assert second.previous_sha256 == hashlib.sha256(first.to_bytes()).digest()
    assert third.previous_sha256 == hashlib.sha256(second.to_bytes()).digest()
    assert legal.verify().whole


async def test_days_that_were_missed_are_closed_one_by_one(legal: Legal) -> None:
    await legal.registered(*(START + timedelta(days=n) for n in (0, 1, 4)))
    legal.clock.pass_(days=10)
    assert await legal.closing() == 3
    assert [said.day.day for said in legal.statements()] == [2, 3, 6]
    assert legal.verify().unclosed == 0


async def test_rows_that_come_late_go_into_the_next_segment(legal: Legal) -> None:
    await legal.a_day(rows=2)
    await legal.registered(EVENING)
    assert await legal.closing() == 0
    legal.clock.pass_(days=1)
    assert await legal.closing() == 1
    _, said = legal.statements()
    assert (said.day, said.rows, said.latest) == (date(2026, 3, 3), 1, EVENING)
    assert legal.verify().whole


async def test_rows_from_a_wrong_clock_hold_nothing_up(legal: Legal) -> None:
    await legal.registered(START, START + timedelta(days=2_000), START + timedelta(hours=1))
    legal.clock.pass_(days=1)
    assert await legal.closing() == 1
    (said,) = legal.statements()
    assert (said.day, said.rows) == (date(2026, 3, 2), 3)


async def test_a_day_with_very_many_rows_has_several_segments(legal: Legal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register_closing, "MOST_ROWS", 100)
    monkeypatch.setattr(audit, "READ_AT_ONCE", 30)
    await legal.registered(*(START + timedelta(seconds=n) for n in range(250)))
    legal.clock.pass_(days=1)
    assert await legal.closing() == 3
    assert [(said.day.day, said.rows) for said in legal.statements()] == [(2, 100), (2, 100), (2, 50)]
    assert legal.verify().whole


async def test_nodes_that_close_at_once_close_once(legal: Legal) -> None:
    await legal.registered(START, EVENING)
    legal.clock.pass_(days=1)
    nodes = [legal.closes(f"node-{n}") for n in range(4)]
    assert sum(await asyncio.gather(*(node() for node in nodes))) == 1
    assert len(legal.segments()) == 1
    assert legal.verify().whole


async def test_without_any_lease_one_of_two_is_kept(legal: Legal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease may end too soon: the number of a segment is given only once all the same."""

    async def mine(_self: object) -> bool:
        return True

    monkeypatch.setattr(register_closing.RegisterClosing, "_leased", mine)
    await legal.registered(START, EVENING)
    legal.clock.pass_(days=1)
    await asyncio.gather(*(legal.closes(f"node-{n}")() for n in range(3)))
    assert [said.number for said in legal.statements()] == [1]
    assert legal.verify().whole


async def test_today_can_be_closed_by_hand_and_goes_on(legal: Legal) -> None:
    await legal.registered(START)
    assert await legal.closing(today=True) == 1
    await legal.registered(EVENING)
    legal.clock.pass_(days=1)
    assert await legal.closing() == 1
    assert [(said.day.day, said.rows) for said in legal.statements()] == [(2, 1), (2, 1)]
    assert legal.verify().whole


async def test_a_key_that_does_not_sign_is_an_alarm_and_the_day_is_closed_later(legal: Legal) -> None:
    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(good, name)

        def sign(self, data: bytes) -> bytes:
            raise SigningUnavailable("the token is gone")

    good = legal.signer
    await legal.registered(START)
    legal.clock.pass_(days=1)
    legal.signer = Broken()  # type: ignore[assignment]
    assert await legal.closes()() == 0
    assert legal.alarms.standing == {"register closing": "the key does not sign: the token is gone"}
    legal.signer = good
    assert await legal.closes()() == 1
    assert legal.alarms.standing == {}
    assert legal.verify().whole


@pytest.mark.req("LOG-02")
async def test_what_was_changed_before_the_day_was_closed_is_said_in_what_is_signed(legal: Legal) -> None:
    await legal.registered(START, START, EVENING)
    legal.tamper("UPDATE register SET subject = 'other' WHERE id = 2", "DELETE FROM register WHERE id = 3")
    legal.clock.pass_(days=1)
    assert await legal.closing() == 1
    (said,) = legal.statements()
    assert said.faults == ("row 2 was changed", "row 3 is missing (link 3)")
    assert said.rows == 2
    assert legal.alarms.standing == {"register changed": "segment 1: row 2 was changed"}
    assert legal.verify().faults == ["row 2 was changed", "row 3 is missing (link 3)"]


class TestStamps:
    """With a real authority: ``openssl ts``."""

    @pytest.fixture
    async def urls(self, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[str]]]:
        servers: list[TimeStampServer] = []

        async def start(reply: object = None, more: str = "") -> str:
            stamper = TimeStamper(authority().time_stamper(), tmp_path / f"tsa{len(servers)}", more)
            server = TimeStampServer(reply or stamper)  # type: ignore[arg-type]
            servers.append(server)
            return f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/"

        yield start
        for server in servers:
            await server.stop()

    def stamping(self, *urls: str) -> TimeStamps:
        """The clock of the authority is the machine's own."""
        client = HttpClient(Dialer(closed=True), private=True, seconds=10)
        return TimeStamps(client, urls, [authority().root.certificate], RealClock())

    @pytest.mark.req("LOG-04")
    async def test_a_closed_day_is_stamped_and_openssl_agrees(
        self, legal: Legal, urls: Callable[..., Awaitable[str]], tmp_path: Path
    ) -> None:
        url = await urls()
        legal.stamper = self.stamping(url)
        legal.closing = legal.closes()
        await legal.a_day()
        (segment,) = legal.segments()
        assert segment.stamp_source == url
        assert segment.stamp is not None
        (tmp_path / "statement.p7s").write_bytes(segment.signature)
        (tmp_path / "statement.tsr").write_bytes(segment.stamp)
        (tmp_path / "roots.pem").write_bytes(authority().root_pem)
        command = "ts -verify -data statement.p7s -in statement.tsr -CAfile roots.pem"
        assert "Verification: OK" in openssl(tmp_path, *command.split())
        found = legal.verify()
        assert (found.faults, found.unstamped) == ([], [])

    async def test_the_next_authority_is_asked_when_one_fails(
        self, legal: Legal, urls: Callable[..., Awaitable[str]]
    ) -> None:
        async def junk(_query: bytes) -> bytes:
            return b"\x30\x03\x02\x01\x00"

        good = await urls()
        legal.stamper = self.stamping("http://127.0.0.1:1/", await urls(junk), good)
        legal.closing = legal.closes()
        await legal.a_day()
        assert legal.segments()[0].stamp_source == good
        assert legal.alarms.standing == {}

    async def test_a_service_that_is_down_is_asked_ever_more_seldom_and_is_an_alarm(self, legal: Legal) -> None:
        legal.stamper = down = NoStamps()
        legal.closing = legal.closes()
        await legal.a_day()
        assert legal.alarms.standing == {"time stamps": "http://tsa.example/: no answer"}
        assert legal.verify().whole, "signed it is"
        for _ in range(180):
            legal.clock.pass_(minutes=1)
            await legal.closing()
        assert down.asked == 8, "after 1, 2, 4, 8, 16, 32 minutes, then every hour"

    async def test_when_the_service_works_again_all_that_waited_is_stamped(
        self, legal: Legal, urls: Callable[..., Awaitable[str]]
    ) -> None:
        legal.stamper = NoStamps()
        legal.closing = legal.closes()
        for _ in range(3):
            await legal.a_day()
        assert legal.verify().unstamped == [1, 2, 3]
        legal.stamper = self.stamping(await urls())
        legal.closing = legal.closes()
        legal.clock.pass_(hours=2)
        assert await legal.closing() == 0
        assert [segment.stamp_source is not None for segment in legal.segments()] == [True] * 3
        assert legal.alarms.standing == {}


class RealClock:
    def now(self) -> datetime:
        return datetime.now(ROME)
