"""One of each server for all programs, and an empty box in each for every test."""

from collections.abc import Iterator

import pytest

from tests.clients.places import Box, Place, ceralacca, dovecot


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ceralacca(tmp_path_factory.mktemp("ceralacca")) as place:
        yield place


@pytest.fixture(scope="session")
def theirs() -> Iterator[Place]:
    with dovecot() as place:
        yield place


@pytest.fixture(params=["ours", "theirs"])
def box(request: pytest.FixtureRequest) -> Box:
    """An empty box: every test that asks for it runs against both servers."""
    place: Place = request.getfixturevalue(request.param)
    return place.box()
