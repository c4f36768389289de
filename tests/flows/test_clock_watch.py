"""While the clock is known to be wrong nothing is certified, and all goes on by itself when it is right again (D22)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from gateway.drivers.kernel_clock import OffsetUnknown
from gateway.flows.clock_watch import ClockWatch, ClockWrong, LegalClock
from gateway.points.timekeeping import Offset, Timekeeping
from receipts.errors import TemporaryError
from tests.flows.house import HandClock, Provider, original
from tests.flows.pens import Pen

GOOD, UNKNOWN, OFF = Timekeeping.GOOD, Timekeeping.UNKNOWN, Timekeeping.OFF


@dataclass
class Calls:
    """A bell that writes down what it is told."""

    told: list[str] = field(default_factory=list)

    async def raised(self, name: str, detail: str, *, everywhere: bool = False) -> None:
        assert (name, everywhere) == ("clock", False)
        self.told.append(detail)

    async def over(self, name: str, *, everywhere: bool = False) -> None:
        assert (name, everywhere) == ("clock", False)
        self.told.append("over")


@dataclass
class Source:
    """Says what it is told to say, or each of a list in turn."""

    says: float | str | list[float]
    asked: int = 0

    def now(self) -> Offset:
        self.asked += 1
        says = self.says.pop(0) if isinstance(self.says, list) else self.says
        if isinstance(says, str):
            raise OffsetUnknown(says)
        return Offset(says, "test")

    async def answer(self) -> Offset:
        return self.now()


def watch(kernel: Source, *servers: Source, bell: Calls | None = None) -> ClockWatch:
    return ClockWatch(
        servers=[server.answer for server in servers],
        kernel=kernel.now,
        limit=timedelta(seconds=1),
        alarms=bell or Calls(),
    )


@pytest.mark.req("TIM-02")
@pytest.mark.parametrize(
    ("kernel", "servers", "state", "told"),
    [
        (0.0, (), GOOD, "over"),
        ("nobody", (), UNKNOWN, "nobody knows how far the clock is off: nobody"),
        ("nobody", (0.2,), GOOD, "over"),
        (0.0, (1.2,), OFF, "the clock is -1.2 s off by test: nothing is certified"),
        (0.0, (-1.2,), OFF, "the clock is +1.2 s off by test: nothing is certified"),
        (0.0, (900.0, 0.1, 0.2), GOOD, "over"),
        (0.0, ("deaf", 2.0), OFF, "the clock is -2.0 s off by test: nothing is certified"),
        (0.0, ("deaf", "mute"), GOOD, "over"),
        ("nobody", ("deaf", "mute"), UNKNOWN, "nobody knows how far the clock is off: deaf; mute; nobody"),
    ],
)
async def test_servers_are_believed_before_the_kernel(
    kernel: float | str, servers: Sequence[float | str], state: Timekeeping, told: str
) -> None:
    bell = Calls()
    watched = watch(Source(kernel), *(Source(each) for each in servers), bell=bell)
    assert watched.state is UNKNOWN
    await watched.look()
    assert watched.state is state
    assert bell.told == [told]


async def test_one_wrong_answer_stops_nothing() -> None:
    watched = watch(Source("nobody"), server := Source([0.0, 5.0, 0.1]))
    await watched.look()
    await watched.look()
    assert watched.state is GOOD
    assert server.asked == 3


@pytest.mark.req("TIM-02")
async def test_a_clock_that_was_off_has_to_be_seen_to_be_good() -> None:
    server = Source(2.0)
    watched = watch(Source("nobody"), server)
    await watched.look()
    server.says = "deaf"
    await watched.look()
    assert watched.state is OFF
    server.says = 0.0
    await watched.look()
    assert watched.state is GOOD


async def test_a_bug_in_a_source_is_not_silence() -> None:
    async def broken() -> Offset:
        raise RuntimeError("bug")

    watched = ClockWatch(servers=[broken], kernel=Source(0.0).now, limit=timedelta(seconds=1), alarms=Calls())
    with pytest.raises(RuntimeError):
        await watched.look()


def under(provider: Provider, state: Timekeeping) -> None:
    """Let the provider's acts be dated by a clock of which this is known."""
    watched = watch(Source(0.0))
    watched.state = state
    clock: Any = LegalClock(HandClock(provider.clock.at), watched)
    provider.clock = clock
    provider.wire()


@pytest.mark.req("TIM-02")
async def test_while_the_clock_is_off_every_legal_act_is_put_off(alfa: Provider, pen: Pen) -> None:
    under(alfa, OFF)
    with pytest.raises(TemporaryError):
        await alfa.hand_in(original())
    with pytest.raises(TemporaryError):
        await alfa.hand_in(original(), "nascosto@beta.example")
    for raw in (Pen("beta.example").envelope(), original()):
        with pytest.raises(TemporaryError):
            await alfa.arrive(raw, "bruno@alfa.example", reverse_path="anna@beta.example")
    with pytest.raises(ClockWrong):
        await alfa.expire()
    assert alfa.is_untouched()


@pytest.mark.parametrize("state", [GOOD, UNKNOWN])
async def test_a_clock_of_which_nothing_is_known_stops_nothing(alfa: Provider, state: Timekeeping) -> None:
    under(alfa, state)
    await alfa.hand_in(original())
    assert alfa.kinds("anna") == ["acceptance", "sent"]


def test_nobody_need_watch_it() -> None:
    clock = HandClock()
    assert LegalClock(clock, None).state is Timekeeping.UNWATCHED
    assert LegalClock(clock, None).now() == clock.at
