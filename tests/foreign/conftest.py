"""A lab that two foreign providers have joined, one of each family."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from gateway.lab.clamd import clamd_program
from tests.foreign.joining import Entry, enter_index, open_routes, root_of
from tests.foreign.layouts import JPEC, LAYOUTS, OPENPEC, Layout
from tests.foreign.openssl import Authority
from tests.foreign.provider import Foreign
from tests.lab.labs import Lab, running

NOWHERE = "senzarotta.example"


class World(NamedTuple):
    """Two providers of ours, two of others."""

    lab: Lab
    openpec: Foreign
    jpec: Foreign

    def foreign(self, layout: Layout) -> Foreign:
        return self.openpec if layout is OPENPEC else self.jpec


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The index holds a third one, ``NOWHERE``, to which no way leads."""
    folder = tmp_path_factory.mktemp("foreign")
    with running(folder / "lab", *(["--antivirus"] if clamd_program() else [])) as lab:
        authority = Authority(root_of(lab), folder)
        openpec, jpec = (
            Foreign(layout, authority, lab.description["email_ca_file"], folder) for layout in (OPENPEC, JPEC)
        )
        lost = Entry(
            "Gestore Perduto",
            f"posta-certificata@{NOWHERE}",
            (NOWHERE,),
            authority.email("Gestore Perduto", f"posta-certificata@{NOWHERE}", usage=True).der,
        )
        enter_index(lab, [Entry.of(openpec), Entry.of(jpec), lost], authority.index())
        open_routes(lab, [openpec, jpec])
        yield World(lab, openpec, jpec)
        for provider in (openpec, jpec):
            provider.server.stop()


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.name)
def layout(request: pytest.FixtureRequest) -> Layout:
    """Each of the two families."""
    found: Layout = request.param
    return found


@pytest.fixture
def foreign(world: World, layout: Layout) -> Foreign:
    """The foreign provider of that family."""
    return world.foreign(layout)
