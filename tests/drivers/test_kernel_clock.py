"""What the kernel says of the clock, and when its word is worth nothing."""

import sys

import pytest

from gateway.drivers import kernel_clock
from gateway.drivers.kernel_clock import STA_NANO, STA_UNSYNC, TIME_ERROR, KernelTime, OffsetUnknown, kernel_offset

LEAP_INSERTED, PLL = 1, 0x0001


def kernel(state: int = 0, status: int = PLL, offset: int = 0, max_error: int = 500) -> KernelTime:
    return KernelTime(state=state, status=status, offset=offset, max_error=max_error)


@pytest.mark.req("TIM-02")
@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (kernel(), 0.0),
        (kernel(offset=-1_500), -0.0015),
        (kernel(offset=1_500, status=PLL | STA_NANO), 0.0000015),
        (kernel(max_error=1_024_000), 0.0),  # as timesyncd leaves it between two questions
        (kernel(state=LEAP_INSERTED), 0.0),
    ],
)
def test_a_clock_that_something_keeps_has_a_known_offset(answer: KernelTime, seconds: float) -> None:
    found = kernel_offset(lambda: answer)
    assert found.seconds == pytest.approx(seconds)
    assert found.source == "kernel"


@pytest.mark.req("TIM-02")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (kernel(state=TIME_ERROR), "not synchronised"),
        (kernel(status=STA_UNSYNC), "not synchronised"),
        (kernel(max_error=16_000_000), "may be 16.0 s off"),
    ],
)
def test_a_clock_that_nothing_keeps_has_none(answer: KernelTime, why: str) -> None:
    with pytest.raises(OffsetUnknown, match=why):
        kernel_offset(lambda: answer)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="adjtimex(2) is Linux's")
def test_this_kernel_answers() -> None:
    try:
        found = kernel_clock.read_kernel_time()
    except OffsetUnknown as unknown:
        pytest.skip(str(unknown))  # a sandbox may not allow it
    assert 0 <= found.state <= TIME_ERROR
    assert found.max_error >= 0


def test_elsewhere_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(OffsetUnknown, match="only Linux"):
        kernel_clock.read_kernel_time()
