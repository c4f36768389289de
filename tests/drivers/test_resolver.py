import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from gateway.drivers.dialer import Target
from gateway.drivers.resolver import MailResolver, Route, RouteTable
from gateway.drivers.smtp_client import Destination
from gateway.drivers.tls import TlsPolicy
from gateway.drivers.transmission import Permanent, Stage, Temporary

ZONE = {
    ("two.example", "MX"): ["20 b.two.example.", "10 a.two.example."],
    ("a.two.example", "A"): ["8.8.1.1"],
    ("b.two.example", "AAAA"): ["2a00:1450::2"],
    ("b.two.example", "A"): ["8.8.1.2"],
    ("null.example", "MX"): ["0 ."],
    ("bare.example", "A"): ["8.8.2.1"],
    ("empty.example", "TXT"): ['"nothing here"'],
    ("ours.example", "MX"): ["10 mx.alfa.example."],
    ("backup.example", "MX"): ["10 a.two.example.", "20 mx.alfa.example.", "30 b.two.example."],
    ("alias.example", "MX"): ["10 other-name.example."],
    ("other-name.example", "A"): ["8.8.9.9"],
    ("inside.example", "MX"): ["10 inside-host.example."],
    ("half.example", "MX"): ["10 gone.example.", "20 a.two.example."],
    ("lost.example", "MX"): ["10 gone.example.", "20 gone-too.example."],
    ("shaky.example", "MX"): ["10 broken.example."],
    ("one-gone.example", "MX"): ["10 gone.example."],
}
INSIDE = ["127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.1.1", "0.0.0.0", "100.64.0.1", "224.0.0.1"]
INSIDE_6 = ["::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "::", "ff02::1"]


class FakeDns(asyncio.DatagramProtocol):
    """A name server on loopback. Names under "gone" do not exist, "broken" fails, "silent" says nothing."""

    def __init__(self) -> None:
        self.extra: dict[tuple[str, str], list[str]] = {}
        self.questions = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.questions += 1
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        if name.startswith("silent"):
            return
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        records = self.extra.get((name, kind)) or ZONE.get((name, kind))
        if name.startswith("broken"):
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in (*ZONE, *self.extra)):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(reply.to_wire(), addr)


@pytest.fixture
async def server() -> AsyncIterator[FakeDns]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(FakeDns, local_addr=("127.0.0.1", 0))
    yield protocol
    transport.close()


@pytest.fixture
def asking(server: FakeDns) -> Callable[..., MailResolver]:
    def make(*, silent: bool = False, **settings: object) -> MailResolver:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = server.transport.get_extra_info("sockname")[1]
        resolver.timeout = 0.1 if silent else 60
        given = {"own_names": ("mx.alfa.example", "8.8.7.7"), "shuffle": lambda pairs: None, **settings}
        seconds = 0.5 if silent else 60
        return MailResolver(RouteTable(), resolver=resolver, lifetime_seconds=seconds, **given)  # type: ignore[arg-type]

    return make


Asking = Callable[..., MailResolver]


async def test_mail_exchangers_come_in_the_order_of_preference(asking: Asking) -> None:
    found = await asking().find("two.example", certified=False)
    assert found == Destination(
        (
            Target("a.two.example", 25, ("8.8.1.1",)),
            Target("b.two.example", 25, ("2a00:1450::2", "8.8.1.2")),
        ),
        TlsPolicy.OPPORTUNISTIC,
    )


@pytest.mark.req("SEC-01", "IP-11")
async def test_certified_domains_are_verified_by_the_name_of_their_host(asking: Asking) -> None:
    found = await asking(ca_file="/roots.pem").find("two.example", certified=True)
    assert isinstance(found, Destination)
    assert (found.tls, found.ca_file, found.targets[0].host) == (TlsPolicy.VERIFY, "/roots.pem", "a.two.example")


async def test_without_mx_the_domain_itself_takes_the_mail(asking: Asking) -> None:
    found = await asking().find("bare.example", certified=False)
    assert found == Destination((Target("bare.example", 25, ("8.8.2.1",)),), TlsPolicy.OPPORTUNISTIC)


@pytest.mark.parametrize(
    ("domain", "status"),
    [
        ("null.example", "5.1.10"),
        ("gone.example", "5.1.2"),
        ("empty.example", "5.4.4"),
        ("ours.example", "5.4.6"),
        ("a" * 64 + ".example", "5.1.2"),
        ("a..example", "5.1.2"),
    ],
)
async def test_what_can_never_work_is_permanent(asking: Asking, domain: str, status: str) -> None:
    found = await asking().find(domain, certified=False)
    assert isinstance(found, Permanent)
    assert (found.status, found.stage) == (status, Stage.ROUTE)


@pytest.mark.parametrize("domain", ["broken.example", "silent.example", "shaky.example", "lost.example"])
async def test_what_may_pass_is_temporary(asking: Asking, domain: str) -> None:
    found = await asking(silent=domain == "silent.example").find(domain, certified=False)
    assert isinstance(found, Temporary)
    assert found.stage is Stage.ROUTE


async def test_we_hand_a_domain_for_which_we_stand_in_only_to_better_hosts(asking: Asking) -> None:
    found = await asking().find("backup.example", certified=False)
    assert isinstance(found, Destination)
    assert [target.host for target in found.targets] == ["a.two.example"]


async def test_a_host_with_our_address_is_ourselves(server: FakeDns, asking: Asking) -> None:
    server.extra[("other-name.example", "A")] = ["8.8.7.7"]
    found = await asking().find("alias.example", certified=False)
    assert isinstance(found, Permanent)
    assert found.status == "5.4.6"


@pytest.mark.parametrize("address", [*INSIDE, *INSIDE_6])
async def test_no_name_leads_inside(server: FakeDns, asking: Asking, address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    server.extra[("inside-host.example", kind)] = [address]
    found = await asking().find("inside.example", certified=False)
    assert isinstance(found, Temporary)


async def test_public_addresses_are_used_beside_private_ones(server: FakeDns, asking: Asking) -> None:
    server.extra[("inside-host.example", "A")] = ["10.0.0.1", "8.8.3.3"]
    found = await asking().find("inside.example", certified=False)
    assert isinstance(found, Destination)
    assert found.targets[0].addresses == ("8.8.3.3",)


async def test_a_dead_host_among_several_is_left_out(asking: Asking) -> None:
    found = await asking().find("half.example", certified=False)
    assert isinstance(found, Destination)
    assert [target.host for target in found.targets] == ["a.two.example"]


async def test_hosts_of_equal_preference_are_shuffled(server: FakeDns, asking: Asking) -> None:
    server.extra[("even.example", "MX")] = ["10 a.two.example.", "10 b.two.example."]
    first = await asking(shuffle=lambda pairs: pairs.sort()).find("even.example", certified=False)
    last = await asking(shuffle=lambda pairs: pairs.sort(reverse=True)).find("even.example", certified=False)
    assert isinstance(first, Destination)
    assert isinstance(last, Destination)
    assert first.targets == last.targets[::-1]


async def test_names_of_hosts_do_not_depend_on_their_case(server: FakeDns, asking: Asking) -> None:
    server.extra[("loud.example", "MX")] = ["10 MX.Alfa.EXAMPLE."]
    found = await asking().find("loud.example", certified=False)
    assert isinstance(found, Permanent)


async def test_a_route_wins_over_the_dns(server: FakeDns) -> None:
    route = Route(domain="Two.example", host="127.0.0.1", port=2525, tls=TlsPolicy.ENCRYPT, ca_file="/own.pem")
    resolver = MailResolver(RouteTable([route]), ca_file="/roots.pem")
    found = await resolver.find("two.example", certified=True)
    assert found == Destination((Target("127.0.0.1", 2525),), TlsPolicy.ENCRYPT, "/own.pem")
    assert server.questions == 0


async def test_a_route_without_policy_follows_the_kind_of_domain() -> None:
    resolver = MailResolver(RouteTable([Route(domain="two.example", host="h")]), ca_file="/roots.pem")
    certified = await resolver.find("two.example", certified=True)
    ordinary = await resolver.find("two.example", certified=False)
    assert certified == Destination((Target("h", 25),), TlsPolicy.VERIFY, "/roots.pem")
    assert ordinary == Destination((Target("h", 25),), TlsPolicy.OPPORTUNISTIC, "/roots.pem")


async def test_a_closed_table_knows_every_domain_there_is(server: FakeDns) -> None:
    resolver = MailResolver(RouteTable([Route(domain="two.example", host="127.0.0.1")], closed=True))
    found = await resolver.find("bare.example", certified=False)
    assert isinstance(found, Permanent)
    assert found.status == "5.1.2"
    assert server.questions == 0
