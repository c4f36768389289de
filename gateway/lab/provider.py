"""A provider of a lab: ``ceralacca serve`` with a clock that the lab controls. Started as ``python -m`` this module.

``ceralacca serve`` itself has no way to shift its clock, and this refuses to run a provider that could reach anybody
outside its lab.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import typer

from config.settings import Settings
from gateway.app.gateway import Gateway
from gateway.app.parts import Parts
from gateway.commands.config import ConfigOption
from gateway.commands.serve import serve_as
from gateway.lab.shifted import SHIFT_FILE, ShiftedClock
from receipts.errors import GatewayError

__all__ = ["NotInLab", "lab_gateway", "main"]

log = logging.getLogger(__name__)


class NotInLab(GatewayError):
    """The provider is none of a lab: it could reach others."""


def lab_gateway(config: Path) -> Callable[[Settings, Callable[[], Settings]], Gateway]:
    """What makes the provider of a configuration file.

    Raises:
        NotInLab: when it is called, by the settings.
    """

    def make(settings: Settings, reread: Callable[[], Settings]) -> Gateway:
        if not settings.relay.closed:
            raise NotInLab(f"{config}: relay.closed is not set, so this is no provider of a lab; use ceralacca serve")
        clock = ShiftedClock(ZoneInfo(settings.provider.time_zone), config.parent / SHIFT_FILE)
        return Gateway(settings, reread, clock=clock, begun=lambda parts: _control(clock, parts))

    return make


def main(config: ConfigOption) -> None:
    """Run one provider of a lab. SIGUSR1: the time is another now, see ``clock-shift``."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until there is something to shift
    serve_as(config, lab_gateway(config))


def _control(clock: ShiftedClock, parts: Parts) -> None:
    """On SIGUSR1 let it be another time, and what is due then be done at once."""
    doing: set[asyncio.Task[object]] = set()

    def shift() -> None:
        clock.look()
        log.info("clock shifted", extra={"shift": clock.shift, "now": clock.now()})
        parts.worker.wake()
        task = asyncio.ensure_future(_overdue(parts))
        doing.add(task)
        task.add_done_callback(doing.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, shift)


async def _overdue(parts: Parts) -> None:
    try:
        await parts.expire()
    except GatewayError as error:
        log.warning("what is overdue waits for its tick", exc_info=error)


if __name__ == "__main__":
    typer.run(main)
