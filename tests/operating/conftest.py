from pathlib import Path

import pytest

from tests.operating.providers import Network, Provider, network


@pytest.fixture
def net(tmp_path: Path) -> Network:
    """Two providers on disk, not running."""
    return network(tmp_path / "net")


@pytest.fixture
def alfa(net: Network) -> Provider:
    return net.alfa
