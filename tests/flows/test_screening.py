"""Outages of the scanner: told once, over by themselves; a message is scanned once."""

import asyncio
import signal
from pathlib import Path

import pytest

from gateway.drivers.antivirus import Clamd, ScannerUnavailable
from gateway.flows.alarms import Alarms
from gateway.flows.outcomes import Accepted, Taken
from gateway.flows.screening import OneScan, Screen
from gateway.points.screening import CLEAN, Look, NotScreened, ScanPolicy, Verdict
from gateway.storage.errors import Conflict
from receipts.octets import Octets
from tests.flows.house import HandClock, Provider, original
from tests.flows.pens import Pen
from tests.flows.scanners import Bells, PlainSight
from tests.scanner import EICAR, running, start

MESSAGE = Octets.of(b"Subject: S\r\n\r\nciao\r\n")
AWAY = "messages are put off: clamd cannot be reached: Connection refused"


@pytest.fixture
def scanner() -> PlainSight:
    return PlainSight()


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def screen(scanner: PlainSight, bells: Bells, clock: HandClock) -> Screen:
    return Screen(scanner, ScanPolicy(), alarms=bells, clock=clock)


async def test_an_outage_is_an_alarm_until_the_scanner_answers(
    screen: Screen, scanner: PlainSight, bells: Bells
) -> None:
    assert await screen(MESSAGE) == CLEAN
    scanner.away = True
    for _ in range(3):
        with pytest.raises(ScannerUnavailable):
            await screen(MESSAGE)
    assert bells.stand == {"scanner": AWAY}
    assert not screen.works
    scanner.away = False
    assert await screen(MESSAGE) == CLEAN
    assert bells.stand == {}
    assert screen.works


async def test_a_look_sees_outage_and_recovery_without_any_message(
    screen: Screen, scanner: PlainSight, bells: Bells
) -> None:
    await screen.look()
    assert screen.version == "plain sight"
    scanner.away = True
    await screen.look()
    assert (screen.works, bells.stand) == (False, {"scanner": AWAY})
    scanner.away = False
    await screen.look()
    assert (screen.works, bells.stand) == (True, {})
    assert scanner.scanned == []


async def test_the_alarm_about_what_cannot_be_scanned_stands_for_a_day(
    screen: Screen, scanner: PlainSight, bells: Bells, clock: HandClock
) -> None:
    scanner.says = Verdict(Look.INCOMPLETE, "INSTREAM size limit exceeded")
    with pytest.raises(NotScreened):
        await screen(MESSAGE)
    assert screen.works
    [(name, detail)] = bells.stand.items()
    assert name == "unscannable"
    assert f"a message of {MESSAGE.size} bytes is put off" in detail
    assert "antivirus.unscannable" in detail
    clock.pass_(hours=23)
    await screen.look()
    assert list(bells.stand) == ["unscannable"]
    clock.pass_(hours=2)
    await screen.look()
    assert bells.stand == {}


async def test_one_scan_asks_once_unless_there_was_no_answer(screen: Screen, scanner: PlainSight) -> None:
    scan = OneScan(screen)
    scanner.away = True
    with pytest.raises(ScannerUnavailable):
        await scan.of(MESSAGE)
    scanner.away = False
    assert [await scan.of(MESSAGE) for _ in range(3)] == [CLEAN] * 3
    assert len(scanner.scanned) == 1
    assert await OneScan(None).of(MESSAGE) == CLEAN


async def test_a_transaction_that_is_tried_again_does_not_scan_again(
    beta_on_sqlite: Provider, screen: Screen, scanner: PlainSight, monkeypatch: pytest.MonkeyPatch
) -> None:
    beta_on_sqlite.screening = screen
    beta_on_sqlite.wire()
    failures = iter([True, True, False, True, True, False])
    write = beta_on_sqlite.storage.write

    async def in_conflict(*arguments: object, **options: object) -> object:
        if next(failures):
            raise Conflict("a fact changed")
        return await write(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(beta_on_sqlite.storage, "write", in_conflict)
    assert await beta_on_sqlite.arrive(Pen("alfa.example").envelope()) == Taken()
    assert len(scanner.scanned) == 1
    assert isinstance(await beta_on_sqlite.hand_in(original(sender="anna@beta.example")), Accepted)
    assert len(scanner.scanned) == 2


@pytest.mark.req("VIR-01", "VIR-04")
async def test_the_real_scanner_is_killed_mid_way_and_comes_back(beta_on_sqlite: Provider, tmp_path: Path) -> None:
    """Nothing is certified meanwhile; afterwards the same messages go their way."""
    beta = beta_on_sqlite
    alarms = Alarms(beta.storage, beta.clock, place="node-1", provider="Beta")
    envelope = Pen("alfa.example").envelope()
    with running(tmp_path / "av") as process:
        scanner = Clamd(process.socket, timeout_seconds=60)
        beta.screening = screen = Screen(scanner, ScanPolicy(), alarms=alarms, clock=beta.clock)
        beta.wire()
        large = original(sender="anna@beta.example", body=b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 100_000)
        flow = asyncio.create_task(beta.hand_in(large))
        await asyncio.sleep(0)
        process.stop(signal.SIGKILL)
        with pytest.raises(ScannerUnavailable):
            await flow
        with pytest.raises(ScannerUnavailable):
            await beta.arrive(envelope)
        assert not any(map(beta.mailbox, beta.people))
        assert beta.outbox() == []
        assert [event for event, _ in beta.events()] == ["alarm"]
        start(process)
        beta.clock.pass_(seconds=90)
        await screen.look()
        assert await alarms.count() == 0
        assert isinstance(await beta.hand_in(large), Accepted)
        assert await beta.arrive(envelope) == Taken()
        assert beta.kinds("bruno") == ["envelope"]
        assert [event for event, _ in beta.events()][:2] == ["alarm", "alarm over"]


async def test_while_the_scanner_is_away_nothing_is_kept(
    beta_on_sqlite: Provider, screen: Screen, scanner: PlainSight
) -> None:
    scanner.away = True
    beta_on_sqlite.screening = screen
    beta_on_sqlite.wire()
    for act in (
        lambda: beta_on_sqlite.hand_in(original(sender="anna@beta.example", body=EICAR + b"\r\n")),
        lambda: beta_on_sqlite.arrive(Pen("alfa.example").envelope()),
        lambda: beta_on_sqlite.arrive(original()),
    ):
        with pytest.raises(ScannerUnavailable):
            await act()
    assert beta_on_sqlite.is_untouched()
