"""A house with an IMAP server for each test that asks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests import throwaway
from tests.mailbox.imap.house import House, limits

MakeHouse = Callable[..., Awaitable[House]]


@pytest.fixture
async def make_house(tls: throwaway.Throwaway) -> AsyncIterator[MakeHouse]:
    """Makes a house; options are those of ``ImapLimits``."""
    async with AsyncExitStack() as stack:

        async def make(**changes: float) -> House:
            house = House(tls, limits(**changes))
            await house.start()
            stack.push_async_callback(house.server.close)
            return house

        yield make


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    return await make_house()
