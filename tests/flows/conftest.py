"""Providers of the flow tests, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage.engine import Storage
from tests.flows.house import HandClock, Network, Provider
from tests.flows.pens import Pen
from tests.postgresql import Cluster


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def sqlite_storage(sqlite_url: str) -> Iterator[Storage]:
    """For decisions that no database has a part in."""
    opened = Storage.open(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def second_storage(storage: Storage, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """Another empty storage, of the same kind as ``storage``."""
    if storage.dialect == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        file = tmp_path / "second.sqlite"
        file.write_bytes(template.read_bytes())
        opened = Storage.open(f"sqlite:///{file}")
        yield opened
        opened.close()
        return
    cluster: Cluster = request.getfixturevalue("postgresql_cluster")
    name = cluster.create(request.getfixturevalue("postgresql_template"))
    opened = Storage.open(cluster.url(name))
    yield opened
    opened.close()
    cluster.drop(name)


@pytest.fixture
def alfa(storage: Storage, clock: HandClock) -> Provider:
    """The provider whose holders send."""
    return Provider("alfa.example", storage, clock)


@pytest.fixture
def beta(storage: Storage, clock: HandClock) -> Provider:
    """The provider whose holders receive; what alfa sends comes from ``pen``."""
    return Provider("beta.example", storage, clock)


@pytest.fixture
def pen() -> Pen:
    """Alfa's hand."""
    return Pen("alfa.example")


@pytest.fixture
def network(storage: Storage, second_storage: Storage, clock: HandClock) -> Network:
    """Alfa and beta, who carry mail to each other."""
    return Network(Provider("alfa.example", storage, clock), Provider("beta.example", second_storage, clock))


@pytest.fixture
def beta_on_sqlite(sqlite_storage: Storage, clock: HandClock) -> Provider:
    """Beta, for decisions that no database has a part in."""
    return Provider("beta.example", sqlite_storage, clock)
