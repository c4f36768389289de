import pytest

from gateway.storage.engine import Storage
from tests.workers.house import House


@pytest.fixture
async def house(storage: Storage) -> House:
    return House(storage, working=False)
