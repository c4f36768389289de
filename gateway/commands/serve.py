"""``ceralacca serve``: run one provider."""

import asyncio
import logging
from pathlib import Path

import typer

from config.load import ConfigurationError
from gateway.app import AlreadyRunning, Gateway
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, usable_settings_or_exit
from gateway.drivers.configuration import read_settings
from gateway.drivers.logs import start_logging
from receipts.errors import GatewayError

__all__ = ["serve"]

log = logging.getLogger(__name__)


def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run one provider until SIGTERM, which finishes what began. SIGHUP reloads certificate, index and routes."""
    settings = usable_settings_or_exit(config)
    start_logging(settings.log.level, settings.log.format, settings.log.file)
    try:
        asyncio.run(_serve(config))
    except (AlreadyRunning, ConfigurationError, GatewayError, OSError, ValueError) as error:
        log.critical("cannot serve", exc_info=error)
        typer.echo(f"{config}: {error}", err=True)
        raise typer.Exit(1) from None


async def _serve(config: Path) -> None:
    gateway = Gateway(read_settings(config), lambda: read_settings(config))
    await gateway.run()
