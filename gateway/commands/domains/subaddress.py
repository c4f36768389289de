"""``ceralacca domain subaddress``: whether anna+anything leads to anna in a domain."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from gateway.commands import domain as of_domain
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.names import given_domain, refuse
from gateway.storage import accounts, domains
from gateway.storage.subaddresses import SEPARATORS, separator_of, set_separator

__all__ = ["subaddress"]

OFF = "off"


def subaddress(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="One of our domains.")],
    separator: Annotated[
        str | None,
        typer.Argument(metavar="[CHARACTER]", help=f"One of {' '.join(SEPARATORS)}, or `off`. Left out: show it."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let anna+anything lead to anna in a domain; the receipts name the address as it was written."""
    name = given_domain(domain)
    if separator is not None and separator != OFF and (len(separator) != 1 or separator not in SEPARATORS):
        raise refuse(f"{separator}: the character is one of {' '.join(SEPARATORS)}")
    with of_domain.opened(config) as (_, storage):

        def transaction(connection: Connection) -> str | None:
            if name not in domains.local_domains(connection):
                raise accounts.AccountRefused(f"{name} is not a domain of this provider")
            if separator is not None:
                set_separator(connection, name, None if separator == OFF else separator, datetime.now(UTC))
            return separator_of(connection, name)

        found = storage.write_now(transaction)
    typer.echo(f"{name}: anna{found}anything leads to anna" if found else f"{name}: addresses are taken as they are")
