"""One lab for all tests of this folder that need no lab of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.census import summary, take_census
from tests.lab.labs import Lab, running
from tests.providers.fixtures import ca_file, net, root_file  # noqa: F401


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of two providers. At the end OpenSSL has seen every certified message that entered any mailbox of it."""
    folder = tmp_path_factory.mktemp("lab")
    with running(folder / "lab") as started:
        yield started
        print(summary(take_census(started, folder)))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder for OpenSSL's files."""
    return tmp_path
