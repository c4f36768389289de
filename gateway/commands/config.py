"""The commands about the configuration, and how every other command finds its own."""

from pathlib import Path
from typing import Annotated

import typer

from config.example import example_toml
from config.load import ConfigurationError, Fault
from config.reference import reference_markdown
from config.settings import Settings
from gateway.drivers.configuration import read_settings, read_usable_settings

__all__ = [
    "DEFAULT_CONFIG",
    "ConfigOption",
    "check_config",
    "example_config",
    "settings_or_exit",
    "usable_settings_or_exit",
]

CANNOT_START = 2  # exit code: the configuration is wrong
DEFAULT_CONFIG = Path("/etc/ceralacca/gateway.toml")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="CERALACCA_CONFIG", help="The provider's TOML file.", show_default=True),
]


def settings_or_exit(path: Path) -> Settings:
    """Read a configuration, or say everything wrong with it and leave with exit code 2."""
    try:
        return read_settings(path)
    except ConfigurationError as error:
        raise _refused(path, error.faults) from None


def usable_settings_or_exit(path: Path) -> Settings:
    """The same, and say too what is wrong with the files that it names."""
    try:
        return read_usable_settings(path)
    except ConfigurationError as error:
        raise _refused(path, error.faults) from None


def check_config(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Say everything that is wrong with a configuration."""
    settings = usable_settings_or_exit(config)
    typer.echo(f"{config}: good, for {settings.provider.name} ({settings.provider.domain})")
    if not settings.index.file.is_file():
        typer.echo(f"{config}: index.file: {settings.index.file}: not there yet; until it is, no mail is taken (451)")


def example_config(
    *, reference: Annotated[bool, typer.Option("--reference", help="Print the reference in Markdown instead.")] = False
) -> None:
    """Print an annotated configuration with every setting."""
    typer.echo(reference_markdown() if reference else example_toml(), nl=False)


def _refused(path: Path, faults: tuple[Fault, ...]) -> typer.Exit:
    for fault in faults:
        typer.echo(f"{path}: {fault}", err=True)
    return typer.Exit(CANNOT_START)
