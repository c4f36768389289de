import asyncio

import pytest

from gateway.drivers.dialer import Dialer, DialFailed, Target


@pytest.mark.parametrize("address", ["8.8.8.8", "10.0.0.1", "2a00:1450::2", "0.0.0.0", "169.254.1.1"])
async def test_a_closed_dialer_never_leaves_loopback(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: object, **__: object) -> None:
        pytest.fail("a connection was tried")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", connect)
    with pytest.raises(DialFailed, match="only loopback"):
        await Dialer(closed=True).connect(address, 25, asyncio.Protocol)


async def test_a_closed_dialer_asks_nobody_for_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object, **__: object) -> None:
        pytest.fail("a name was asked for")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", ask)
    dialer = Dialer(closed=True)
    with pytest.raises(DialFailed, match="only loopback"):
        await dialer.addresses(Target("mx.beta.example", 25))
    assert await dialer.addresses(Target("localhost", 25)) == ("127.0.0.1", "::1")
    assert await dialer.addresses(Target("127.0.0.9", 25)) == ("127.0.0.9",)


async def test_addresses_that_were_found_before_are_bounded() -> None:
    many = tuple(f"8.8.8.{number}" for number in range(100))
    assert len(await Dialer().addresses(Target("mx.beta.example", 25, many))) == 8


async def test_a_refused_connection_fails_with_its_reason() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    with pytest.raises(DialFailed, match=f"127.0.0.1 port {port}"):
        await Dialer(closed=True).connect("127.0.0.1", port, asyncio.Protocol)
