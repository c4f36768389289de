"""Each fuzz target for a moment; ``python -m tests.fuzz`` gives it longer."""

from collections.abc import Callable

import pytest

from tests.fuzz.targets import TARGETS

PROPERTIES = [
    pytest.param(one, id=f"{name}-{one.__name__}") for name, properties in TARGETS.items() for one in properties
]


@pytest.mark.parametrize("holds", PROPERTIES)
def test_the_property_holds(holds: Callable[[], None]) -> None:
    holds()
