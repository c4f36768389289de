from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage.engine import Storage
from tests.workers.house import House


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    opened = Storage.open(f"sqlite:///{tmp_path}/relay.sqlite", migrate=True)
    yield opened
    opened.close()


@pytest.fixture
async def house(storage: Storage) -> House:
    return House(storage)
