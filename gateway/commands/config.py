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
    "example_config",
    "refused_by",
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
        raise refused_by(path, error.faults) from None


def usable_settings_or_exit(path: Path) -> Settings:
    """The same, and say too what is wrong with the files that it names."""
    try:
        return read_usable_settings(path)
    except ConfigurationError as error:
        raise refused_by(path, error.faults) from None


def example_config(
    *, reference: Annotated[bool, typer.Option("--reference", help="Print the reference in Markdown instead.")] = False
) -> None:
    """Print an annotated configuration with every setting."""
    typer.echo(reference_markdown() if reference else example_toml(), nl=False)


def refused_by(path: Path, faults: tuple[Fault, ...]) -> typer.Exit:
    """Say everything that is wrong."""
    for fault in faults:
        typer.echo(f"{path}: {fault}", err=True)
    return typer.Exit(CANNOT_START)
