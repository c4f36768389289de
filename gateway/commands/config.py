"""The commands about the configuration, and how every other command finds its own."""

from pathlib import Path
from typing import Annotated

import typer

from config.example import example_toml
from config.load import ConfigurationError
from config.reference import reference_markdown
from config.settings import Settings
from gateway.drivers.configuration import file_faults, read_settings

__all__ = ["ConfigOption", "check_config", "example_config", "settings_or_exit"]

CANNOT_START = 2  # exit code: the configuration is wrong

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="CERALACCA_CONFIG", help="The provider's TOML file.", show_default=True),
]


def settings_or_exit(path: Path) -> Settings:
    """Read a configuration, or say everything wrong with it and leave with exit code 2."""
    try:
        return read_settings(path)
    except ConfigurationError as error:
        for fault in error.faults:
            typer.echo(f"{path}: {fault}", err=True)
        raise typer.Exit(CANNOT_START) from None


def check_config(config: ConfigOption = Path("/etc/ceralacca/gateway.toml")) -> None:
    """Say everything that is wrong with a configuration."""
    settings = settings_or_exit(config)
    faults = list(file_faults(settings))
    for fault in faults:
        typer.echo(f"{config}: {fault}", err=True)
    if faults:
        raise typer.Exit(CANNOT_START)
    typer.echo(f"{config}: good, for {settings.provider.name} ({settings.provider.domain})")


def example_config(
    *, reference: Annotated[bool, typer.Option("--reference", help="Print the reference in Markdown instead.")] = False
) -> None:
    """Print an annotated configuration with every setting."""
    typer.echo(reference_markdown() if reference else example_toml(), nl=False)
