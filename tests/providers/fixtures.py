"""Fixtures about certificates; a conftest.py that wants them imports them."""

from pathlib import Path

import pytest

from tests.providers.authorities import Network, network


@pytest.fixture(scope="session")
def net() -> Network:
    return network()


@pytest.fixture(scope="session")
def ca_file(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root and intermediate."""
    file = tmp_path_factory.mktemp("ca") / "email-ca.pem"
    file.write_bytes(net.authority.email_ca_pem)
    return file


@pytest.fixture(scope="session")
def root_file(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "root.pem"
    file.write_bytes(net.authority.root_pem)
    return file
