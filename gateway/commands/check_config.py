"""``ceralacca check-config``: a configuration, the files that it names, and what is in them."""

from datetime import UTC, datetime

import typer

from gateway.app.certificates import certificate_faults
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, refused_by, usable_settings_or_exit

__all__ = ["check_config"]


def check_config(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say everything that is wrong with a configuration."""
    settings = usable_settings_or_exit(config)
    if faults := tuple(certificate_faults(settings, datetime.now(UTC))):
        raise refused_by(config, faults)
    typer.echo(f"{config}: good, for {settings.provider.name} ({settings.provider.domain})")
    if not settings.index.file.is_file():
        typer.echo(f"{config}: index.file: {settings.index.file}: not there yet; until it is, no mail is taken (451)")
