"""``ceralacca serve``: run one provider."""

import asyncio
import gc
import logging
import os
import signal
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from functools import partial
from pathlib import Path

import typer

from config.settings import Settings
from gateway.app.gateway import Gateway, LeftBehind
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, usable_settings_or_exit
from gateway.commands.reasons import reason_of
from gateway.drivers.configuration import read_usable_settings
from gateway.drivers.logs import start_logging
from receipts.errors import GatewayError

__all__ = ["serve", "serve_as"]

log = logging.getLogger(__name__)

MakeGateway = Callable[[Settings, Callable[[], Settings]], Gateway]

COLLECTOR_THRESHOLDS = (20_000, 20, 20)
"""Objects before the youngest are looked at, and how often before the older ones are (gc.set_threshold)."""
TLS_BUFFER_BYTES = 32 * 1024


def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run one provider until SIGTERM, which finishes what began. SIGHUP reloads certificate, index and routes."""
    serve_as(config, Gateway)


def serve_as(config: Path, make: MakeGateway) -> None:
    """Run the provider that ``make`` makes of the settings, and leave as a command does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    settings = usable_settings_or_exit(config)
    try:
        start_logging(settings.log.level, settings.log.format, settings.log.file)
        asyncio.run(_serve(make, settings, partial(read_usable_settings, config)))
    except (GatewayError, OSError) as error:
        reason = reason_of(error)
        log.critical("cannot serve", extra={"reason": reason})
        typer.echo(f"{config}: cannot serve: {reason}", err=True)
        raise typer.Exit(1) from None


async def _serve(make: MakeGateway, settings: Settings, reread: partial[Settings]) -> None:
    _relieve_collector()
    _lighten_tls()
    try:
        await make(settings, reread).run()
    except LeftBehind as error:
        log.critical("stopped without the database", extra={"reason": str(error)})
        logging.shutdown()
        os._exit(1)  # an orderly end would wait for its threads


def _relieve_collector() -> None:
    """Spare what is there for good, and look for cycles less often: flows make many objects and hardly a cycle.

    With the interpreter's own thresholds the collector takes a tenth of a flow's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def _lighten_tls() -> None:
    """Let a connection under TLS hold a small buffer: asyncio's 256 KiB each are 128 MB for 500 that wait for mail.

    A TLS record holds 16 KiB at most, so what comes in fast takes a few more turns of the loop and nothing else.
    """
    SSLProtocol.max_size = TLS_BUFFER_BYTES
