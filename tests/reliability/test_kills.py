"""Twenty kills at random moments under load: nothing acknowledged is lost, nothing happens twice (promises 1 to 3)."""

import asyncio
import json
import os
import random
import signal
import ssl
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, text

from gateway.drivers.configuration import read_settings
from gateway.lab.description import description_file
from gateway.lab.load import ACCEPTANCE, DELIVERY, ENVELOPE, Flow, LoadResult, Traffic, Watch, pairs_of
from gateway.lab.running import Lab, running_lab
from gateway.points.tracking import RecipientState
from gateway.storage import certified
from gateway.storage.engine import Storage
from gateway.storage.register import Event
from receipts.errors import TemporaryError
from receipts.wire import MessageKind

T = TypeVar("T")
KILLS = 20
LEAST_IN_FLIGHT = 10
ISSUED = (MessageKind.ACCEPTANCE, MessageKind.ENVELOPE, MessageKind.TAKE_CHARGE, MessageKind.DELIVERY)
BURST = 60  # messages handed in around each kill, as fast as they are accepted


@pytest.mark.lab
@pytest.mark.timeout(1_800)
async def test_twenty_kills_lose_nothing_and_double_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_lab(tmp_path, providers=2, accounts=10) as lab:
        description = json.loads(description_file(lab.layout).read_text())
        context = ssl.create_default_context(cafile=description["ca_file"])
        pairs = pairs_of(description, 20)
        stores = _Stores(lab)
        bursts = _Bursts(lambda: Traffic(pairs, context, flows=BURST, size=4_000))
        in_flight = [await _burst_and_kill(lab, stores, number, bursts) for number in range(KILLS)]
        result = LoadResult(flows=bursts.flows)
        with capsys.disabled():
            print(f"\nin flight at each of {KILLS} kills: {in_flight}; {len(result.flows)} flows in all")
        assert min(in_flight) >= LEAST_IN_FLIGHT, in_flight
        await _settled(stores)

        watch = Watch((box for pair in pairs for box in (pair.sender, pair.recipient)), context, result)
        await watch.empty_all()
        assert len(result.acknowledged) == len(result.flows)
        assert result.missing() == []
        assert result.doubled() == []
        kinds = Counter(kind for _, kind in result.found)
        assert kinds == dict.fromkeys((ACCEPTANCE, DELIVERY, ENVELOPE), len(result.flows))
        _registers_and_traces_agree(stores, {flow.msgid for flow in result.flows})
        stores.close()


class _Bursts:
    """What is handed in, burst after burst."""

    def __init__(self, draw: Callable[[], Traffic]) -> None:
        self._draw = draw
        self._begun: list[Traffic] = []
        self._sending: list[asyncio.Task[None]] = []

    @property
    def flows(self) -> list[Flow]:
        return [flow for traffic in self._begun for flow in traffic.result.flows]

    def begin(self) -> None:
        self._begun.append(self._draw())
        self._sending.append(asyncio.create_task(self._begun[-1].run()))

    def over(self) -> bool:
        """Whether everything handed in is acknowledged."""
        return all(task.done() for task in self._sending)

    async def end(self) -> None:
        await asyncio.gather(*self._sending)


async def _burst_and_kill(lab: Lab, stores: "_Stores", number: int, bursts: _Bursts) -> int:
    """Kill one provider, in turn, at a random moment of a burst; how many flows were under way.

    Returns when it answers again and everything handed in is acknowledged.
    """
    provider = lab.plan.providers[number % len(lab.plan.providers)]
    process = lab.processes[provider.domain]
    in_flight = 0
    while in_flight < LEAST_IN_FLIGHT:  # a busy machine may have let the providers finish a burst before we look
        bursts.begin()
        await _until(lambda: bursts.over() or len(bursts.flows) - stores.ended() >= 2 * LEAST_IN_FLIGHT)
        await asyncio.sleep(random.uniform(0.0, 0.1))  # the random moment, not a wait for anything
        in_flight = len(bursts.flows) - stores.ended()
    pid = process.pid
    os.kill(pid, signal.SIGKILL)
    await _until(lambda: _pid(lab, provider.domain) != pid)
    await bursts.end()
    return in_flight


def _pid(lab: Lab, domain: str) -> int:
    providers = json.loads(description_file(lab.layout).read_text())["providers"]
    return next(provider["pid"] for provider in providers if provider["domain"] == domain)


class _Stores:
    """The databases of the providers, open beside them all the time."""

    def __init__(self, lab: Lab) -> None:
        self._open = [
            Storage.open(read_settings(lab.layout.provider(provider).config).storage.url)
            for provider in lab.plan.providers
        ]

    def each(self, question: Callable[[Connection], T]) -> list[T]:
        return [store.read_now(question) for store in self._open]

    def ended(self) -> int:
        """Messages that have reached their end at the sender's provider."""
        question = text("select count(*) from certified_recipients where ended_at is not null")
        return sum(self.each(lambda connection: int(connection.execute(question).scalar_one())))

    def close(self) -> None:
        for store in self._open:
            store.close()


async def _settled(stores: _Stores) -> None:
    """Nothing waits and nothing is open, on either side, and the whole register is linked."""
    question = text(
        "select (select count(*) from outbox) + (select count(*) from certified_recipients where ended_at is null)"
        " + (select count(*) from register) - (select count(*) from register_links)"
    )
    await _until(lambda: not any(stores.each(lambda connection: int(connection.execute(question).scalar_one()))))


def _registers_and_traces_agree(stores: _Stores, msgids: set[str]) -> None:
    """Each legal act about each message stands in the registers once, and each message has one end."""
    since = datetime.now(UTC) - timedelta(hours=2)
    entries = text("select event, pec_msgid, detail from register")
    rows = [row for found in stores.each(lambda connection: connection.execute(entries).all()) for row in found]
    sent = [
        message
        for found in stores.each(lambda connection: certified.messages_since(connection, since, limit=1_000_000))
        for message in found
    ]
    names = {message.pec_msgid: message.msgid for message in sent}
    assert set(names.values()) == msgids
    assert len(names) == len(msgids), "a message was accepted twice"
    issued = Counter((detail, pec_msgid) for event, pec_msgid, detail in rows if event == Event.EMISSION)
    assert issued == {(kind, pec_msgid): 1 for kind in ISSUED for pec_msgid in names}
    states = Counter(recipient.state for message in sent for recipient in message.recipients)
    assert states == {RecipientState.DELIVERED: len(names)}


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(300):
        while not await asyncio.to_thread(_answered, holds):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _answered(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (TemporaryError, FileNotFoundError, json.JSONDecodeError):
        return False
