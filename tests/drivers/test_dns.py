"""Questions over a real socket, to a name server on loopback."""

import pytest

from gateway.drivers.dns import DnsUnavailable, NameServers
from tests.drivers.zone import Zone, serving

LONG = "v=DKIM1; k=rsa; p=" + "A" * 600
ZONE = {
    "mail.example TXT": ["v=spf1 -all", LONG],
    "mail.example A": ["192.0.2.1"],
    "mail.example AAAA": ["2001:db8::1"],
    "mail.example MX": ["20 second.mail.example", "10 first.mail.example"],
    "1.2.0.192.in-addr.arpa PTR": ["mail.example"],
}


async def test_every_kind_of_record() -> None:
    async with serving(Zone(ZONE)) as port:
        found = NameServers([("127.0.0.1", port)])
        assert set(await found.texts("mail.example")) == {b"v=spf1 -all", LONG.encode()}
        assert await found.addresses("mail.example", six=False) == ["192.0.2.1"]
        assert await found.addresses("mail.example", six=True) == ["2001:db8::1"]
        assert await found.exchangers("mail.example") == ["first.mail.example", "second.mail.example"]
        assert await found.names("192.0.2.1") == ["mail.example"]


@pytest.mark.parametrize("name", ["nowhere.example", "a" * 64 + ".example", "a..example", "", "\\999.example"])
async def test_what_does_not_exist_is_an_empty_answer(name: str) -> None:
    async with serving(Zone(ZONE)) as port:
        assert await NameServers([("127.0.0.1", port)]).texts(name) == []


async def test_servfail_and_silence_are_not() -> None:
    zone = Zone(ZONE, broken=frozenset({"broken.example"}))
    async with serving(zone) as port:
        with pytest.raises(DnsUnavailable):
            await NameServers([("127.0.0.1", port)], seconds=60).texts("broken.example")
    with pytest.raises(DnsUnavailable):
        await NameServers([("127.0.0.1", port)], seconds=0.5).texts("mail.example")  # nobody there any more


async def test_an_answer_is_remembered() -> None:
    zone = Zone(ZONE)
    async with serving(zone) as port:
        servers = NameServers([("127.0.0.1", port)])
        assert await servers.texts("mail.example") == await servers.texts("mail.example")
    assert zone.asked == ["mail.example TXT"]
