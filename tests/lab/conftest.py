"""One lab for all tests of this folder that need no lab of their own."""

from collections.abc import Iterator

import pytest

from tests.lab.labs import Lab, running
from tests.providers.fixtures import ca_file, net, root_file  # noqa: F401


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of two providers."""
    with running(tmp_path_factory.mktemp("lab") / "lab") as started:
        yield started
