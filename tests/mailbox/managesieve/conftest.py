"""A house with a ManageSieve server for each test that asks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from tests import throwaway
from tests.mailbox.managesieve.house import LIMITS, House, Talker

MakeHouse = Callable[..., Awaitable[House]]


@pytest.fixture
async def make_house(tls: throwaway.Throwaway) -> AsyncIterator[MakeHouse]:
    """Makes a house; options are those of ``SieveLimits``."""
    async with AsyncExitStack() as stack:

        async def make(**changes: float) -> House:
            house = House(tls, replace(LIMITS, **changes))  # type: ignore[arg-type]
            await house.start()
            stack.push_async_callback(house.server.close)
            return house

        yield make


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    return await make_house()


@pytest.fixture
async def talker(house: House) -> AsyncIterator[Talker]:
    """A client that has heard nothing yet."""
    client = await Talker.connect(house.port)
    assert isinstance(client, Talker)
    yield client
    client.writer.transport.abort()


@pytest.fixture
async def inside(talker: Talker, tls: throwaway.Throwaway) -> Talker:
    """A client that has signed in."""
    await talker.inside(tls)
    return talker
