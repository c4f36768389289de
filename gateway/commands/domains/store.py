"""``ceralacca domain store``: whose boxes another mail server keeps."""

from typing import Annotated

import typer
from sqlalchemy import Connection

from config.settings import Settings
from gateway.commands import domain as of_domain
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.names import given_domain, refuse
from gateway.storage import stores

__all__ = ["StoreArgument", "domain_store", "place", "wanted_store"]

HERE = "here"

StoreArgument = Annotated[
    str | None,
    typer.Argument(metavar="[STORE]", help="The name of a store of the configuration, or `here`. Left out: show it."),
]


def domain_store(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="One of our domains.")],
    store: StoreArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let another mail server keep what comes into all boxes of a domain from now on, and into those to come."""
    name = given_domain(domain)
    with of_domain.opened(config) as (settings, storage):
        wanted = wanted_store(settings, store)

        def transaction(connection: Connection) -> tuple[str | None, int]:
            present = stores.store_of_domain(connection, name)
            if store is None:
                return present, 0
            stores.bind_domain(connection, name, wanted)
            return wanted, stores.bind_boxes(connection, stores.boxes_of_domain(connection, name), wanted)

        found, changed = storage.write_now(transaction)
    typer.echo(f"{name}: boxes are kept {place(found)}" + (f"; {changed} moved" if changed else ""))


def wanted_store(settings: Settings, store: str | None) -> str | None:
    """The name of a store that there is; None: here."""
    names = [one.name for one in settings.elsewhere.stores]
    if store is None or store == HERE:
        return None
    if store not in names:
        raise refuse(f"{store}: the configuration has {', '.join(names) or 'no [[elsewhere.stores]]'}")
    return store


def place(store: str | None) -> str:
    """In words."""
    return "here" if store is None else f"by {store}"
