"""A house with a POP3 server for each test that asks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from tests import throwaway
from tests.mailbox.house import LIMITS, Client, House


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> throwaway.Throwaway:
    return throwaway.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def make_house(tls: throwaway.Throwaway) -> AsyncIterator[Callable[..., Awaitable[House]]]:
    """Makes a house; options are those of ``MailboxLimits``."""
    async with AsyncExitStack() as stack:

        async def make(**limits: float) -> House:
            house = House(tls, replace(LIMITS, **limits))  # type: ignore[arg-type]
            await house.start()
            stack.push_async_callback(house.server.close)
            return house

        yield make


@pytest.fixture
async def house(make_house: Callable[..., Awaitable[House]]) -> House:
    return await make_house()


@pytest.fixture
async def client(house: House, tls: throwaway.Throwaway) -> AsyncIterator[Client]:
    """A client under TLS that has not signed in."""
    client = await Client.connect(house.secure, tls.client())
    yield client
    client.writer.transport.abort()
